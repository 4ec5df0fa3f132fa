//! What a text means, as a vector: static embeddings.
//!
//! A table holds one vector for each token of a vocabulary. A text is the weighted sum of its tokens' vectors, and two
//! texts mean the same as far as their vectors point in one direction. That takes microseconds, and neither a network
//! nor a runtime. The table is made by `training/`, which also says from what and under which licenses.
//!
//! The file, all numbers little-endian: `PEMB`, version, dimensions and tokens as `u32`; of each token in alphabetical
//! order the length of its text as `u8`; their texts; of each the number of its row as `u16`; of each row its scale as
//! `f32`; the rows, one `i8` a dimension. Frequent tokens have the first rows, so that few pages are read.

use std::sync::OnceLock;

use crate::model::{Word, stem, words};

/// The table.
static FILE: &[u8] = include_bytes!("embeddings.bin");

/// The components of a vector, of unit length times an arbitrary factor.
pub(crate) type Vector = Box<[i8]>;

/// What marks the piece of a word that is not its beginning.
const CONTINUES: &str = "##";

/// Longer words mean nothing.
const WORD_BYTES: usize = 64;

/// See the [module](self).
struct Table {
    dimensions: usize,
    /// Where each token's text ends in `texts`.
    ends: Vec<u32>,
    texts: &'static str,
    rows: &'static [u8],
    scales: &'static [u8],
    vectors: &'static [u8],
}

/// The version of the table: vectors of different versions say nothing about each other.
pub(crate) fn version() -> u32 {
    number(FILE, 4)
}

/// The components of a vector.
pub(crate) fn dimensions() -> usize {
    number(FILE, 8) as usize
}

fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn table() -> Option<&'static Table> {
    static TABLE: OnceLock<Option<Table>> = OnceLock::new();
    TABLE.get_or_init(|| Table::read(FILE)).as_ref()
}

impl Table {
    fn read(file: &'static [u8]) -> Option<Self> {
        let dimensions = number(file, 8) as usize;
        let tokens = number(file, 12) as usize;
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
        let is_whole = file.starts_with(b"PEMB") && vectors.len() == tokens * dimensions;
        let texts = std::str::from_utf8(texts).ok()?;
        is_whole.then_some(Self { dimensions, ends, texts, rows, scales, vectors })
    }

