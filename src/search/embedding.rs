//! Static embeddings of texts.
//!
//! A table contains one vector for each token of a vocabulary. The embedding of a text is the weighted sum of its tokens'
//! vectors, and the cosine of two embeddings measures how similar the texts are. This takes microseconds and needs neither
//! network access nor a model runtime. `training/` builds the table and documents its sources and licenses.
//!
//! File format, all numbers little-endian: `PEMB`; version, dimensions and number of tokens as `u32`; for each token in
//! alphabetical order the length of its text as `u8`; the texts; for each token its row number as `u16`; for each row its
//! scale as `f32`; the rows, one `i8` per dimension. Frequent tokens have the first rows, so that few pages are read.

use std::sync::OnceLock;

use crate::model::{Word, stem, words};

/// The embedding table, in the format described above.
static TABLE_FILE: &[u8] = include_bytes!("embeddings.bin");

/// A vector, scaled so that its largest component is ±127.
pub(crate) type Vector = Box<[i8]>;

/// Marks a token that continues a word.
const CONTINUATION_PREFIX: &str = "##";

/// Longer words have no embedding.
const MAX_WORD_BYTES: usize = 64;

/// The parsed embedding table.
struct EmbeddingTable {
    dimensions: usize,
    /// The end of each token's text in `texts`.
    ends: Vec<u32>,
    texts: &'static str,
    rows: &'static [u8],
    scales: &'static [u8],
    vectors: &'static [u8],
}

/// Returns the version of the table. Vectors of different versions are not comparable.
pub(crate) fn version() -> u32 {
    read_u32(TABLE_FILE, 4)
}

/// Returns the number of dimensions of a vector.
pub(crate) fn dimensions() -> usize {
    read_u32(TABLE_FILE, 8) as usize
}

fn read_u32(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn table() -> Option<&'static EmbeddingTable> {
    static TABLE: OnceLock<Option<EmbeddingTable>> = OnceLock::new();
    TABLE.get_or_init(|| EmbeddingTable::read(TABLE_FILE)).as_ref()
}

impl EmbeddingTable {
    fn read(file: &'static [u8]) -> Option<Self> {
        let dimensions = read_u32(file, 8) as usize;
        let tokens = read_u32(file, 12) as usize;
        let (lengths, rest) = file.get(16..)?.split_at_checked(tokens)?;
        let mut end = 0;
        let ends: Vec<u32> = lengths
            .iter()
            .map(|length| {
                end += u32::from(*length);
                end
            })
            .collect();
        let (texts, rest) = rest.split_at_checked(end as usize)?;
        let (rows, rest) = rest.split_at_checked(tokens * 2)?;
        let (scales, vectors) = rest.split_at_checked(tokens * 4)?;
        let is_valid = file.starts_with(b"PEMB") && vectors.len() == tokens * dimensions;
        let texts = std::str::from_utf8(texts).ok()?;
        is_valid.then_some(Self { dimensions, ends, texts, rows, scales, vectors })
    }

