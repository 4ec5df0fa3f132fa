//! The text of a search, split into words once.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::tokenizer::{Word, words};

/// The text of a search and its words. Compared by text.
#[derive(Debug, Clone)]
pub(crate) struct SearchText {
    text: String,
    words: Arc<[Word]>,
}

impl SearchText {
    pub(crate) fn new(text: String) -> Self {
        Self { words: words(&text).into(), text }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn words(&self) -> &[Word] {
        &self.words
    }
}

impl PartialEq for SearchText {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for SearchText {}

impl Hash for SearchText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}
