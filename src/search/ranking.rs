//! Hybrid ranking: lexical scores combined with cosines of embeddings.
//!
//! The integer part of a score is a band that follows from the lexical match:
//!
//! | band | meaning |
//! |---|---|
//! | 2 | the query is the result's name |
//! | 1 | every word matches in a prominent position; a single word, in any position |
//! | 0 | some words match, or the embedding is similar |
//!
//! Prominent positions are names, titles, tags and the leads of descriptions: a long text that contains every word somewhere
//! is rarely relevant. The fraction is the cosine between the embeddings of the document and the query, plus a small weight
//! for each matched word, by its rarity and position. Embeddings find paraphrases; words distinguish similar results and
//! find product names.

use std::sync::Arc;

use super::document::MIN_DESCRIPTION_WEIGHT;
#[cfg(feature = "semantic")]
use super::embedding;
use super::index::{Index, letters};
use super::lexical_score::{LexicalScore, WordHits, add_to_documents, add_to_groups};
use super::matching::{Hit, MatchKind, MatchOptions};
use super::query::Query;
use super::query_embedding::QueryEmbedding;
use super::results::{PageBounds, Ranked, top_results};
use crate::model::{MAX_FILTERS, Match, Word, is_stop_word};

/// The weight of the rarest words, relative to the cosine.
#[cfg(feature = "semantic")]
const WORD_WEIGHT: f32 = 0.1;

/// The weight of the word of a one-word query, which usually asks for that word.
#[cfg(feature = "semantic")]
const ONLY_WORD_WEIGHT: f32 = 2.0;

/// The minimum cosine of a result in which no word matches.
#[cfg(feature = "semantic")]
const MIN_COSINE: f32 = 0.15;

/// The maximum number of scored words of a query, the rarest ones. The embedding is that of all words.
const MAX_SCORED_WORDS: usize = 12;

/// The maximum number of stems that a prefix matches, unless every word has to match: a single letter matches thousands.
const MAX_PREFIX_STEMS: usize = 64;

/// The maximum number of unknown words that are matched with a typo: each is compared with all terms.
const MAX_TYPO_WORDS: usize = 4;

/// The maximum number of exact matches of a one-word query that are preferred over other forms of its stem.
const MAX_PREFERRED_TOOLS: usize = 3;

/// A single signal to rank by.
#[cfg(feature = "bench")]
#[derive(Debug, Clone, Copy)]
pub(crate) enum SearchSignal {
    /// Only words.
    Lexical,
    /// Only embeddings.
    Semantic,
}

/// A query word and how it is matched.
struct QueryTerm<'a> {
    word: &'a Word,
    compounds: Vec<String>,
    options: MatchOptions,
}

/// Ranks all documents of an index by a query.
pub(crate) struct Ranking<'a> {
    index: &'a Index,
    query: &'a Query,
    matching: Match,
    /// The words that are scored.
    scored: Vec<QueryTerm<'a>>,
    /// Whether no words were dropped because of [`MAX_SCORED_WORDS`].
    is_complete: bool,
    /// The words that are not scored but have to match, if every word has to.
    required: Vec<QueryTerm<'a>>,
    embedding: QueryEmbedding,
}

impl<'a> Ranking<'a> {
    pub(crate) fn new(index: &'a Index, query: &'a Query, matching: Match) -> Self {
        let (mut scored, others): (Vec<_>, Vec<_>) =
            query.words.iter().enumerate().partition(|(_, word)| query.is_scored(word));
        let max_words = if matching == Match::All { MAX_FILTERS } else { MAX_SCORED_WORDS };
        let is_complete = scored.len() <= max_words;
        #[cfg(feature = "semantic")]
        if !is_complete {
            // Numbers that are not negative are in the order of their bits.
            scored.sort_by_cached_key(|(_, word)| std::cmp::Reverse(embedding::rarity(&word.text).to_bits()));
        }
        scored.truncate(max_words);
        let last = query.words.len() - 1;
        let unknown = scored.iter().filter(|(_, word)| matching == Match::Any && !index.contains_word(word));
        let misspelled: Vec<usize> = unknown.map(|(position, _)| *position).take(MAX_TYPO_WORDS).collect();
        let scored = scored.into_iter().map(|(position, word)| {
            // Only the last word can be incomplete.
            let prefixes = matching == Match::All || position == last;
            let max_prefix_stems = if matching == Match::All { usize::MAX } else { MAX_PREFIX_STEMS };
            let options = MatchOptions { prefixes, typos: misspelled.contains(&position), max_prefix_stems };
            QueryTerm { word, compounds: compounds(&query.words, position), options }
        });
        let scored = scored.collect();
        let (required, embedding) = match matching {
            Match::All => {
                let options = MatchOptions { prefixes: true, typos: false, max_prefix_stems: usize::MAX };
                let term = |(_, word)| QueryTerm { word, compounds: Vec::new(), options };
                (others.into_iter().map(term).collect(), QueryEmbedding::default())
            }
            Match::Any => (Vec::new(), QueryEmbedding::of(index, query, &misspelled)),
        };
        Self { index, query, matching, scored, is_complete, required, embedding }
    }

