//! The order of results: by words where they are rare and exact, by meaning where they are not.
//!
//! Each result has a score. Its whole part says how its words match:
//!
//! | score | |
//! |---|---|
//! | 2 | what was searched for is its name |
//! | 1 | it holds every word, in a prominent place; of one word alone, in any |
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
use super::matching::{Hit, Kind, Reach};
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

/// And what the only word that is searched for weighs: who types one wants to find it.
#[cfg(feature = "semantic")]
const ONLY_WORD: f32 = 2.0;

/// What means less than this like what is searched for is no result, unless it holds a word.
#[cfg(feature = "semantic")]
const MEANING: f32 = 0.15;

/// So many words of a long text are looked for, the rarest ones. Its meaning is that of all of them.
const WORDS: usize = 12;

/// So many words are found by their beginning, unless all have to be: a letter begins thousands.
const BEGUN: usize = 64;

/// So many words that nobody knows may be mistyped: each is held against all words that there are.
const GUESSES: usize = 4;

/// A word that is searched for, and where it is.
struct Searched {
    rarity: f32,
    hits: Vec<Hit>,
}

/// What a ranking goes by.
#[cfg(feature = "bench")]
#[derive(Debug, Clone, Copy)]
pub(crate) enum By {
    /// By words.
    Words,
    /// By meaning.
    Meaning,
}

/// What a document, or a server with all of its documents, holds of the words.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    /// The weights of the words, each times its rarity.
    weight: f32,
    /// How many words are there, or begin one that is.
    words: u16,
    /// How many are there as they are, or of the same stem.
    whole: u16,
    /// How many are there in a prominent place.
    prominent: u16,
}

/// How a thing holds a word: its weight there, and how it matches.
type Way = (f32, Kind);

/// How it holds a word that it does not.
const NOT: Way = (0.0, Kind::Typo);

impl Held {
    /// Adds a word, or what is better about it than what was added of it before.
    fn add(&mut self, rarity: f32, (weight, kind): Way, (known_weight, known_kind): Way) {
        self.weight += rarity * (weight - known_weight).max(0.0);
        let gains = |least: Kind| u16::from(kind >= least && known_kind < least);
        self.words += gains(Kind::Beginning);
        if rarity > 0.0 {
            self.whole += gains(Kind::Word);
            self.prominent += gains(Kind::Prominent);
        }
    }
}

/// A query held against all documents.
pub(crate) struct Ranking<'a> {
    index: &'a Index,
    query: &'a Query,
    matching: Match,
    /// The words that count.
    words: Vec<Searched>,
    /// Those that only have to be there, where every word has to.
    others: Vec<Vec<Hit>>,
    /// Whether `words` are all of them.
    is_whole: bool,
    rarities: f32,
    cosines: Vec<f32>,
}

impl<'a> Ranking<'a> {
    pub(crate) fn new(index: &'a Index, query: &'a Query, matching: Match) -> Self {
        let (mut counting, others): (Vec<_>, Vec<_>) =
            query.words.iter().enumerate().partition(|(_, word)| query.counts(word));
        let most = if matching == Match::All { MAX_FILTERS } else { WORDS };
        let is_whole = counting.len() <= most;
        #[cfg(feature = "semantic")]
        if !is_whole {
            let rarity = |(_, word): &(usize, &Word)| embedding::rarity(&word.text);
            counting.sort_by(|one, other| rarity(other).total_cmp(&rarity(one)));
        }
        counting.truncate(most);
        let last = query.words.len() - 1;
        let unknown = counting.iter().filter(|(_, word)| matching == Match::Any && !index.has(word));
        let guessed: Vec<usize> = unknown.map(|(place, _)| *place).take(GUESSES).collect();
        let searched = |(place, word): (usize, &Word)| {
            // What is half typed is the last word.
            let beginnings = matching == Match::All || place == last;
            let words = if matching == Match::All { usize::MAX } else { BEGUN };
            let reach = Reach { beginnings, typos: guessed.contains(&place), words };
            let hits = index.hits(word, &joined(&query.words, place), reach);
            Searched { rarity: index.rarity(word, &hits), hits }
        };
        let words: Vec<Searched> = counting.into_iter().map(searched).collect();
        let reach = Reach { beginnings: true, typos: false, words: usize::MAX };
        let (others, cosines) = match matching {
            Match::All => (others.iter().map(|(_, word)| index.hits(word, &[], reach)).collect(), Vec::new()),
            Match::Any => (Vec::new(), cosines(index, query, &guessed)),
        };
        let rarities = words.iter().map(|word| word.rarity).sum::<f32>().max(f32::EPSILON);
        Self { index, query, matching, words, others, is_whole, rarities, cosines }
    }

    /// The same by words or by meaning alone.
    #[cfg(feature = "bench")]
    pub(crate) fn only(mut self, by: By) -> Self {
        match by {
            By::Words => self.cosines.clear(),
            By::Meaning => self.words.clear(),
        }
        self
    }

