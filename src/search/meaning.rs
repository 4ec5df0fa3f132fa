//! How near each document comes to what is searched for, by its meaning.

#[cfg(feature = "semantic")]
use super::embedding;
use super::index::Index;
use super::query::Query;
#[cfg(feature = "semantic")]
use crate::model::Word;

/// What a query means; nothing, if it has no known word.
#[derive(Debug, Default)]
pub(super) struct Meaning {
    vector: Vec<i16>,
    #[cfg_attr(
        not(feature = "semantic"),
        expect(dead_code, reason = "without the table nothing means anything")
    )]
    length: f32,
}

/// Fewer documents are looked at sooner than a thread has begun.
const WORTH_A_THREAD: usize = 10_000;

impl Meaning {
    /// `guessed` are the words that may be mistyped.
    #[cfg(feature = "semantic")]
    pub(super) fn of(index: &Index, query: &Query, guessed: &[usize]) -> Self {
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
            return Self::default();
        }
        let mut embedding = embedding::Embedding::new();
        embedding.add_words(&words, 1.0, f32::INFINITY);
        let Some(vector) = embedding.vector() else { return Self::default() };
        Self { length: embedding::length(&vector), vector: embedding::wide(&vector) }
    }

    #[cfg(not(feature = "semantic"))]
    pub(super) fn of(_: &Index, _: &Query, _: &[usize]) -> Self {
        Self::default()
    }

    /// Does some work, and computes the cosine of each document meanwhile: reading all vectors takes about as long as
    /// everything else. There are no cosines if the query means nothing.
    pub(super) fn while_working<T>(&self, index: &Index, work: impl FnOnce() -> T) -> (T, Vec<f32>) {
        if self.vector.is_empty() || index.documents.len() < WORTH_A_THREAD {
            return (work(), self.cosines(index));
        }
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("paulina search".to_owned());
            let cosines = thread.spawn_scoped(scope, || self.cosines(index));
            let done = work();
            match cosines.map(std::thread::ScopedJoinHandle::join) {
                Ok(Ok(cosines)) => (done, cosines),
                Ok(Err(panic)) => std::panic::resume_unwind(panic),
                // The system has no thread left.
                Err(_) => (done, self.cosines(index)),
            }
        })
    }

    #[cfg(feature = "semantic")]
    fn cosines(&self, index: &Index) -> Vec<f32> {
        if self.vector.is_empty() {
            return Vec::new();
        }
        let vectors = index.vectors.chunks_exact(self.vector.len()).zip(&index.lengths);
        let cosine = |(other, other_length): (&[i8], &f32)| {
            #[expect(clippy::cast_precision_loss, reason = "below 2^22")]
            let dot = embedding::dot(&self.vector, other) as f32;
            if *other_length > 0.0 { dot / (self.length * other_length) } else { 0.0 }
        };
        vectors.map(cosine).collect()
    }

    #[cfg(not(feature = "semantic"))]
    #[expect(clippy::unused_self, reason = "without the table nothing means anything")]
    fn cosines(&self, _: &Index) -> Vec<f32> {
        Vec::new()
    }
}

#[cfg(all(test, feature = "semantic"))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_computes_the_same() {
        let mut index = Index::default();
        for number in 0..WORTH_A_THREAD {
            index.documents.push(0);
            let vector =
                (0..embedding::dimensions()).map(|place| i8::try_from((number * 7 + place) % 127).unwrap());
            index.vectors.extend(vector);
            index.lengths.push(if number % 9 == 0 { 0.0 } else { 500.0 });
        }
        let meaning = Meaning::of(&index, &Query::new("read a file"), &[]);
        let (done, cosines) = meaning.while_working(&index, || "done");
        assert_eq!((done, cosines.len()), ("done", WORTH_A_THREAD));
        assert_eq!(cosines, meaning.cosines(&index));
        assert!(
            cosines[0] == 0.0 && cosines[1..9].iter().all(|cosine| *cosine != 0.0),
            "{:?}",
            &cosines[..9]
        );
        let nothing = Meaning::of(&index, &Query::new("qqzzx"), &[]);
        assert_eq!(nothing.while_working(&index, || 1), (1, Vec::new()));
    }
}