    /// Ranks by a single signal.
    #[cfg(feature = "bench")]
    pub(crate) fn restricted_to(mut self, signal: SearchSignal) -> Self {
        match signal {
            SearchSignal::Lexical => self.embedding = QueryEmbedding::default(),
            SearchSignal::Semantic => self.scored.clear(),
        }
        self
    }

    /// Returns the best tools of the allowed servers, each name once, or only the tool named `only`.
    pub(crate) fn tools(
        &self,
        is_allowed: impl Fn(i64) -> bool,
        only: Option<&str>,
        page: &PageBounds<Arc<str>>,
    ) -> Vec<Ranked<Arc<str>>> {
        let mut is_wanted = vec![false; self.index.groups.len()];
        for (_, group) in self.index.servers.iter().filter(|(server, _)| is_allowed(**server)) {
            is_wanted.get_mut(*group as usize).into_iter().for_each(|is_wanted| *is_wanted = true);
        }
        let mut lexical = vec![LexicalScore::default(); self.index.documents.len()];
        let add = |word: &WordHits| {
            let adjusted = if self.is_one_word() { prefer_exact(self.index, word) } else { None };
            add_to_documents(&mut lexical, self.index, adjusted.as_ref().unwrap_or(word), self.matching);
        };
        let (rarities, cosines) = self.embedding.cosines_while(self.index, || self.each_word(add));
        let mut best: Vec<Option<f64>> = vec![None; self.index.name_texts.len()];
        for (group, _) in self.index.groups.iter().zip(is_wanted).filter(|(_, is_wanted)| *is_wanted) {
            for tool in group.tools().map(|tool| tool as usize) {
                let (Some(lexical), Some(name)) = (lexical.get(tool), self.index.documents.get(tool)) else {
                    continue;
                };
                let cosine = cosines.get(tool).copied().unwrap_or_default();
                let score = self.score(lexical, rarities, cosine);
                if let Some(best) = best.get_mut(*name as usize) {
                    // `None` is less than any score.
                    *best = if score > *best { score } else { *best };
                }
            }
        }
        let has_letters = self.index.may_have_letters(&self.query.text);
        let names = best.iter_mut().zip(&self.index.name_texts).zip(has_letters);
        for ((score, name), _) in names.filter(|(_, has_letters)| *has_letters) {
            *score = score.map(|score| self.score_with_name(name, score));
        }
        let results = best.iter().zip(&self.index.name_texts);
        let results = results.filter_map(|(score, name)| Some(Ranked { score: (*score)?, item: name }));
        let results = results.filter(|result| only.is_none_or(|only| **result.item == *only));
        let after = page.after.as_ref().map(|(score, name)| (*score, name));
        let best = top_results(results, self.matching, after, page.limit);
        let shared = |Ranked { item, score }: Ranked<&Arc<str>>| Ranked { item: Arc::clone(item), score };
        best.into_iter().map(shared).collect()
    }

    /// Returns the best of the allowed servers.
    pub(crate) fn servers(
        &self,
        is_allowed: impl Fn(i64) -> bool,
        page: &PageBounds<i64>,
    ) -> Vec<Ranked<i64>> {
        let mut lexical = vec![LexicalScore::default(); self.index.groups.len()];
        let add = |word: &WordHits| add_to_groups(&mut lexical, self.index, word);
        let (rarities, document_cosines) = self.embedding.cosines_while(self.index, || self.each_word(add));
        let mut cosines = vec![0.0_f32; self.index.groups.len()];
        for (cosine, group) in document_cosines.iter().zip(&self.index.group_of) {
            cosines.get_mut(*group as usize).into_iter().for_each(|best| *best = best.max(*cosine));
        }
        let scores: Vec<Option<f64>> = lexical
            .iter()
            .zip(cosines)
            .map(|(lexical, cosine)| self.score(lexical, rarities, cosine))
            .collect();
        let servers = self.index.servers.iter().filter(|(server, _)| is_allowed(**server));
        let results = servers.filter_map(|(server, group)| {
            Some(Ranked { item: *server, score: scores.get(*group as usize).copied().flatten()? })
        });
        top_results(results, self.matching, page.after, page.limit)
    }

    /// Calls a function with the hits of each word, one word at a time, since hits can take megabytes. Returns the sum of
    /// the rarities.
    fn each_word(&self, mut each: impl FnMut(&WordHits)) -> f32 {
        let mut rarities = 0.0;
        for QueryTerm { word, compounds, options } in &self.scored {
            let hits = self.index.hits(word, compounds, *options);
            let rarity = self.index.rarity(word, &hits);
            rarities += rarity;
            each(&WordHits { rarity, hits });
        }
        for QueryTerm { word, compounds, options } in &self.required {
            each(&WordHits { rarity: 0.0, hits: self.index.hits(word, compounds, *options) });
        }
        rarities.max(f32::EPSILON)
    }

