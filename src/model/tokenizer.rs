//! Splits texts into search terms, in the same way for documents and queries.
//!
//! Case, diacritics and punctuation are ignored. `readFile`, `read_file` and `read file` are the same two words; `readFile`
//! is also a single word, so that `github` finds GitHub. Words are reduced to their stems (Porter2,
//! <https://snowballstem.org/algorithms/english/stemmer.html>). Scripts without spaces between words (Chinese, Japanese,
//! Korean, Thai and similar ones) are indexed by bigrams of characters, so that any part of a text is found.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;

use icu_normalizer::DecomposingNormalizerBorrowed;
use rust_stemmers::{Algorithm, Stemmer};

/// A word of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    /// The word in lower case, without diacritics.
    pub(crate) text: String,
    /// Its parts, if it consists of several words (`readFile`) or of bigrams (`文件名`).
    pub(crate) parts: Vec<String>,
    /// Whether the parts are bigrams: only they are indexed, not the whole text.
    pub(crate) is_bigrams: bool,
}

/// Returns the words of a text, in order.
pub(crate) fn words(text: &str) -> Vec<Word> {
    let text = without_diacritics(text);
    let mut words = Vec::new();
    for run in runs(&text) {
        if run.chars().next().is_some_and(is_unspaced) {
            words.push(Word { text: run.to_lowercase(), parts: bigrams(run), is_bigrams: true });
            continue;
        }
        let parts = split_identifier(run);
        let parts = if parts.len() > 1 {
            parts.into_iter().map(|part| lowercase(part).into_owned()).collect()
        } else {
            Vec::new()
        };
        words.push(Word { text: lowercase(run).into_owned(), parts, is_bigrams: false });
    }
    words
}

/// Calls a function with each term of a text and its stem.
pub(crate) fn each_term(text: &str, mut term: impl FnMut(&str, &str)) {
    let text = without_diacritics(text);
    STEMS.with_borrow_mut(|stems| {
        for run in runs(&text) {
            if run.chars().next().is_some_and(is_unspaced) {
                for bigram in bigrams(run) {
                    term(&bigram, &bigram);
                }
                continue;
            }
            let parts = split_identifier(run);
            if parts.len() > 1 {
                let whole = lowercase(run);
                term(&whole, &whole);
            }
            for part in parts {
                let part = lowercase(part);
                let stem = stems.of(&part);
                term(&part, stem.as_deref().unwrap_or(&part));
            }
        }
    });
}

/// Calls a function with the stem of a term, which is cached.
pub(crate) fn with_stem<T>(word: &str, stem: impl FnOnce(&str) -> T) -> T {
    STEMS.with_borrow_mut(|stems| stem(stems.of(word).as_deref().unwrap_or(word)))
}

/// Returns the stem of a word in lower case.
pub(crate) fn stem(word: &str) -> Cow<'_, str> {
    if word.bytes().all(|byte| byte.is_ascii_lowercase()) {
        Stemmer::create(Algorithm::English).stem(word)
    } else {
        Cow::Borrowed(word)
    }
}

/// Returns whether a word is a stop word, which carries no meaning in a search.
pub(crate) fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.binary_search(&word).is_ok()
}

const STOP_WORDS: [&str; 92] = [
    "a",
    "about",
    "all",
    "am",
    "an",
    "and",
    "any",
    "are",
    "as",
    "at",
    "be",
    "been",
    "but",
    "by",
    "can",
    "could",
    "d",
    "did",
    "do",
    "does",
    "done",
    "for",
    "from",
    "had",
    "has",
    "have",
    "he",
    "her",
    "him",
    "his",
    "how",
    "i",
    "if",
    "in",
    "into",
    "is",
    "it",
    "its",
    "just",
    "let",
    "ll",
    "m",
    "me",
    "my",
    "need",
    "no",
    "not",
    "of",
    "on",
    "or",
    "our",
    "please",
    "re",
    "s",
    "she",
    "should",
    "so",
    "some",
    "somehow",
    "something",
    "t",
    "than",
    "that",
    "the",
    "their",
    "them",
    "then",
    "there",
    "these",
    "they",
    "this",
    "those",
    "to",
    "us",
    "ve",
    "want",
    "was",
    "we",
    "were",
    "what",
    "when",
    "where",
    "which",
    "who",
    "whom",
    "why",
    "will",
    "with",
    "would",
    "yes",
    "you",
    "your",
];

thread_local! {
    static STEMS: RefCell<StemCache> = RefCell::new(StemCache::default());
}

/// A cache of stems: texts repeat their words, and stemming is most of the cost of indexing.
#[derive(Default)]
struct StemCache(HashMap<Box<str>, Option<Box<str>>, foldhash::fast::RandomState>);

/// The maximum number of cached words and the maximum length of each: half a megabyte per thread.
const MAX_CACHED_STEMS: usize = 8_192;
const MAX_CACHED_WORD_BYTES: usize = 24;

impl StemCache {
    /// Returns the stem of a word in lower case, if it differs from the word.
    fn of(&mut self, word: &str) -> Option<Cow<'_, str>> {
        let new = |word: &str| {
            let stem = stem(word);
            (stem != word).then(|| stem.into_owned())
        };
        if word.len() > MAX_CACHED_WORD_BYTES {
            return new(word).map(Cow::Owned);
        }
        if !self.0.contains_key(word) {
            if self.0.len() == MAX_CACHED_STEMS {
                self.0.clear();
            }
            self.0.insert(word.into(), new(word).map(String::into_boxed_str));
        }
        self.0.get(word)?.as_deref().map(Cow::Borrowed)
    }
}

fn lowercase(word: &str) -> Cow<'_, str> {
    if word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
        Cow::Borrowed(word)
    } else {
        Cow::Owned(word.to_lowercase())
    }
}

