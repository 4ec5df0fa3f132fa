//! How text becomes words for full-text search, the same way when it is stored and when it is asked for.
//!
//! SQLite's unicode61 tokenizer folds case and diacritics and parts words at everything that is no letter or digit.
//! Two things are added here. `readFile` is two words, and also one, so that `github` finds GitHub. And each word is
//! followed by its stem: a query matches the beginning of a word *or* of its stem, so that what somebody types
//! keeps matching at each keystroke from `r` to `running`. (With the tokenizer's own stemming, `runni` finds
//! nothing: the index holds `run` alone.)

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;

use rust_stemmers::{Algorithm, Stemmer};

use super::MAX_FILTERS;

/// A text with all that it should be found by.
pub(crate) fn searchable(text: &str) -> String {
    let mut output = String::with_capacity(text.len() * 3 / 2);
    STEMS.with_borrow_mut(|stems| {
        for word in words(text) {
            let parts = parts(word);
            if parts.len() > 1 {
                output.push_str(word);
                output.push(' ');
            }
            for part in parts {
                output.push_str(part);
                output.push(' ');
                if let Some(stem) = stems.of(&lower(part)) {
                    output.push_str(&stem);
                    output.push(' ');
                }
            }
        }
    });
    output
}

thread_local! {
    static STEMS: RefCell<Stems> = RefCell::new(Stems::default());
}

/// The stems of words that were seen lately: texts repeat their words, and stemming is most of what indexing costs.
#[derive(Default)]
struct Stems(HashMap<Box<str>, Option<Box<str>>, foldhash::fast::RandomState>);

/// How many words are kept, and how many bytes of each at most: half a megabyte a thread.
const KEPT_WORDS: usize = 8_192;
const KEPT_WORD_BYTES: usize = 24;

impl Stems {
    /// The stem of a word in lower case, if it is another word.
    fn of(&mut self, word: &str) -> Option<Cow<'_, str>> {
        if word.len() > KEPT_WORD_BYTES {
            return stem(word).map(Cow::Owned);
        }
        if !self.0.contains_key(word) {
            if self.0.len() == KEPT_WORDS {
                self.0.clear();
            }
            self.0.insert(word.into(), stem(word).map(String::into_boxed_str));
        }
        self.0.get(word)?.as_deref().map(Cow::Borrowed)
    }
}

fn stem(word: &str) -> Option<String> {
    let stem = Stemmer::create(Algorithm::English).stem(word);
    (stem != word).then(|| stem.into_owned())
}

fn lower(word: &str) -> Cow<'_, str> {
    if word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
        Cow::Borrowed(word)
    } else {
        Cow::Owned(word.to_lowercase())
    }
}

/// What a person types as an FTS5 expression; `None` if there is no word in it, an error if there are too many.
pub(crate) fn match_expression(query: &str) -> Result<Option<String>, usize> {
    let begins = |word: &str| {
        let word = lower(word);
        match stem(&word) {
            None => format!("\"{word}\"*"),
            Some(stem) => format!("(\"{word}\"* OR \"{stem}\"*)"),
        }
    };
    let mut terms = Vec::new();
    for word in words(query) {
        let parts = parts(word);
        if parts.len() > 1 {
            let every = parts.iter().map(|part| begins(part)).collect::<Vec<_>>().join(" AND ");
            terms.push(format!("({} OR ({every}))", begins(word)));
        } else {
            terms.push(begins(word));
        }
    }
    match terms.len() {
        0 => Ok(None),
        count if count > MAX_FILTERS => Err(count),
        _ => Ok(Some(terms.join(" AND "))),
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    let combining = |character: char| ('\u{300}'..='\u{36F}').contains(&character);
    text.split(move |character: char| !character.is_alphanumeric() && !combining(character))
        .filter(|word| !word.is_empty())
}

/// The words inside a camelCase word: `readFile` is read and File, `HTTPServer` is HTTP and Server.
fn parts(word: &str) -> Vec<&str> {
    let mut parts = Vec::with_capacity(1);
    let mut start = 0;
    let mut before: Option<char> = None;
    for (at, here) in word.char_indices() {
        if let Some(before) = before.filter(|_| here.is_uppercase()) {
            let next = word.get(at + here.len_utf8()..).and_then(|rest| rest.chars().next());
            if !before.is_uppercase() || next.is_some_and(char::is_lowercase) {
                parts.extend(word.get(start..at));
                start = at;
            }
        }
        before = Some(here);
    }
    parts.extend(word.get(start..));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn camel_case_is_parted_and_kept() {
        assert_eq!(parts("readFile"), ["read", "File"]);
        assert_eq!(parts("HTTPServer"), ["HTTP", "Server"]);
        assert_eq!(parts("JSON"), ["JSON"]);
        assert_eq!(searchable("read_file, GitHub"), "read file GitHub Git Hub ");
        assert_eq!(searchable("Running servers"), "Running run servers server ");
    }

    #[test]
    fn nothing_in_a_query_is_syntax() {
        assert_eq!(match_expression("a\" OR b*").unwrap().unwrap(), "\"a\"* AND \"or\"* AND \"b\"*");
        assert_eq!(match_expression("--- (\"*\")").unwrap(), None);
        assert_eq!(match_expression("files").unwrap().unwrap(), "(\"files\"* OR \"file\"*)");
        assert_eq!(match_expression(&"a ".repeat(33)), Err(33));
    }
}
