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

use super::document::LEAST_OF_DESCRIPTION;
#[cfg(feature = "semantic")]
use super::embedding;
use super::index::{Index, letters};
use super::matching::{Hit, Kind, Reach};
use super::meaning::Meaning;
use super::query::Query;
use super::results::{Part, Ranked, best_of};
use super::tally::{Searched, Tally, add_to_documents, add_to_texts};
use crate::model::{MAX_FILTERS, Match, Word, is_stop_word};

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

/// So many tools that hold the only word as it was typed come before those that hold another one of its stem.
const FEW: usize = 3;

/// What a ranking goes by.
#[cfg(feature = "bench")]
#[derive(Debug, Clone, Copy)]
pub(crate) enum By {
    /// By words.
    Words,
    /// By meaning.
    Meaning,
}

/// A word that is searched for, and how.
struct Wanted<'a> {
    word: &'a Word,
    joined: Vec<String>,
    reach: Reach,
}

/// A query held against all documents.
pub(crate) struct Ranking<'a> {
    index: &'a Index,
    query: &'a Query,
    matching: Match,
    /// The words that count.
    counting: Vec<Wanted<'a>>,
    /// Whether they are all that were to count.
    is_whole: bool,
    /// Those that only have to be there, where every word has to.
    others: Vec<Wanted<'a>>,
    meaning: Meaning,
}

impl<'a> Ranking<'a> {
    pub(crate) fn new(index: &'a Index, query: &'a Query, matching: Match) -> Self {
        let (mut counting, others): (Vec<_>, Vec<_>) =
            query.words.iter().enumerate().partition(|(_, word)| query.counts(word));
        let most = if matching == Match::All { MAX_FILTERS } else { WORDS };
        let is_whole = counting.len() <= most;
        #[cfg(feature = "semantic")]
        if !is_whole {
            // Numbers that are not negative are in the order of their bits.
            counting
                .sort_by_cached_key(|(_, word)| std::cmp::Reverse(embedding::rarity(&word.text).to_bits()));
        }
        counting.truncate(most);
        let last = query.words.len() - 1;
        let unknown = counting.iter().filter(|(_, word)| matching == Match::Any && !index.has(word));
        let guessed: Vec<usize> = unknown.map(|(place, _)| *place).take(GUESSES).collect();
        let counting = counting.into_iter().map(|(place, word)| {
            // What is half typed is the last word.
            let beginnings = matching == Match::All || place == last;
            let words = if matching == Match::All { usize::MAX } else { BEGUN };
            let reach = Reach { beginnings, typos: guessed.contains(&place), words };
            Wanted { word, joined: joined(&query.words, place), reach }
        });
        let counting = counting.collect();
        let (others, meaning) = match matching {
            Match::All => {
                let reach = Reach { beginnings: true, typos: false, words: usize::MAX };
                let others = others.into_iter().map(|(_, word)| Wanted { word, joined: Vec::new(), reach });
                (others.collect(), Meaning::default())
            }
            Match::Any => (Vec::new(), Meaning::of(index, query, &guessed)),
        };
        Self { index, query, matching, counting, is_whole, others, meaning }
    }