    fn is_one_word(&self) -> bool {
        self.scored.len() == 1 && self.matching == Match::Any
    }

    fn score(&self, lexical: &LexicalScore, rarities: f32, cosine: f32) -> Option<f64> {
        let words = self.scored.len() + self.required.len();
        if self.matching == Match::All && usize::from(lexical.matched_words) < words {
            return None;
        }
        #[cfg(feature = "semantic")]
        let (is_result, relevance) = {
            let is_similar = cosine >= MIN_COSINE;
            let weight = if self.scored.len() == 1 { ONLY_WORD_WEIGHT } else { WORD_WEIGHT };
            let relevance = (cosine.max(0.0) + weight * lexical.weight) / (1.0 + weight * rarities);
            (lexical.weight > 0.0 || is_similar, relevance)
        };
        #[cfg(not(feature = "semantic"))]
        let (is_result, relevance) = (lexical.weight > 0.0, lexical.weight / rarities + cosine);
        // A single word may match in any position.
        let matches_every_word = match self.scored.len() {
            0 => false,
            1 => lexical.stem_matches > 0,
            words => self.is_complete && usize::from(lexical.prominent_matches) >= words,
        };
        let band = if matches_every_word { 1.0 } else { 0.0 };
        is_result.then(|| band + f64::from(relevance).clamp(0.0, 0.999))
    }

    /// Raises the score of a tool whose name was searched for above all others.
    fn score_with_name(&self, name: &str, score: f64) -> f64 {
        if *name == *self.query.text {
            2.5 + score.fract() / 2.0
        } else if letters(name).eq(letters(&self.query.text)) {
            2.0 + score.fract() / 2.0
        } else {
            score
        }
    }
}

/// Returns the concatenations of a word with the previous and the next one.
fn compounds(words: &[Word], position: usize) -> Vec<String> {
    let word =
        |position: usize| words.get(position).filter(|word| !word.is_bigrams && !is_stop_word(&word.text));
    let join = |first: usize| Some([word(first)?.text.as_str(), word(first + 1)?.text.as_str()].concat());
    position.checked_sub(1).and_then(join).into_iter().chain(join(position)).collect()
}

/// Adjusts the hits of a one-word query: if only a few tools contain the exact word in a name, a title or a description (or
/// else anywhere), all other hits are downgraded to prefix matches.
fn prefer_exact(index: &Index, word: &WordHits) -> Option<WordHits> {
    let is_tool_in_use = |document: u32| {
        let group = index.group_of.get(document as usize).and_then(|group| index.groups.get(*group as usize));
        group.is_some_and(|group| group.is_used() && group.server != document)
    };
    let is_preferred =
        |hit: &Hit, min_weight: f32| hit.is_exact && hit.weight >= min_weight && is_tool_in_use(hit.document);
    let are_few = |min_weight: f32| {
        let preferred = word.hits.iter().filter(|hit| is_preferred(hit, min_weight));
        (1..=MAX_PREFERRED_TOOLS).contains(&preferred.take(MAX_PREFERRED_TOOLS + 1).count())
    };
    let min_weight = [MIN_DESCRIPTION_WEIGHT, 0.0].into_iter().find(|min_weight| are_few(*min_weight))?;
    let downgraded = |hit: &Hit| Hit { kind: hit.kind.min(MatchKind::Prefix), ..*hit };
    let hits = word.hits.iter().map(|hit| if is_preferred(hit, min_weight) { *hit } else { downgraded(hit) });
    Some(WordHits { rarity: word.rarity, hits: hits.collect() })
}

impl Index {
    /// Returns how rare a word is, from 0 to 1. Its rarity in the language is more meaningful than its rarity among the few
    /// registered servers.
    #[cfg(feature = "semantic")]
    #[expect(clippy::unused_self, reason = "only used without the embedding table")]
    fn rarity(&self, word: &Word, _: &[Hit]) -> f32 {
        embedding::rarity(&word.text).max(f32::EPSILON)
    }

    /// Returns how rare a word is among the documents, from 0 to 1: its inverse document frequency as in BM25,
    /// <https://en.wikipedia.org/wiki/Okapi_BM25>.
    #[cfg(not(feature = "semantic"))]
    fn rarity(&self, _: &Word, hits: &[Hit]) -> f32 {
        let matching = hits.iter().filter(|hit| hit.kind >= MatchKind::Prefix).count();
        #[expect(clippy::cast_precision_loss, reason = "a count of documents")]
        let (matching, all) = (matching as f32, self.documents.len() as f32);
        let inverse_frequency = |matching: f32| (1.0 + (all - matching + 0.5) / (matching + 0.5)).ln();
        (inverse_frequency(matching) / inverse_frequency(0.0)).max(f32::EPSILON)
    }
}
