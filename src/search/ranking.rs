//! The order of results: by words where they are rare and exact, by meaning where they are not.
//!
//! Each result has a score. Its whole part says how its words match:
//!
//! | score | |
//! |---|---|
//! | 2 | what was searched for is its name |
//! | 1 | it holds every word, in a prominent place |
//! | 0 | it holds some, or means something like it |
//!
//! Prominent are names, titles, tags and the beginnings of descriptions: what holds every word somewhere in a long text is
//! seldom what is looked for. The rest, below 1, says how near it comes: the cosine between its vector and the vector of what
//! is searched for, and a little for each word that it holds, by how rare the word is and by where it stands. Meaning finds
//! what is said in other words; words tell apart what means nearly the same, and name products.

use std::sync::Arc;

#[cfg(feature = "semantic")]
use super::embedding;
use super::index::{Index, Text};
use super::matching::{Hits, Kind, Reach};
use super::query::Query;
use crate::model::{MAX_FILTERS, Match, Word, is_stop_word};

/// A result and its score.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ranked<T> {
    pub(crate) item: T,
    pub(crate) score: f64,
}

/// What a word counts for all tools of a server that holds it, and for a server whose tool holds it.
const OF_SERVER: f32 = 0.7;
const OF_TOOL: f32 = 0.8;

/// What a word that nobody else has weighs against meaning.
#[cfg(feature = "semantic")]
const WORD: f32 = 0.1;

/// What means less than this like what is searched for is no result, unless it holds a word.
#[cfg(feature = "semantic")]
const MEANING: f32 = 0.15;

/// A word that is searched for, and where it is.
struct Searched {
    rarity: f32,
    hits: Hits,
}

/// A part of a ranking.
#[cfg(feature = "bench")]
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    /// By words.
    Words,
    /// By meaning.
    Meaning,
}

/// A query held against all documents.
pub(crate) struct Ranking<'a> {
    index: &'a Index,
    query: &'a Query,
    matching: Match,
    /// The words that count.
    words: Vec<Searched>,
    /// Those that only have to be there, where every word has to.
    others: Vec<Hits>,
    /// Whether `words` are all of them.
    is_whole: bool,
    rarities: f32,
    cosines: Vec<f32>,
}

impl<'a> Ranking<'a> {
    pub(crate) fn new(index: &'a Index, query: &'a Query, matching: Match) -> Self {
        let (counting, others): (Vec<_>, Vec<_>) =
            query.words.iter().enumerate().partition(|(_, word)| query.counts(word));
        let last = query.words.len() - 1;
        let searched = |(place, word): (usize, &Word)| {
            // What is half typed is the last word.
            let reach =
                Reach { beginnings: matching == Match::All || place == last, typos: matching == Match::Any };
            let hits = index.hits(word, &joined(&query.words, place), reach);
            Searched { rarity: index.rarity(word, &hits), hits }
        };
        let mut words: Vec<Searched> = counting.into_iter().map(searched).collect();
        let is_whole = words.len() <= MAX_FILTERS;
        if !is_whole {
            words.sort_by(|one, other| other.rarity.total_cmp(&one.rarity));
            words.truncate(MAX_FILTERS);
        }
        let reach = Reach { beginnings: true, typos: false };
        let (others, cosines) = match matching {
            Match::All => (others.iter().map(|(_, word)| index.hits(word, &[], reach)).collect(), Vec::new()),
            Match::Any => (Vec::new(), cosines(index, query)),
        };
        let rarities = words.iter().map(|word| word.rarity).sum::<f32>().max(f32::EPSILON);
        Self { index, query, matching, words, others, is_whole, rarities, cosines }
    }

    /// The same by one part of it alone.
    #[cfg(feature = "bench")]
    pub(crate) fn only(mut self, part: Part) -> Self {
        match part {
            Part::Words => self.cosines.clear(),
            Part::Meaning => self.words.clear(),
        }
        self
    }