    fn token(&self, index: usize) -> Option<&'static str> {
        let start = index.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        self.texts.get(start as usize..*self.ends.get(index)? as usize)
    }

    /// Returns the row of a token.
    fn row(&self, prefix: &str, text: &str) -> Option<usize> {
        let expected = prefix.bytes().chain(text.bytes());
        let (mut low, mut high) = (0, self.ends.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.token(middle)?.bytes().cmp(expected.clone()) {
                std::cmp::Ordering::Equal => {
                    let row = self.rows.get(middle * 2..middle * 2 + 2)?;
                    return Some(usize::from(u16::from_le_bytes(row.try_into().ok()?)));
                }
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// Adds the rows of a word: its own, or those of the longest tokens that it consists of.
    fn rows_of(&self, word: &str, rows: &mut Vec<usize>) {
        if word.len() > MAX_WORD_BYTES {
            return;
        }
        let (first, mut start) = (rows.len(), 0);
        while start < word.len() {
            let prefix = if start == 0 { "" } else { CONTINUATION_PREFIX };
            let token = (start + 1..=word.len())
                .rev()
                .find_map(|end| Some((self.row(prefix, word.get(start..end)?)?, end)));
            let Some((row, end)) = token else {
                rows.truncate(first);
                return;
            };
            rows.push(row);
            start = end;
        }
    }

    fn add(&self, row: usize, weight: f32, sum: &mut [f32]) {
        let scale = self.scales.get(row * 4..row * 4 + 4).and_then(|bytes| bytes.try_into().ok());
        let weight = weight * scale.map_or(0.0, f32::from_le_bytes);
        let vector = self.vectors.get(row * self.dimensions..(row + 1) * self.dimensions).unwrap_or_default();
        for (sum, component) in sum.iter_mut().zip(vector) {
            *sum += weight * f32::from(component.cast_signed());
        }
    }
}

/// Returns whether a word or its stem is a single token.
pub(crate) fn has_word(word: &str) -> bool {
    table().is_some_and(|table| table.row("", word).or_else(|| table.row("", &stem(word))).is_some())
}

/// Returns how rare a word is in the language, from 0 to 1, by its row: rows are ordered by frequency.
pub(crate) fn rarity(word: &str) -> f32 {
    const COMMON: f32 = 10.0;
    let Some(table) = table() else { return 1.0 };
    let row = |word: &str| table.row("", word);
    let Some(row) = row(word).into_iter().chain(row(&stem(word))).min() else { return 1.0 };
    #[expect(clippy::cast_precision_loss, reason = "rows are numbered in 16 bits")]
    let (row, rows) = (row as f32, table.ends.len() as f32);
    ((row + COMMON) / COMMON).ln() / (rows / COMMON).ln()
}

/// Builds the embedding of a text whose parts have different weights.
pub(crate) struct EmbeddingBuilder {
    sum: Vec<f32>,
    rows: Vec<usize>,
}

impl EmbeddingBuilder {
    pub(crate) fn new() -> Self {
        Self { sum: vec![0.0; dimensions()], rows: Vec::new() }
    }

    /// Adds a text. Each token has this weight; together they weigh at most as much as `max_tokens` tokens.
    pub(crate) fn add(&mut self, text: &str, weight: f32, max_tokens: f32) {
        self.add_words(&words(text), weight, max_tokens);
    }

    pub(crate) fn add_words(&mut self, words: &[Word], weight: f32, max_tokens: f32) {
        let Some(table) = table() else { return };
        self.rows.clear();
        for word in words.iter().filter(|word| !word.is_bigrams) {
            if word.parts.is_empty() {
                table.rows_of(&word.text, &mut self.rows);
            } else {
                word.parts.iter().for_each(|part| table.rows_of(part, &mut self.rows));
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "a few hundred tokens")]
        let weight = weight * (max_tokens / self.rows.len().max(1) as f32).min(1.0);
        self.rows.iter().for_each(|row| table.add(*row, weight, &mut self.sum));
    }

    /// Returns the vector; `None` if no token is known.
    pub(crate) fn vector(&self) -> Option<Vector> {
        let largest = self.sum.iter().fold(0.0_f32, |largest, component| largest.max(component.abs()));
        if largest <= f32::EPSILON {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "between -127 and 127")]
        let component = |component: &f32| (component * 127.0 / largest).round() as i8;
        Some(self.sum.iter().map(component).collect())
    }
}

/// Returns the Euclidean norm of a vector.
pub(crate) fn norm(vector: &[i8]) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "below 2^22")]
    let square = dot(&widen(vector), vector) as f32;
    square.sqrt()
}

/// Widens a vector that is to be multiplied with many others.
pub(crate) fn widen(vector: &[i8]) -> Vec<i16> {
    vector.iter().copied().map(i16::from).collect()
}

/// Returns the dot product of two vectors.
///
/// Compilers vectorize it best in blocks whose bytes are widened first: processors multiply eight pairs of 16 bits at once.
pub(crate) fn dot(one: &[i16], other: &[i8]) -> i32 {
    fn plain(one: &[i16], other: impl IntoIterator<Item = i16>) -> i32 {
        one.iter().zip(other).map(|(one, other)| i32::from(*one) * i32::from(other)).sum()
    }
    let (one, one_rest) = one.as_chunks::<32>();
    let (other, other_rest) = other.as_chunks::<32>();
    let blocks = one.iter().zip(other).map(|(one, other)| plain(one, other.map(i16::from)));
    blocks.sum::<i32>() + plain(one_rest, other_rest.iter().copied().map(i16::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedding_table_is_valid() {
        assert!(table().is_some());
        assert!(TABLE_FILE.len() <= 5_000_000, "{} bytes", TABLE_FILE.len());
    }

    #[test]
    fn the_dot_product_is_exact_for_extreme_values() {
        let plain = |one: &[i8], other: &[i8]| -> i32 {
            one.iter().zip(other).map(|(one, other)| i32::from(*one) * i32::from(*other)).sum()
        };
        for length in [0, 1, 15, 16, 17, 160, 163] {
            let one: Vec<i8> = (0..length).map(|index| if index % 3 == 0 { -127 } else { 127 }).collect();
            let other: Vec<i8> = (0..length).map(|index| if index % 5 == 0 { 100 } else { -127 }).collect();
            assert_eq!(dot(&widen(&one), &other), plain(&one, &other), "{length}");
            assert_eq!(dot(&widen(&one), &one), plain(&one, &one), "{length}");
        }
    }

    #[test]
    fn similar_texts_have_similar_embeddings() {
        let vector = |text: &str| {
            let mut embedding = EmbeddingBuilder::new();
            embedding.add(text, 1.0, f32::INFINITY);
            embedding.vector().unwrap()
        };
        #[expect(clippy::cast_precision_loss, reason = "below 2^22")]
        let cosine = |one: &str, other: &str| {
            let (one, other) = (vector(one), vector(other));
            dot(&widen(&one), &other) as f32 / norm(&one) / norm(&other)
        };
        for (query, similar, different) in [
            ("open a ticket", "create issue", "delete file"),
            ("picture of the screen", "take screenshot", "list users"),
            ("how warm is it outside", "get weather", "merge branches"),
            ("send mail", "write an email", "play music"),
        ] {
            assert!(
                cosine(query, similar) > cosine(query, different) + 0.2,
                "{query}: {} {}",
                cosine(query, similar),
                cosine(query, different)
            );
        }
        assert!(EmbeddingBuilder::new().vector().is_none());
    }
}
