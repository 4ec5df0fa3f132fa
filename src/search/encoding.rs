//! The binary format of stored documents.
//!
//! A document consists of its name, the number of its terms, the terms and its vector. A term consists of its word and a
//! byte: the highest bit says whether the term is prominent, the other bits are its weight. Words and vectors are preceded
//! by their length as a LEB128 number (<https://en.wikipedia.org/wiki/LEB128>).

use super::document::{Document, MAX_WEIGHT, Term};

/// Encodes documents.
pub(crate) fn encode(documents: &[Document]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(documents.len() * 768);
    for Document { name, terms, vector } in documents {
        put_bytes(&mut bytes, name.as_bytes());
        put_number(&mut bytes, terms.len());
        for Term { word, weight, is_prominent } in terms {
            put_bytes(&mut bytes, word.as_bytes());
            put_weight(&mut bytes, *weight, *is_prominent);
        }
        let vector = vector.as_deref().unwrap_or_default();
        put_number(&mut bytes, vector.len());
        bytes.extend(vector.iter().map(|component| component.cast_unsigned()));
    }
    bytes
}

/// A decoded document, which borrows from the stored bytes.
#[derive(Debug, PartialEq)]
pub(super) struct StoredDocument<'a> {
    pub(super) name: &'a str,
    pub(super) terms: Vec<StoredTerm<'a>>,
    /// Signed bytes; `None` if the document has no vector.
    pub(super) vector: Option<&'a [u8]>,
}

/// A term of a decoded document.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct StoredTerm<'a> {
    pub(super) word: &'a str,
    pub(super) weight: u8,
    pub(super) is_prominent: bool,
}

/// Decodes documents; returns `None` if the bytes are not valid.
pub(super) fn decode(bytes: &[u8]) -> Option<Vec<StoredDocument<'_>>> {
    let mut rest = bytes;
    let mut documents = Vec::new();
    while !rest.is_empty() {
        let name = take_text(&mut rest)?;
        let count = take_number(&mut rest)?;
        let mut terms = Vec::with_capacity(count.min(rest.len()));
        for _ in 0..count {
            let word = take_text(&mut rest)?;
            let (weight, is_prominent) = take_weight(&mut rest)?;
            terms.push(StoredTerm { word, weight, is_prominent });
        }
        let vector = take_bytes(&mut rest)?;
        documents.push(StoredDocument {
            name,
            terms,
            vector: Some(vector).filter(|vector| has_all_dimensions(vector)),
        });
    }
    Some(documents).filter(|documents| !documents.is_empty())
}

#[cfg(feature = "semantic")]
fn has_all_dimensions(vector: &[u8]) -> bool {
    vector.len() == super::embedding::dimensions()
}

#[cfg(not(feature = "semantic"))]
fn has_all_dimensions(_: &[u8]) -> bool {
    false
}

fn put_bytes(bytes: &mut Vec<u8>, text: &[u8]) {
    put_number(bytes, text.len());
    bytes.extend_from_slice(text);
}

pub(super) fn put_weight(bytes: &mut Vec<u8>, weight: u8, is_prominent: bool) {
    bytes.push(weight & MAX_WEIGHT | if is_prominent { !MAX_WEIGHT } else { 0 });
}

#[inline]
pub(super) fn take_weight(rest: &mut &[u8]) -> Option<(u8, bool)> {
    let (byte, after) = rest.split_first()?;
    *rest = after;
    Some((byte & MAX_WEIGHT, byte & !MAX_WEIGHT != 0))
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
pub(super) fn take_number(rest: &mut &[u8]) -> Option<usize> {
    if let [byte @ 0..0x80, after @ ..] = rest {
        *rest = after;
        return Some(usize::from(*byte));
    }
    take_long_number(rest)
}

fn take_long_number(rest: &mut &[u8]) -> Option<usize> {
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

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take_number(rest)?;
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(taken)
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    std::str::from_utf8(take_bytes(rest)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn encoded_documents_can_be_decoded() {
        let term = |word: &str, weight, is_prominent| Term { word: word.to_owned(), weight, is_prominent };
        let long = "x".repeat(300);
        let terms = vec![term("files", 127, true), term(&long, 1, false), term("文件", 64, true)];
        let bytes = encode(&[
            Document { name: String::new(), terms, vector: None },
            Document { name: "read_file".to_owned(), terms: Vec::new(), vector: None },
        ]);
        let stored_term = |word, weight, is_prominent| StoredTerm { word, weight, is_prominent };
        let terms = vec![
            stored_term("files", 127, true),
            stored_term(&long, 1, false),
            stored_term("文件", 64, true),
        ];
        let expected = vec![
            StoredDocument { name: "", terms, vector: None },
            StoredDocument { name: "read_file", terms: Vec::new(), vector: None },
        ];
        assert_eq!(decode(&bytes), Some(expected));
        assert_eq!(decode(&[]), None);
    }

    proptest! {
        #[test]
        fn decoding_arbitrary_bytes_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }
    }
}
