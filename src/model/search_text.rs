//! The text of a search, split into words once.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use super::tokenizer::{Word, words};

/// The text of a search and its words. Compared by text.
#[derive(Debug, Clone)]
pub(crate) struct SearchText {
    text: String,
    words: OnceLock<Arc<[Word]>>,
}

impl SearchText {
    pub(crate) fn new(text: String) -> Self {
        Self { text, words: OnceLock::new() }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Returns the words of the text. The first call splits it, which takes long for a long text: check its length before.
    pub(crate) fn words(&self) -> &[Word] {
        self.words.get_or_init(|| words(&self.text).into())
    }

    #[cfg(test)]
    pub(super) fn is_split(&self) -> bool {
        self.words.get().is_some()
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
