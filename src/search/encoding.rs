//! Documents as bytes, as they are stored.
//!
//! Of each document its name, the number of its words, the words, and its vector. A word is the word itself and a byte: in its
//! highest bit whether the word is prominent, in the others its weight. Texts, and
//! the vector, come with their length in front, as a LEB128 number (<https://en.wikipedia.org/wiki/LEB128>).

use super::document::{Document, HEAVIEST, Term};

/// The bytes of documents.
pub(crate) fn encode(documents: &[Document]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(documents.len() * 768);
    for Document { name, terms, vector } in documents {
        put(&mut bytes, name.as_bytes());
        put_number(&mut bytes, terms.len());
        for Term { word, weight, is_prominent } in terms {
            put(&mut bytes, word.as_bytes());
            put_weight(&mut bytes, *weight, *is_prominent);
        }
        let vector = vector.as_deref().unwrap_or_default();
        put_number(&mut bytes, vector.len());
        bytes.extend(vector.iter().map(|component| component.cast_unsigned()));
    }
    bytes
}

/// A document that is stored.
#[derive(Debug, PartialEq)]
pub(super) struct Stored<'a> {
    pub(super) name: &'a str,
    pub(super) words: Vec<StoredWord<'a>>,
    /// Signed bytes; none if it has no vector.
    pub(super) vector: Option<&'a [u8]>,
}

/// A word of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct StoredWord<'a> {
    pub(super) word: &'a str,
    pub(super) weight: u8,
    pub(super) is_prominent: bool,
}

/// The documents that bytes stand for; none if somebody has edited them into something else.
pub(super) fn decode(bytes: &[u8]) -> Option<Vec<Stored<'_>>> {
    let mut rest = bytes;
    let mut documents = Vec::new();
    while !rest.is_empty() {
        let name = text(&mut rest)?;
        let count = number(&mut rest)?;
        let mut words = Vec::with_capacity(count.min(rest.len()));
        for _ in 0..count {
            let word = text(&mut rest)?;
            let (weight, is_prominent) = weight(&mut rest)?;
            words.push(StoredWord { word, weight, is_prominent });
        }
        let vector = take(&mut rest)?;
        documents.push(Stored { name, words, vector: Some(vector).filter(|vector| is_whole(vector)) });
    }
    Some(documents).filter(|documents| !documents.is_empty())
}

#[cfg(feature = "semantic")]
fn is_whole(vector: &[u8]) -> bool {
    vector.len() == super::embedding::dimensions()
}

#[cfg(not(feature = "semantic"))]
fn is_whole(_: &[u8]) -> bool {
    false
}

fn put(bytes: &mut Vec<u8>, text: &[u8]) {
    put_number(bytes, text.len());
    bytes.extend_from_slice(text);
}

pub(super) fn put_weight(bytes: &mut Vec<u8>, weight: u8, is_prominent: bool) {
    bytes.push(weight & HEAVIEST | if is_prominent { !HEAVIEST } else { 0 });
}

#[inline]
pub(super) fn weight(rest: &mut &[u8]) -> Option<(u8, bool)> {
    let (byte, after) = rest.split_first()?;
    *rest = after;
    Some((byte & HEAVIEST, byte & !HEAVIEST != 0))
}

pub(super) fn put_number(bytes: &mut Vec<u8>, mut number: usize) {
    loop {
        let low = u8::try_from(number & 0x7F).unwrap_or_default();
        number >>= 7;
        bytes.push(low | u8::from(number > 0) << 7);
        if number == 0 {
            return;
        }
    }
}

#[inline]
pub(super) fn number(rest: &mut &[u8]) -> Option<usize> {
    if let [byte @ 0..0x80, after @ ..] = rest {
        *rest = after;
        return Some(usize::from(*byte));
    }
    long_number(rest)
}

fn long_number(rest: &mut &[u8]) -> Option<usize> {
    let mut number = 0;
    for place in 0..5 {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        number |= usize::from(byte & 0x7F) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = number(rest)?;
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(taken)
}

fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    std::str::from_utf8(take(rest)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_encoded_is_read_back() {
        let term = |word: &str, weight, is_prominent| Term { word: word.to_owned(), weight, is_prominent };
        let long = "x".repeat(300);
        let terms = vec![term("files", 127, true), term(&long, 1, false), term("文件", 64, true)];
        let bytes = encode(&[
            Document { name: String::new(), terms, vector: None },
            Document { name: "read_file".to_owned(), terms: Vec::new(), vector: None },
        ]);
        let word = |word, weight, is_prominent| StoredWord { word, weight, is_prominent };
        let words = vec![word("files", 127, true), word(&long, 1, false), word("文件", 64, true)];
        let expected = vec![
            Stored { name: "", words, vector: None },
            Stored { name: "read_file", words: Vec::new(), vector: None },
        ];
        assert_eq!(decode(&bytes), Some(expected));
        assert_eq!(decode(&[]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }
    }
}
