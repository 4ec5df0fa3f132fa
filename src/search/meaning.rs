//! How near each document comes to what is searched for, by its meaning.

#[cfg(feature = "semantic")]
use super::embedding;
use super::index::Index;
use super::query::Query;
#[cfg(feature = "semantic")]
use crate::model::Word;

/// The cosine of each document; none if the text means nothing. `guessed` are the words that may be mistyped.
#[cfg(feature = "semantic")]
pub(super) fn cosines(index: &Index, query: &Query, guessed: &[usize]) -> Vec<f32> {
    // What is half typed or mistyped means what it was to be.
    let meant = |(place, word): (usize, &Word)| {
        let text = guessed.contains(&place).then(|| index.completed(&word.text)).flatten();
        match text {
            Some(text) => Word { text: text.to_owned(), parts: Vec::new(), is_pairs: false },
            None => word.clone(),
        }
    };
    let words: Vec<Word> = query.words.iter().enumerate().map(meant).collect();
    // Of what is no word at all, only its pieces would be known, and they mean nothing.
    let is_known = |word: &Word| {
        index.has(word) || word.parts.iter().chain([&word.text]).any(|text| embedding::knows(text))
    };
    if !words.iter().any(is_known) {
        return Vec::new();
    }
    let mut embedding = embedding::Embedding::new();
    embedding.add_words(&words, 1.0, f32::INFINITY);
    let Some(vector) = embedding.vector() else { return Vec::new() };
    let length = embedding::length(&vector);
    let vector = embedding::wide(&vector);
    let vectors = index.vectors.chunks_exact(vector.len()).zip(&index.lengths);
    let cosine = |(other, other_length): (&[i8], &f32)| {
        #[expect(clippy::cast_precision_loss, reason = "below 2^22")]
        let dot = embedding::dot(&vector, other) as f32;
        if *other_length > 0.0 { dot / (length * other_length) } else { 0.0 }
    };
    vectors.map(cosine).collect()
}

#[cfg(not(feature = "semantic"))]
pub(super) fn cosines(_: &Index, _: &Query, _: &[usize]) -> Vec<f32> {
    Vec::new()
}