    /// The best tools of these servers, each name once; of one name alone, if it is given.
    pub(crate) fn tools(
        &self,
        is_allowed: impl Fn(i64) -> bool,
        only: Option<&str>,
        page: &Part<Arc<str>>,
    ) -> Vec<Ranked<Arc<str>>> {
        let mut best: Vec<Option<f64>> = vec![None; self.index.name_texts.len()];
        let mut is_wanted = vec![false; self.index.texts.len()];
        for (_, text) in self.index.servers.iter().filter(|(server, _)| is_allowed(**server)) {
            is_wanted.get_mut(*text as usize).into_iter().for_each(|is_wanted| *is_wanted = true);
        }
        let held = self.held(self.index.documents.len(), |document| Some((document, 1.0)));
        let of_servers = self.words_of_servers();
        let texts = self.index.texts.iter().zip(&of_servers).zip(is_wanted);
        for ((Text { tools, .. }, of_server), _) in texts.filter(|(_, is_wanted)| *is_wanted) {
            for tool in tools {
                let Some(held) = held.get(*tool as usize) else { continue };
                let held = self.with_words_of_server(*held, *tool, of_server);
                let cosine = self.cosines.get(*tool as usize).copied().unwrap_or_default();
                let (Some(score), Some(name)) =
                    (self.score(held, cosine), self.index.documents.get(*tool as usize))
                else {
                    continue;
                };
                if let Some(best) = best.get_mut(*name as usize) {
                    *best = Some(best.map_or(score, |known| known.max(score)));
                }
            }
        }
        let found = best.into_iter().zip(&self.index.name_texts);
        let found = found.filter(|(_, name)| only.is_none_or(|only| ***name == *only));
        // A tool of this name holds every word, unless they are written as one.
        let may_be_name = |score: f64| score >= 1.0 || self.query.words.len() == 1;
        let found = found.filter_map(|(score, name)| {
            let score = score?;
            let score = if may_be_name(score) { self.named(name, score) } else { score };
            Some(Ranked { score, item: name })
        });
        let after = page.after.as_ref().map(|(score, name)| (*score, name));
        let best = best_of(found.collect(), self.matching, after, page.limit);
        let shared = |Ranked { item, score }: Ranked<&Arc<str>>| Ranked { item: Arc::clone(item), score };
        best.into_iter().map(shared).collect()
    }

    /// The best of these servers.
    pub(crate) fn servers(&self, is_allowed: impl Fn(i64) -> bool, page: &Part<i64>) -> Vec<Ranked<i64>> {
        let of_text = |document: u32| {
            let text = *self.index.texts_of.get(document as usize)?;
            let is_own = self.index.texts.get(text as usize)?.own == document;
            Some((text, if is_own { 1.0 } else { OF_TOOL }))
        };
        let held = self.held(self.index.texts.len(), of_text);
        let mut cosines = vec![0.0_f32; self.index.texts.len()];
        for (cosine, text) in self.cosines.iter().zip(&self.index.texts_of) {
            cosines.get_mut(*text as usize).into_iter().for_each(|best| *best = best.max(*cosine));
        }
        let scores: Vec<Option<f64>> =
            held.into_iter().zip(cosines).map(|(held, cosine)| self.score(held, cosine)).collect();
        let servers = self.index.servers.iter().filter(|(server, _)| is_allowed(**server));
        let found = servers.filter_map(|(server, text)| {
            Some(Ranked { item: *server, score: scores.get(*text as usize).copied().flatten()? })
        });
        best_of(found.collect(), self.matching, page.after, page.limit)
    }

    /// What each of so many things holds, given to which of them a document belongs and what its words count for that.
    fn held(&self, things: usize, thing: impl Fn(u32) -> Option<(u32, f32)>) -> Vec<Held> {
        let mut held = vec![Held::default(); things];
        // The word that a thing was seen with last, and with what.
        let mut seen: Vec<(u16, Way)> = vec![(u16::MAX, NOT); things];
        let others = self.others.iter().map(|hits| (0.0, hits));
        let words = self.words.iter().map(|word| (word.rarity, &word.hits)).chain(others);
        for (number, (rarity, hits)) in (0_u16..).zip(words) {
            for Hit { document, weight, kind } in hits {
                let Some((thing, share)) = thing(*document) else { continue };
                let (Some(held), Some(seen)) = (held.get_mut(thing as usize), seen.get_mut(thing as usize))
                else {
                    continue;
                };
                let (weight, before) = (weight * share, if seen.0 == number { seen.1 } else { NOT });
                held.add(rarity, (weight, *kind), before);
                *seen = (number, (weight.max(before.0), (*kind).max(before.1)));
            }
        }
        held
    }

    /// The words that each server holds by itself: their numbers, and how.
    fn words_of_servers(&self) -> Vec<Vec<(usize, Hit)>> {
        let mut words = vec![Vec::new(); self.index.texts.len()];
        for (number, word) in self.words.iter().enumerate() {
            for hit in &word.hits {
                let text = self.index.texts_of.get(hit.document as usize).map(|text| *text as usize);
                let is_own =
                    |text: &usize| self.index.texts.get(*text).is_some_and(|text| text.own == hit.document);
                if let Some(words) = text.filter(is_own).and_then(|text| words.get_mut(text)) {
                    words.push((number, *hit));
                }
            }
        }
        words
    }