    /// The same by words or by meaning alone.
    #[cfg(feature = "bench")]
    pub(crate) fn only(mut self, by: By) -> Self {
        match by {
            By::Words => self.meaning = Meaning::default(),
            By::Meaning => self.counting.clear(),
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
        let mut is_wanted = vec![false; self.index.texts.len()];
        for (_, text) in self.index.servers.iter().filter(|(server, _)| is_allowed(**server)) {
            is_wanted.get_mut(*text as usize).into_iter().for_each(|is_wanted| *is_wanted = true);
        }
        let mut tallies = vec![Tally::default(); self.index.documents.len()];
        let add = |word: &Searched| {
            let preferring = if self.is_one_word() { prefer_exact(self.index, word) } else { None };
            add_to_documents(&mut tallies, self.index, preferring.as_ref().unwrap_or(word), self.matching);
        };
        let (rarities, cosines) = self.meaning.while_working(self.index, || self.each_word(add));
        let mut best: Vec<Option<f64>> = vec![None; self.index.name_texts.len()];
        for (text, _) in self.index.texts.iter().zip(is_wanted).filter(|(_, is_wanted)| *is_wanted) {
            for tool in text.tools().map(|tool| tool as usize) {
                let (Some(tally), Some(name)) = (tallies.get(tool), self.index.documents.get(tool)) else {
                    continue;
                };
                let cosine = cosines.get(tool).copied().unwrap_or_default();
                let score = self.score(tally, rarities, cosine);
                if let Some(best) = best.get_mut(*name as usize) {
                    // Nothing is less than any score.
                    *best = if score > *best { score } else { *best };
                }
            }
        }
        let may_be_named = self.index.may_have_letters(&self.query.text);
        let named = best.iter_mut().zip(&self.index.name_texts).zip(may_be_named);
        for ((score, name), _) in named.filter(|(_, may_be_named)| *may_be_named) {
            *score = score.map(|score| self.named(name, score));
        }
        let found = best.iter().zip(&self.index.name_texts);
        let found = found.filter_map(|(score, name)| Some(Ranked { score: (*score)?, item: name }));
        let found = found.filter(|found| only.is_none_or(|only| **found.item == *only));
        let after = page.after.as_ref().map(|(score, name)| (*score, name));
        let best = best_of(found, self.matching, after, page.limit);
        let shared = |Ranked { item, score }: Ranked<&Arc<str>>| Ranked { item: Arc::clone(item), score };
        best.into_iter().map(shared).collect()
    }

    /// The best of these servers.
    pub(crate) fn servers(&self, is_allowed: impl Fn(i64) -> bool, page: &Part<i64>) -> Vec<Ranked<i64>> {
        let mut tallies = vec![Tally::default(); self.index.texts.len()];
        let add = |word: &Searched| add_to_texts(&mut tallies, self.index, word);
        let (rarities, of_documents) = self.meaning.while_working(self.index, || self.each_word(add));
        let mut cosines = vec![0.0_f32; self.index.texts.len()];
        for (cosine, text) in of_documents.iter().zip(&self.index.texts_of) {
            cosines.get_mut(*text as usize).into_iter().for_each(|best| *best = best.max(*cosine));
        }
        let scores: Vec<Option<f64>> =
            tallies.iter().zip(cosines).map(|(tally, cosine)| self.score(tally, rarities, cosine)).collect();
        let servers = self.index.servers.iter().filter(|(server, _)| is_allowed(**server));
        let found = servers.filter_map(|(server, text)| {
            Some(Ranked { item: *server, score: scores.get(*text as usize).copied().flatten()? })
        });
        best_of(found, self.matching, page.after, page.limit)
    }

    /// Calls back with each word, one at a time, for the hits of a few can take megabytes; returns the sum of their rarities.
    fn each_word(&self, mut each: impl FnMut(&Searched)) -> f32 {
        let mut rarities = 0.0;
        for Wanted { word, joined, reach } in &self.counting {
            let hits = self.index.hits(word, joined, *reach);
            let rarity = self.index.rarity(word, &hits);
            rarities += rarity;
            each(&Searched { rarity, hits });
        }
        for Wanted { word, joined, reach } in &self.others {
            each(&Searched { rarity: 0.0, hits: self.index.hits(word, joined, *reach) });
        }
        rarities.max(f32::EPSILON)
    }

    fn is_one_word(&self) -> bool {
        self.counting.len() == 1 && self.matching == Match::Any
    }

    fn score(&self, tally: &Tally, rarities: f32, cosine: f32) -> Option<f64> {
        let words = self.counting.len() + self.others.len();
        if self.matching == Match::All && usize::from(tally.words) < words {
            return None;
        }
        #[cfg(feature = "semantic")]
        let (is_found, nearness) = {
            let is_near = cosine >= MEANING;
            let word = if self.counting.len() == 1 { ONLY_WORD } else { WORD };
            let nearness = (cosine.max(0.0) + word * tally.weight) / (1.0 + word * rarities);
            (tally.weight > 0.0 || is_near, nearness)
        };
        #[cfg(not(feature = "semantic"))]
        let (is_found, nearness) = (tally.weight > 0.0, tally.weight / rarities + cosine);
        // Of one word alone it is enough that it is there.
        let holds_every_word = match self.counting.len() {
            0 => false,
            1 => tally.whole > 0,
            words => self.is_whole && usize::from(tally.prominent) >= words,
        };
        let band = if holds_every_word { 1.0 } else { 0.0 };
        is_found.then(|| band + f64::from(nearness).clamp(0.0, 0.999))
    }

    /// The score of a tool with its name: what was searched for by its name comes before all others.
    fn named(&self, name: &str, score: f64) -> f64 {
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

/// The only word of a query with all but a few tools taken for similar, if only a few hold it as it was typed: in a name, a
/// title or a description, or else anywhere.
fn prefer_exact(index: &Index, word: &Searched) -> Option<Searched> {
    let is_tool_in_use = |document: u32| {
        let text = index.texts_of.get(document as usize).and_then(|text| index.texts.get(*text as usize));
        text.is_some_and(|text| text.is_used() && text.own != document)
    };
    let holds = |hit: &Hit, least: f32| hit.is_exact && hit.weight >= least && is_tool_in_use(hit.document);
    let few = |least: f32| {
        let found = word.hits.iter().filter(|hit| holds(hit, least)).take(FEW + 1).count();
        (1..=FEW).contains(&found)
    };
    let least = [LEAST_OF_DESCRIPTION, 0.0].into_iter().find(|least| few(*least))?;
    let similar = |hit: &Hit| Hit { kind: hit.kind.min(Kind::Beginning), ..*hit };
    let hits = word.hits.iter().map(|hit| if holds(hit, least) { *hit } else { similar(hit) });
    Some(Searched { rarity: word.rarity, hits: hits.collect() })
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
