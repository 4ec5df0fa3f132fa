//! What somebody searches for, read once.

#[cfg(feature = "semantic")]
use super::embedding::{Embedding, Vector};
use crate::model::{Word, is_stop_word, words};

/// What somebody searches for.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    /// As it was typed, without space around it.
    pub(super) text: String,
    /// All words, each once.
    pub(super) words: Vec<Word>,
    has_content: bool,
    #[cfg(feature = "semantic")]
    pub(super) vector: Option<Vector>,
}

impl Query {
    /// Reads a text.
    pub(crate) fn new(text: &str) -> Self {
        let all = words(text);
        #[cfg(feature = "semantic")]
        let vector = {
            let mut embedding = Embedding::new();
            embedding.add_words(&all, 1.0, f32::INFINITY);
            embedding.vector()
        };
        let mut words: Vec<Word> = Vec::new();
        for word in all {
            if !words.contains(&word) {
                words.push(word);
            }
        }
        Self {
            text: text.trim().to_owned(),
            has_content: words.iter().any(|word| !is_stop_word(&word.text)),
            words,
            #[cfg(feature = "semantic")]
            vector,
        }
    }

    /// Whether a word counts: a stop word does if there are no others.
    pub(super) fn counts(&self, word: &Word) -> bool {
        !self.has_content || !is_stop_word(&word.text)
    }
}