    /// What a tool holds together with its server.
    fn with_words_of_server(&self, mut held: Held, tool: u32, of_server: &[(usize, Hit)]) -> Held {
        for (number, hit) in of_server {
            let Some(word) = self.words.get(*number) else { continue };
            let own = word.hits.binary_search_by_key(&tool, |hit| hit.document).ok();
            let own = own.and_then(|place| word.hits.get(place)).map(|hit| (hit.weight, hit.kind));
            // Where every word has to match, it has to be the tool's own.
            let kind = if self.matching == Match::All { Kind::Typo } else { hit.kind };
            held.add(word.rarity, (hit.weight * OF_SERVER, kind), own.unwrap_or(NOT));
        }
        held
    }

    fn score(&self, held: Held, cosine: f32) -> Option<f64> {
        let words = self.words.len() + self.others.len();
        if self.matching == Match::All && usize::from(held.words) < words {
            return None;
        }
        #[cfg(feature = "semantic")]
        let (is_found, nearness) = {
            let is_near = cosine >= MEANING;
            let word = if self.words.len() == 1 { ONLY_WORD } else { WORD };
            let nearness = (cosine.max(0.0) + word * held.weight) / (1.0 + word * self.rarities);
            (held.weight > 0.0 || is_near, nearness)
        };
        #[cfg(not(feature = "semantic"))]
        let (is_found, nearness) = (held.weight > 0.0, held.weight / self.rarities + cosine);
        // Of one word alone it is enough that it is there.
        let holds_every_word = match self.words.len() {
            0 => false,
            1 => held.whole > 0,
            words => self.is_whole && usize::from(held.prominent) >= words,
        };
        let band = if holds_every_word { 1.0 } else { 0.0 };
        is_found.then(|| band + f64::from(nearness).clamp(0.0, 0.999))
    }

    /// The score of a tool with its name: what was searched for by its name comes before all others.
    fn named(&self, name: &str, score: f64) -> f64 {
        // Equal but for how its words are put together: `readFile` for `read_file`.
        fn letters(text: &str) -> impl Iterator<Item = char> {
            text.chars().filter(|character| character.is_alphanumeric()).flat_map(char::to_lowercase)
        }
        if *name == *self.query.text {
            2.5 + score.fract() / 2.0
        } else if letters(name).eq(letters(&self.query.text)) {
            2.0 + score.fract() / 2.0
        } else {
            score
        }
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

/// The best results after one that was seen, and no more of them than wanted, in order.
fn best_of<T: Ord>(
    mut found: Vec<Ranked<T>>,
    matching: Match,
    after: Option<(f64, T)>,
    limit: usize,
) -> Vec<Ranked<T>> {
    if matching == Match::Any {
        let best = found.iter().map(|found| found.score).fold(0.0, f64::max);
        let least = best.min(best.fract()) * FAR;
        found.retain(|found| found.score >= least);
    }
    if let Some((score, item)) = after {
        let seen = Ranked { item, score };
        found.retain(|found| found.order(&seen).is_gt());
    }
    if found.len() > limit {
        found.select_nth_unstable_by(limit, Ranked::order);
        found.truncate(limit);
    }
    found.sort_unstable_by(Ranked::order);
    found
}

impl<T: Ord> Ranked<T> {
    /// The best first; equals by what they are.
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        other.score.total_cmp(&self.score).then_with(|| self.item.cmp(&other.item))
    }
}

/// Which part of the results is wanted.
#[derive(Debug, Clone)]
pub(crate) struct Part<T> {
    /// The score of the last one that was seen, and what it was.
    pub(crate) after: Option<(f64, T)>,
    pub(crate) limit: usize,
}

impl Index {
    /// How much a word tells, from 0 to 1: the rarer, the more. How rare it is in the language says more than how rare it
    /// is among the few things that are registered.
    #[cfg(feature = "semantic")]
    #[expect(clippy::unused_self, reason = "without the table it is asked of the index")]
    fn rarity(&self, word: &Word, _: &[Hit]) -> f32 {
        embedding::rarity(&word.text).max(f32::EPSILON)
    }

    /// How much a word tells, from 0 to 1: the rarer it is among what is registered, the more. As BM25 has it,
    /// <https://en.wikipedia.org/wiki/Okapi_BM25>.
    #[cfg(not(feature = "semantic"))]
    fn rarity(&self, _: &Word, hits: &[Hit]) -> f32 {
        let holding = hits.iter().filter(|hit| hit.kind >= Kind::Beginning).count();
        #[expect(clippy::cast_precision_loss, reason = "a count of documents")]
        let (holding, all) = (holding as f32, self.documents.len() as f32);
        let inverse = |holding: f32| (1.0 + (all - holding + 0.5) / (holding + 0.5)).ln();
        (inverse(holding) / inverse(0.0)).max(f32::EPSILON)
    }
}

#[cfg(feature = "semantic")]
fn cosines(index: &Index, query: &Query, guessed: &[usize]) -> Vec<f32> {
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
fn cosines(_: &Index, _: &Query, _: &[usize]) -> Vec<f32> {
    Vec::new()
}
