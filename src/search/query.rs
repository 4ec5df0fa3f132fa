//! What somebody searches for, read once.

use crate::model::{Word, is_stop_word};

/// So many parts of one word are looked for.
const PARTS: usize = 16;

/// What somebody searches for.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    /// As it was typed, without space around it.
    pub(super) text: String,
    /// All words, each once.
    pub(super) words: Vec<Word>,
    has_content: bool,
}

impl Query {
    /// Reads a text.
    pub(crate) fn new(text: &str) -> Self {
        let mut words: Vec<Word> = Vec::new();
        for mut word in crate::model::words(text) {
            let mut seen: Vec<String> = Vec::new();
            word.parts.retain(|part| {
                let is_new = seen.len() < PARTS && !seen.contains(part);
                seen.extend(is_new.then(|| part.clone()));
                is_new
            });
            if !words.contains(&word) {
                words.push(word);
            }
        }
        Self {
            text: text.trim().to_owned(),
            has_content: words.iter().any(|word| !is_stop_word(&word.text)),
            words,
        }
    }

    /// Whether a word counts: a stop word does if there are no others.
    pub(super) fn counts(&self, word: &Word) -> bool {
        !self.has_content || !is_stop_word(&word.text)
    }
}