    /// The tools of these servers, each name once, best first.
    pub(crate) fn tools(&self, is_allowed: impl Fn(i64) -> bool) -> Vec<Ranked<Arc<str>>> {
        let mut best: Vec<Option<f64>> = vec![None; self.index.name_texts.len()];
        let mut is_wanted = vec![false; self.index.texts.len()];
        for (_, text) in self.index.servers.iter().filter(|(server, _)| is_allowed(**server)) {
            is_wanted.get_mut(*text as usize).into_iter().for_each(|is_wanted| *is_wanted = true);
        }
        for (Text { own, tools, .. }, _) in
            self.index.texts.iter().zip(is_wanted).filter(|(_, is_wanted)| *is_wanted)
        {
            for tool in tools {
                let Some(score) = self.tool_score(*tool, *own) else { continue };
                let name = self.index.documents.get(*tool as usize);
                if let Some(best) = name.and_then(|name| best.get_mut(*name as usize)) {
                    *best = Some(best.map_or(score, |known| known.max(score)));
                }
            }
        }
        let found = best.into_iter().zip(&self.index.name_texts);
        let found = found.filter_map(|(score, name)| Some(Ranked { item: Arc::clone(name), score: score? }));
        sorted(found.map(|found| self.named(found)).collect(), self.matching)
    }

    /// These servers, best first.
    pub(crate) fn servers(&self, is_allowed: impl Fn(i64) -> bool) -> Vec<Ranked<i64>> {
        let mut scores: Vec<Option<Option<f64>>> = vec![None; self.index.texts.len()];
        let servers = self.index.servers.iter().filter(|(server, _)| is_allowed(**server));
        let found = servers.filter_map(|(server, text)| {
            let place = *text as usize;
            let text = self.index.texts.get(place)?;
            let score = *scores.get_mut(place)?.get_or_insert_with(|| self.server_score(text));
            Some(Ranked { item: *server, score: score? })
        });
        sorted(found.collect(), self.matching)
    }

    fn tool_score(&self, tool: u32, server: u32) -> Option<f64> {
        let (tool, server) = (tool as usize, server as usize);
        let own = |hits: &Hits| hits.kinds.get(tool).copied().flatten();
        if self.matching == Match::All && !self.holds_all(own) {
            return None;
        }
        let kind = |hits: &Hits| own(hits).max(hits.kinds.get(server).copied().flatten());
        let weight = |hits: &Hits| {
            let own = hits.weights.get(tool).copied().unwrap_or_default();
            let server = hits.weights.get(server).copied().unwrap_or_default();
            own.max(server * OF_SERVER)
        };
        self.score(kind, weight, self.cosines.get(tool).copied().unwrap_or_default())
    }

    fn server_score(&self, Text { own, tools, .. }: &Text) -> Option<f64> {
        let documents = || tools.iter().chain([own]).map(|document| *document as usize);
        let kind = |hits: &Hits| {
            documents().filter_map(|document| hits.kinds.get(document).copied().flatten()).max()
        };
        if self.matching == Match::All && !self.holds_all(kind) {
            return None;
        }
        let weight = |hits: &Hits| {
            let tools = tools.iter().filter_map(|tool| hits.weights.get(*tool as usize));
            let best = tools.fold(0.0_f32, |best, weight| best.max(*weight));
            hits.weights.get(*own as usize).copied().unwrap_or_default().max(best * OF_TOOL)
        };
        let cosine = documents().filter_map(|document| self.cosines.get(document));
        self.score(kind, weight, cosine.fold(0.0_f32, |best, cosine| best.max(*cosine)))
    }

    /// Whether every word is there, as a word or as the beginning of one.
    fn holds_all(&self, kind: impl Fn(&Hits) -> Option<Kind>) -> bool {
        let hits = self.words.iter().map(|word| &word.hits).chain(&self.others);
        hits.into_iter().all(|hits| kind(hits) >= Some(Kind::Beginning))
    }

    fn score(
        &self,
        kind: impl Fn(&Hits) -> Option<Kind>,
        weight: impl Fn(&Hits) -> f32,
        cosine: f32,
    ) -> Option<f64> {
        let held: f32 = self.words.iter().map(|word| word.rarity * weight(&word.hits)).sum();
        #[cfg(feature = "semantic")]
        let (is_found, nearness) = {
            let is_near = cosine >= MEANING;
            (held > 0.0 || is_near, (cosine.max(0.0) + WORD * held) / (1.0 + WORD * self.rarities))
        };
        #[cfg(not(feature = "semantic"))]
        let (is_found, nearness) = (held > 0.0, held / self.rarities + cosine);
        let holds_every_word = self.is_whole
            && !self.words.is_empty()
            && self.words.iter().all(|word| kind(&word.hits) == Some(Kind::Prominent));
        let band = if holds_every_word { 1.0 } else { 0.0 };
        is_found.then(|| band + f64::from(nearness).clamp(0.0, 0.999))
    }

