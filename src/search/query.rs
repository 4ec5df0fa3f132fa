//! A search query, ready to be matched.

use crate::model::{SearchText, Word, is_stop_word};

/// The maximum number of parts of one word that are matched.
const MAX_PARTS: usize = 16;

/// A search query.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    /// The text without surrounding white space.
    pub(super) text: String,
    /// The distinct words.
    pub(super) words: Vec<Word>,
    has_content_words: bool,
}

impl Query {
    /// Prepares the text of a search.
    pub(crate) fn new(search: &SearchText) -> Self {
        let mut words: Vec<Word> = Vec::new();
        for mut word in search.words().iter().cloned() {
            let mut seen: Vec<String> = Vec::new();
            word.parts.retain(|part| {
                let is_new = seen.len() < MAX_PARTS && !seen.contains(part);
                seen.extend(is_new.then(|| part.clone()));
                is_new
            });
            if !words.contains(&word) {
                words.push(word);
            }
        }
        Self {
            text: search.text().trim().to_owned(),
            has_content_words: words.iter().any(|word| !is_stop_word(&word.text)),
            words,
        }
    }

    /// Returns whether a word is scored. Stop words are scored only if there are no other words.
    pub(super) fn is_scored(&self, word: &Word) -> bool {
        !self.has_content_words || !is_stop_word(&word.text)
    }
}
