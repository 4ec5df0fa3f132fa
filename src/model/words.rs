//! Text as search terms, the same way when it is indexed and when it is searched for.
//!
//! Case, diacritics and punctuation do not matter. `readFile`, `read_file` and `read file` are the same two words;
//! `readFile` is one word as well, so that `github` finds GitHub. Words are reduced to their stems (Porter2,
//! <https://snowballstem.org/algorithms/english/stemmer.html>). Scripts that write no spaces between words (Chinese,
//! Japanese, Korean, Thai and their neighbors) are indexed by pairs of characters, so that any part is found.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;

use icu_normalizer::DecomposingNormalizerBorrowed;
use rust_stemmers::{Algorithm, Stemmer};

/// One word of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    /// The word in lower case, without diacritics.
    pub(crate) text: String,
    /// What it is made of, if it is more than one word (`readFile`) or pairs of characters (`文件名`).
    pub(crate) parts: Vec<String>,
    /// Whether every part has to match for the word to match, and the whole never does.
    pub(crate) is_pairs: bool,
}

/// The words of a text, in order.
pub(crate) fn words(text: &str) -> Vec<Word> {
    let text = without_diacritics(text);
    let mut words = Vec::new();
    for run in runs(&text) {
        if run.chars().next().is_some_and(is_unspaced) {
            words.push(Word { text: run.to_lowercase(), parts: pairs(run), is_pairs: true });
            continue;
        }
        let parts = parts(run);
        let parts = if parts.len() > 1 {
            parts.into_iter().map(|part| lower(part).into_owned()).collect()
        } else {
            Vec::new()
        };
        words.push(Word { text: lower(run).into_owned(), parts, is_pairs: false });
    }
    words
}

/// Calls back with each indexed word of a text and its stem.
pub(crate) fn each_term(text: &str, mut term: impl FnMut(&str, &str)) {
    let text = without_diacritics(text);
    STEMS.with_borrow_mut(|stems| {
        for run in runs(&text) {
            if run.chars().next().is_some_and(is_unspaced) {
                for pair in pairs(run) {
                    term(&pair, &pair);
                }
                continue;
            }
            let parts = parts(run);
            if parts.len() > 1 {
                let whole = lower(run);
                term(&whole, &whole);
            }
            for part in parts {
                let part = lower(part);
                let stem = stems.of(&part);
                term(&part, stem.as_deref().unwrap_or(&part));
            }
        }
    });
}

/// Calls back with the stem of an indexed word, which is remembered.
pub(crate) fn with_stem<T>(word: &str, stem: impl FnOnce(&str) -> T) -> T {
    STEMS.with_borrow_mut(|stems| stem(stems.of(word).as_deref().unwrap_or(word)))
}

/// The stem of a word in lower case.
pub(crate) fn stem(word: &str) -> Cow<'_, str> {
    if word.bytes().all(|byte| byte.is_ascii_lowercase()) {
        Stemmer::create(Algorithm::English).stem(word)
    } else {
        Cow::Borrowed(word)
    }
}

/// Whether a word says nothing about what somebody looks for.
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
        let new = |word: &str| {
            let stem = stem(word);
            (stem != word).then(|| stem.into_owned())
        };
        if word.len() > KEPT_WORD_BYTES {
            return new(word).map(Cow::Owned);
        }
        if !self.0.contains_key(word) {
            if self.0.len() == KEPT_WORDS {
                self.0.clear();
            }
            self.0.insert(word.into(), new(word).map(String::into_boxed_str));
        }
        self.0.get(word)?.as_deref().map(Cow::Borrowed)
    }
}

fn lower(word: &str) -> Cow<'_, str> {
    if word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
        Cow::Borrowed(word)
    } else {
        Cow::Owned(word.to_lowercase())
    }
}

/// The text without accents and the like. Only scripts that have them are decomposed: a Korean syllable is to stay one.
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

/// Whether a character belongs to a script that writes no spaces between words.
fn is_unspaced(character: char) -> bool {
    matches!(character,
        '\u{E01}'..='\u{EFF}' | '\u{1000}'..='\u{109F}' | '\u{1100}'..='\u{11FF}' | '\u{1780}'..='\u{17FF}'
        | '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{30FF}' | '\u{3130}'..='\u{318F}' | '\u{31F0}'..='\u{31FF}'
        | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7AF}' | '\u{F900}'..='\u{FAFF}'
        | '\u{FF66}'..='\u{FF9D}' | '\u{20000}'..='\u{3FFFF}')
}

/// Whether a character is part of a word: letters, digits, and the signs that Indic and Arabic letters carry.
fn is_of_word(character: char) -> bool {
    character.is_alphanumeric()
        || is_unspaced(character)
        || matches!(character, '\u{64B}'..='\u{65F}' | '\u{670}' | '\u{900}'..='\u{DFF}')
}

/// The runs of characters that are words, or texts of scripts without spaces.
fn runs(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = rest.find(is_of_word)?;
        let from = rest.get(start..)?;
        let unspaced = from.chars().next().is_some_and(is_unspaced);
        let end = from.find(|here| !is_of_word(here) || is_unspaced(here) != unspaced).unwrap_or(from.len());
        let (run, after) = from.split_at(end);
        rest = after;
        Some(run)
    })
}

/// Every two neighboring characters, and the last one alone: what begins with a character is found by it.
fn pairs(run: &str) -> Vec<String> {
    let characters: Vec<char> = run.chars().flat_map(char::to_lowercase).collect();
    let mut pairs: Vec<String> = characters.windows(2).map(|pair| pair.iter().collect()).collect();
    pairs.extend(characters.last().map(char::to_string));
    pairs
}

/// The words inside a word: `readFile` is read and File, `HTTPServer2` is HTTP, Server and 2. What is shorter than three
/// letters keeps its digit: `s3`, `ec2`, `k8s`.
fn parts(word: &str) -> Vec<&str> {
    const LETTERS: usize = 3;
    let mut parts = Vec::with_capacity(1);
    let mut start = 0;
    let mut before: Option<char> = None;
    let mut letters = 0;
    for (at, here) in word.char_indices() {
        let next = || word.get(at + here.len_utf8()..).and_then(|rest| rest.chars().next());
        let begins = before.is_some_and(|before| {
            if here.is_uppercase() {
                !before.is_uppercase() && !before.is_numeric() || next().is_some_and(char::is_lowercase)
            } else {
                here.is_numeric() && !before.is_numeric() && letters >= LETTERS
                    || !here.is_numeric() && before.is_numeric() && letters == 0 && at - start > 1
            }
        });
        if begins && at > start {
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
    fn identifiers_are_split_and_kept() {
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
            assert_eq!(parts(word), expected, "{word}");
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
    fn scripts_without_spaces_are_indexed_by_pairs() {
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