    /// What was searched for by its name comes before all others.
    fn named(&self, found: Ranked<Arc<str>>) -> Ranked<Arc<str>> {
        // Equal but for how its words are put together: `readFile` for `read_file`.
        fn letters(text: &str) -> impl Iterator<Item = char> {
            text.chars().filter(|character| character.is_alphanumeric()).flat_map(char::to_lowercase)
        }
        let score = if *found.item == *self.query.text {
            2.5 + found.score.fract() / 2.0
        } else if letters(&found.item).eq(letters(&self.query.text)) {
            2.0 + found.score.fract() / 2.0
        } else {
            found.score
        };
        Ranked { score, ..found }
    }
}

/// What a word makes together with the next one, and with the one before.
fn joined(words: &[Word], place: usize) -> Vec<String> {
    let word = |place: usize| words.get(place).filter(|word| !word.is_pairs && !is_stop_word(&word.text));
    let join = |first: usize| Some([word(first)?.text.as_str(), word(first + 1)?.text.as_str()].concat());
    place.checked_sub(1).and_then(join).into_iter().chain(join(place)).collect()
}

/// What comes not nearly as near as the best is no result: one word of a sentence is in many texts.
const FAR: f64 = 0.3;

/// The results in order. Where every word had to match, all of them.
fn sorted<T: Ord>(mut found: Vec<Ranked<T>>, matching: Match) -> Vec<Ranked<T>> {
    found.sort_unstable_by(|one, other| {
        other.score.total_cmp(&one.score).then_with(|| one.item.cmp(&other.item))
    });
    if let (Match::Any, Some(best)) = (matching, found.first()) {
        let least = best.score.min(best.score.fract()) * FAR;
        let end = found.partition_point(|found| found.score >= least);
        found.truncate(end);
    }
    found
}

impl Index {
    /// How much a word tells, from 0 to 1: the rarer, the more. How rare it is in the language says more than how rare it
    /// is among the few things that are registered.
    #[cfg(feature = "semantic")]
    #[expect(clippy::unused_self, reason = "without the table it is asked of the index")]
    fn rarity(&self, word: &Word, _: &Hits) -> f32 {
        embedding::rarity(&word.text).max(f32::EPSILON)
    }

    /// How much a word tells, from 0 to 1: the rarer it is among what is registered, the more. As BM25 has it,
    /// <https://en.wikipedia.org/wiki/Okapi_BM25>.
    #[cfg(not(feature = "semantic"))]
    fn rarity(&self, _: &Word, hits: &Hits) -> f32 {
        let holding = hits.kinds.iter().filter(|kind| **kind >= Some(Kind::Beginning)).count();
        #[expect(clippy::cast_precision_loss, reason = "a count of documents")]
        let (holding, all) = (holding as f32, self.documents.len() as f32);
        let inverse = |holding: f32| (1.0 + (all - holding + 0.5) / (holding + 0.5)).ln();
        (inverse(holding) / inverse(0.0)).max(f32::EPSILON)
    }
}

#[cfg(feature = "semantic")]
fn cosines(index: &Index, query: &Query) -> Vec<f32> {
    // What is half typed or mistyped means what it was to be.
    let meant = |word: &Word| match index.completed(&word.text) {
        Some(text) => Word { text: text.to_owned(), parts: Vec::new(), is_pairs: false },
        None => word.clone(),
    };
    let words: Vec<Word> = query.words.iter().map(meant).collect();
    let mut embedding = embedding::Embedding::new();
    embedding.add_words(&words, 1.0, f32::INFINITY);
    let Some(vector) = embedding.vector() else { return Vec::new() };
    let vector = &vector[..];
    let length = embedding::length(vector);
    let vectors = index.vectors.chunks_exact(vector.len()).zip(&index.lengths);
    let cosine = |(other, other_length): (&[i8], &f32)| {
        #[expect(clippy::cast_precision_loss, reason = "below 2^22")]
        let dot = embedding::dot(vector, other) as f32;
        if *other_length > 0.0 { dot / (length * other_length) } else { 0.0 }
    };
    vectors.map(cosine).collect()
}

#[cfg(not(feature = "semantic"))]
fn cosines(_: &Index, _: &Query) -> Vec<f32> {
    Vec::new()
}

impl<T> Ranked<T> {
    /// The results after one that was seen, and no more of them than wanted.
    pub(crate) fn page(found: Vec<Self>, after: Option<(f64, &T)>, limit: usize) -> Vec<Self>
    where
        T: Ord,
    {
        let is_after = |found: &Self| {
            after.is_none_or(|(score, item)| {
                found.score.total_cmp(&score).reverse().then_with(|| found.item.cmp(item)).is_gt()
            })
        };
        found.into_iter().filter(is_after).take(limit).collect()
    }
}
