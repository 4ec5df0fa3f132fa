//! Documents as bytes, as they are stored.
//!
//! Of each document its name, the number of its words, the words, and its vector. A word is the word itself, its stem (empty
//! if that is the same), and a byte: in its highest bit whether the word is prominent, in the others its weight. Texts, and
//! the vector, come with their length in front, as a LEB128 number (<https://en.wikipedia.org/wiki/LEB128>).

use super::document::{Document, Documents, HEAVIEST, Term};

/// The bytes of documents.
pub(crate) fn encode(documents: &[Document]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(documents.len() * 768);
    for Document { name, terms, vector } in documents {
        put(&mut bytes, name.as_bytes());
        put_number(&mut bytes, terms.len());
        for Term { word, stem, weight, is_prominent } in terms {
            put(&mut bytes, word.as_bytes());
            put(&mut bytes, stem.as_deref().unwrap_or_default().as_bytes());
            bytes.push(weight | u8::from(*is_prominent) << 7);
        }
        let vector = vector.as_deref().unwrap_or_default();
        put_number(&mut bytes, vector.len());
        bytes.extend(vector.iter().map(|component| component.cast_unsigned()));
    }
    bytes
}

/// The documents that bytes stand for; none if somebody has edited them into something else.
pub(crate) fn decode(bytes: &[u8]) -> Option<Documents> {
    let mut rest = bytes;
    let mut documents = Vec::new();
    while !rest.is_empty() {
        let name = text(&mut rest)?;
        let count = number(&mut rest)?;
        let mut terms = Vec::with_capacity(count.min(rest.len()));
        for _ in 0..count {
            let (word, stem) = (text(&mut rest)?, text(&mut rest)?);
            let (byte, after) = rest.split_first()?;
            rest = after;
            let stem = Some(stem).filter(|stem| !stem.is_empty());
            terms.push(Term { word, stem, weight: byte & HEAVIEST, is_prominent: byte & !HEAVIEST != 0 });
        }
        let vector = take(&mut rest)?;
        let vector: Box<[i8]> = vector.iter().map(|component| component.cast_signed()).collect();
        documents.push(Document { name, terms, vector: Some(vector).filter(|vector| is_whole(vector)) });
    }
    Some(documents).filter(|documents| !documents.is_empty())
}

#[cfg(feature = "semantic")]
fn is_whole(vector: &[i8]) -> bool {
    vector.len() == super::embedding::dimensions()
}

#[cfg(not(feature = "semantic"))]
fn is_whole(_: &[i8]) -> bool {
    false
}

fn put(bytes: &mut Vec<u8>, text: &[u8]) {
    put_number(bytes, text.len());
    bytes.extend_from_slice(text);
}

fn put_number(bytes: &mut Vec<u8>, mut number: usize) {
    loop {
        let low = u8::try_from(number & 0x7F).unwrap_or_default();
        number >>= 7;
        bytes.push(low | u8::from(number > 0) << 7);
        if number == 0 {
            return;
        }
    }
}

fn number(rest: &mut &[u8]) -> Option<usize> {
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

fn text(rest: &mut &[u8]) -> Option<String> {
    String::from_utf8(take(rest)?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_encoded_is_read_back() {
        let term = |word: &str, stem: Option<&str>, weight, is_prominent| Term {
            word: word.to_owned(),
            stem: stem.map(str::to_owned),
            weight,
            is_prominent,
        };
        let long = "x".repeat(300);
        let terms = vec![
            term("files", Some("file"), 127, true),
            term(&long, None, 1, false),
            term("文件", None, 64, true),
        ];
        let documents = vec![
            Document { name: String::new(), terms, vector: None },
            Document { name: "read_file".to_owned(), terms: Vec::new(), vector: None },
        ];
        assert_eq!(decode(&encode(&documents)), Some(documents));
        assert_eq!(decode(&[]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }
    }
}
