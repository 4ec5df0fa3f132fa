//! The embedding of a query and its cosine with each document.

#[cfg(feature = "semantic")]
use super::embedding;
use super::index::Index;
use super::query::Query;
#[cfg(feature = "semantic")]
use crate::model::Word;

/// The embedding of a query; empty if it contains no known word.
#[derive(Debug, Default)]
pub(super) struct QueryEmbedding {
    vector: Vec<i16>,
    #[cfg_attr(not(feature = "semantic"), expect(dead_code, reason = "only used with the embedding table"))]
    norm: f32,
}

/// With fewer documents, starting a thread takes longer than computing the cosines.
const MIN_DOCUMENTS_FOR_THREAD: usize = 10_000;

impl QueryEmbedding {
    /// Creates the embedding of a query. `misspelled` are the indices of words that may have typos.
    #[cfg(feature = "semantic")]
    pub(super) fn of(index: &Index, query: &Query, misspelled: &[usize]) -> Self {
        // Incomplete and misspelled words are replaced by the most likely words.
        let corrected = |(position, word): (usize, &Word)| {
            let text = misspelled.contains(&position).then(|| index.completion(&word.text)).flatten();
            match text {
                Some(text) => Word { text: text.to_owned(), parts: Vec::new(), is_bigrams: false },
                None => word.clone(),
            }
        };
        let words: Vec<Word> = query.words.iter().enumerate().map(corrected).collect();
        // If no word is known, tokens of unknown words would be all there is, and they carry no meaning.
        let is_known = |word: &Word| {
            index.contains_word(word)
                || word.parts.iter().chain([&word.text]).any(|text| embedding::has_word(text))
        };
        if !words.iter().any(is_known) {
            return Self::default();
        }
        let mut embedding = embedding::EmbeddingBuilder::new();
        embedding.add_words(&words, 1.0, f32::INFINITY);
        let Some(vector) = embedding.vector() else { return Self::default() };
        Self { norm: embedding::norm(&vector), vector: embedding::widen(&vector) }
    }

    #[cfg(not(feature = "semantic"))]
    pub(super) fn of(_: &Index, _: &Query, _: &[usize]) -> Self {
        Self::default()
    }

    /// Does some work and computes the cosine of each document at the same time: reading all vectors takes about as long
    /// as the rest of a search. Without a query embedding there are no cosines.
    pub(super) fn cosines_while<T>(&self, index: &Index, work: impl FnOnce() -> T) -> (T, Vec<f32>) {
        if self.vector.is_empty() || index.documents.len() < MIN_DOCUMENTS_FOR_THREAD {
            return (work(), self.cosines(index));
        }
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("paulina search".to_owned());
            let cosines = thread.spawn_scoped(scope, || self.cosines(index));
            let done = work();
            match cosines.map(std::thread::ScopedJoinHandle::join) {
                Ok(Ok(cosines)) => (done, cosines),
                Ok(Err(panic)) => std::panic::resume_unwind(panic),
                // No thread could be started.
                Err(_) => (done, self.cosines(index)),
            }
        })
    }

    #[cfg(feature = "semantic")]
    fn cosines(&self, index: &Index) -> Vec<f32> {
        if self.vector.is_empty() {
            return Vec::new();
        }
        let vectors = index.vectors.chunks_exact(self.vector.len()).zip(&index.norms);
        let cosine = |(other, other_norm): (&[i8], &f32)| {
            #[expect(clippy::cast_precision_loss, reason = "below 2^22")]
            let dot = embedding::dot(&self.vector, other) as f32;
            if *other_norm > 0.0 { dot / (self.norm * other_norm) } else { 0.0 }
        };
        vectors.map(cosine).collect()
    }

    #[cfg(not(feature = "semantic"))]
    #[expect(clippy::unused_self, reason = "only used with the embedding table")]
    fn cosines(&self, _: &Index) -> Vec<f32> {
        Vec::new()
    }
}

#[cfg(all(test, feature = "semantic"))]
mod tests {
    use super::*;
    use crate::model::SearchText;

    #[test]
    fn cosines_computed_in_a_thread_are_the_same() {
        let mut index = Index::default();
        for number in 0..MIN_DOCUMENTS_FOR_THREAD {
            index.documents.push(0);
            let vector = (0..embedding::dimensions())
                .map(|dimension| i8::try_from((number * 7 + dimension) % 127).unwrap());
            index.vectors.extend(vector);
            index.norms.push(if number % 9 == 0 { 0.0 } else { 500.0 });
        }
        let embedding =
            QueryEmbedding::of(&index, &Query::new(&SearchText::new("read a file".to_owned())), &[]);
        let (done, cosines) = embedding.cosines_while(&index, || "done");
        assert_eq!((done, cosines.len()), ("done", MIN_DOCUMENTS_FOR_THREAD));
        assert_eq!(cosines, embedding.cosines(&index));
        assert!(
            cosines[0] == 0.0 && cosines[1..9].iter().all(|cosine| *cosine != 0.0),
            "{:?}",
            &cosines[..9]
        );
        let unknown = QueryEmbedding::of(&index, &Query::new(&SearchText::new("qqzzx".to_owned())), &[]);
        assert_eq!(unknown.cosines_while(&index, || 1), (1, Vec::new()));
    }
}