    fn token(&self, place: usize) -> Option<&'static str> {
        let start = place.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        self.texts.get(start as usize..*self.ends.get(place)? as usize)
    }

    /// The row of a token.
    fn row(&self, prefix: &str, text: &str) -> Option<usize> {
        let wanted = prefix.bytes().chain(text.bytes());
        let (mut low, mut high) = (0, self.ends.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.token(middle)?.bytes().cmp(wanted.clone()) {
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

    /// The rows of a word: its own, or those of the longest pieces that it can be put together from.
    fn rows_of(&self, word: &str, rows: &mut Vec<usize>) {
        if word.len() > WORD_BYTES {
            return;
        }
        let (first, mut start) = (rows.len(), 0);
        while start < word.len() {
            let prefix = if start == 0 { "" } else { CONTINUES };
            let piece = (start + 1..=word.len())
                .rev()
                .find_map(|end| Some((self.row(prefix, word.get(start..end)?)?, end)));
            let Some((row, end)) = piece else {
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

/// Whether the table has a word, or its stem, as a whole.
pub(crate) fn knows(word: &str) -> bool {
    table().is_some_and(|table| table.row("", word).or_else(|| table.row("", &stem(word))).is_some())
}

/// How rare a word is in the language, from 0 to 1, by how far down it is in the table.
pub(crate) fn rarity(word: &str) -> f32 {
    const COMMON: f32 = 10.0;
    let Some(table) = table() else { return 1.0 };
    let row = |word: &str| table.row("", word);
    let Some(row) = row(word).into_iter().chain(row(&stem(word))).min() else { return 1.0 };
    #[expect(clippy::cast_precision_loss, reason = "rows are numbered in 16 bits")]
    let (row, rows) = (row as f32, table.ends.len() as f32);
    ((row + COMMON) / COMMON).ln() / (rows / COMMON).ln()
}

/// A text in the making: parts of it may weigh more than others.
pub(crate) struct Embedding {
    sum: Vec<f32>,
    rows: Vec<usize>,
}

impl Embedding {
    pub(crate) fn new() -> Self {
        Self { sum: vec![0.0; dimensions()], rows: Vec::new() }
    }

    /// Adds a text, each of whose tokens weighs so much, and all of them together no more than `most` tokens would.
    pub(crate) fn add(&mut self, text: &str, weight: f32, most: f32) {
        self.add_words(&words(text), weight, most);
    }

    pub(crate) fn add_words(&mut self, words: &[Word], weight: f32, most: f32) {
        let Some(table) = table() else { return };
        self.rows.clear();
        for word in words.iter().filter(|word| !word.is_pairs) {
            if word.parts.is_empty() {
                table.rows_of(&word.text, &mut self.rows);
            } else {
                word.parts.iter().for_each(|part| table.rows_of(part, &mut self.rows));
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "a few hundred tokens")]
        let weight = weight * (most / self.rows.len().max(1) as f32).min(1.0);
        self.rows.iter().for_each(|row| table.add(*row, weight, &mut self.sum));
    }

    /// The vector; none of a text without a known token.
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

/// The length of a vector.
pub(crate) fn length(vector: &[i8]) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "below 2^22")]
    let square = dot(&wide(vector), vector) as f32;
    square.sqrt()
}

/// A vector to be multiplied with many others.
pub(crate) fn wide(vector: &[i8]) -> Vec<i16> {
    vector.iter().copied().map(i16::from).collect()
}

/// The scalar product of two vectors.
///
/// Compilers make the best of it in blocks whose bytes are widened first: processors multiply eight pairs of 16 bits at once.
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
    fn the_table_is_whole() {
        assert!(table().is_some());
        assert!(FILE.len() <= 5_000_000, "{} bytes", FILE.len());
    }

    #[test]
    fn the_scalar_product_is_right_at_its_limits() {
        let plain = |one: &[i8], other: &[i8]| -> i32 {
            one.iter().zip(other).map(|(one, other)| i32::from(*one) * i32::from(*other)).sum()
        };
        for length in [0, 1, 15, 16, 17, 160, 163] {
            let one: Vec<i8> = (0..length).map(|place| if place % 3 == 0 { -127 } else { 127 }).collect();
            let other: Vec<i8> = (0..length).map(|place| if place % 5 == 0 { 100 } else { -127 }).collect();
            assert_eq!(dot(&wide(&one), &other), plain(&one, &other), "{length}");
            assert_eq!(dot(&wide(&one), &one), plain(&one, &one), "{length}");
        }
    }

    #[test]
    fn what_means_the_same_is_near() {
        let vector = |text: &str| {
            let mut embedding = Embedding::new();
            embedding.add(text, 1.0, f32::INFINITY);
            embedding.vector().unwrap()
        };
        #[expect(clippy::cast_precision_loss, reason = "below 2^22")]
        let cosine = |one: &str, other: &str| {
            let (one, other) = (vector(one), vector(other));
            dot(&wide(&one), &other) as f32 / length(&one) / length(&other)
        };
        for (query, near, far) in [
            ("open a ticket", "create issue", "delete file"),
            ("picture of the screen", "take screenshot", "list users"),
            ("how warm is it outside", "get weather", "merge branches"),
            ("send mail", "write an email", "play music"),
        ] {
            assert!(
                cosine(query, near) > cosine(query, far) + 0.2,
                "{query}: {} {}",
                cosine(query, near),
                cosine(query, far)
            );
        }
        assert!(Embedding::new().vector().is_none());
    }
}