/// Removes diacritics. Only scripts that have them are decomposed, so that Korean syllables stay whole.
fn without_diacritics(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let normalizer = const { DecomposingNormalizerBorrowed::new_nfkd() };
    let mut plain = String::with_capacity(text.len());
    let mut buffer = [0; 4];
    for character in text.chars() {
        match character {
            '\u{300}'..='\u{36F}' => {}
            '\u{80}'..='\u{52F}' | '\u{1E00}'..='\u{1FFF}' | '\u{FF01}'..='\u{FF5E}' => {
                let decomposed = normalizer.normalize(character.encode_utf8(&mut buffer));
                plain.extend(decomposed.chars().filter(|part| !('\u{300}'..='\u{36F}').contains(part)));
            }
            other => plain.push(other),
        }
    }
    Cow::Owned(plain)
}

/// Returns whether a character belongs to a script without spaces between words.
fn is_unspaced(character: char) -> bool {
    matches!(character,
        '\u{E01}'..='\u{EFF}' | '\u{1000}'..='\u{109F}' | '\u{1100}'..='\u{11FF}' | '\u{1780}'..='\u{17FF}'
        | '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{30FF}' | '\u{3130}'..='\u{318F}' | '\u{31F0}'..='\u{31FF}'
        | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7AF}' | '\u{F900}'..='\u{FAFF}'
        | '\u{FF66}'..='\u{FF9D}' | '\u{20000}'..='\u{3FFFF}')
}

/// Returns whether a character is part of a word: a letter, a digit, or a sign of an Indic or Arabic letter.
fn is_word_character(character: char) -> bool {
    character.is_alphanumeric()
        || is_unspaced(character)
        || matches!(character, '\u{64B}'..='\u{65F}' | '\u{670}' | '\u{900}'..='\u{DFF}')
}

/// Returns the words of a text, and its runs of scripts without spaces.
fn runs(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = rest.find(is_word_character)?;
        let from = rest.get(start..)?;
        let unspaced = from.chars().next().is_some_and(is_unspaced);
        let end =
            from.find(|here| !is_word_character(here) || is_unspaced(here) != unspaced).unwrap_or(from.len());
        let (run, after) = from.split_at(end);
        rest = after;
        Some(run)
    })
}

/// Returns all bigrams of adjacent characters, and the last character: a single character is matched as a prefix.
fn bigrams(run: &str) -> Vec<String> {
    let characters: Vec<char> = run.chars().flat_map(char::to_lowercase).collect();
    let mut bigrams: Vec<String> = characters.windows(2).map(|pair| pair.iter().collect()).collect();
    bigrams.extend(characters.last().map(char::to_string));
    bigrams
}

/// Splits an identifier into words: `readFile` into read and File, `HTTPServer2` into HTTP, Server and 2. Digits stay with
/// less than three letters: `s3`, `ec2`, `k8s`.
fn split_identifier(word: &str) -> Vec<&str> {
    const MIN_LETTERS: usize = 3;
    let mut parts = Vec::with_capacity(1);
    let mut start = 0;
    let mut before: Option<char> = None;
    let mut letters = 0;
    for (at, here) in word.char_indices() {
        let next = || word.get(at + here.len_utf8()..).and_then(|rest| rest.chars().next());
        let starts_part = before.is_some_and(|before| {
            if here.is_uppercase() {
                !before.is_uppercase() && !before.is_numeric() || next().is_some_and(char::is_lowercase)
            } else {
                here.is_numeric() && !before.is_numeric() && letters >= MIN_LETTERS
                    || !here.is_numeric() && before.is_numeric() && letters == 0 && at - start > 1
            }
        });
        if starts_part && at > start {
            parts.extend(word.get(start..at));
            (start, letters) = (at, 0);
        }
        letters += usize::from(!here.is_numeric());
        before = Some(here);
    }
    parts.extend(word.get(start..));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        each_term(text, |word, stem| {
            found.push(if word == stem { word.to_owned() } else { format!("{word}>{stem}") });
        });
        found
    }

    #[test]
    fn identifiers_are_indexed_as_a_whole_and_in_parts() {
        for (word, expected) in [
            ("readFile", &["read", "File"][..]),
            ("HTTPServer2", &["HTTP", "Server", "2"]),
            ("JSON", &["JSON"]),
            ("s3", &["s3"]),
            ("EC2", &["EC2"]),
            ("k8s", &["k8s"]),
            ("utf8", &["utf", "8"]),
            ("listDomainsV1", &["list", "Domains", "V1"]),
        ] {
            assert_eq!(split_identifier(word), expected, "{word}");
        }
        assert_eq!(terms("read_file, GitHub"), ["read", "file", "github", "git", "hub"]);
        assert_eq!(terms("Running servers"), ["running>run", "servers>server"]);
    }

    #[test]
    fn case_and_diacritics_do_not_matter() {
        assert_eq!(terms("Résumé CAFÉ"), terms("resume cafe"));
        assert_eq!(terms("re\u{301}sume\u{301}"), terms("resume"));
        assert_eq!(terms("ＦＩＬＥ"), ["file"]);
    }

    #[test]
    fn scripts_without_spaces_are_indexed_by_bigrams() {
        assert_eq!(terms("文件名 read"), ["文件", "件名", "名", "read"]);
        assert_eq!(terms("파일"), ["파일", "일"]);
        assert_eq!(terms("ไฟล์"), ["ไฟ", "ฟล", "ล์", "์"]);
        assert_eq!(terms("read文件"), ["read", "文件", "件"]);
    }

    #[test]
    fn stop_words_can_be_looked_up() {
        assert!(STOP_WORDS.is_sorted());
        assert!(is_stop_word("the") && !is_stop_word("file"));
    }
}
