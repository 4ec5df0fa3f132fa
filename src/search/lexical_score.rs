//! Lexical scores: which query words each document, or each server with all its documents, matches.

use super::index::{DocumentGroup, Index};
use super::matching::{Hit, MatchKind};
use crate::model::Match;

/// The share of a weight that a tool gets for a word of its server, and a server for a word of its tool.
const SERVER_TO_TOOL: f32 = 0.7;
const TOOL_TO_SERVER: f32 = 0.8;

/// A query word with its hits.
pub(super) struct WordHits {
    /// The weight of the word, from 0 to 1: the rarer, the higher. 0 for a word that only has to match.
    pub(super) rarity: f32,
    /// Ordered by document.
    pub(super) hits: Vec<Hit>,
}

/// The lexical score of a document or a server.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LexicalScore {
    /// The sum of the weights of matched words, each multiplied by its rarity.
    pub(super) weight: f32,
    /// The number of words that match at least as a prefix.
    pub(super) matched_words: u16,
    /// The number of words that match a word of the same stem.
    pub(super) stem_matches: u16,
    /// The number of words that match in a prominent position.
    pub(super) prominent_matches: u16,
}

/// The weight of a matched word and how it matches.
type WordMatch = (f32, MatchKind);

const NO_MATCH: WordMatch = (0.0, MatchKind::Typo);

impl LexicalScore {
    /// Adds a match of a word, or the improvement over the known match of the same word.
    fn add(&mut self, rarity: f32, (weight, kind): WordMatch, (known_weight, known_kind): WordMatch) {
        self.weight += rarity * (weight - known_weight).max(0.0);
        let newly_reaches = |level: MatchKind| u16::from(kind >= level && known_kind < level);
        self.matched_words += newly_reaches(MatchKind::Prefix);
        if rarity > 0.0 {
            self.stem_matches += newly_reaches(MatchKind::Word);
            self.prominent_matches += newly_reaches(MatchKind::Prominent);
        }
    }
}

/// Adds a word to the scores of all documents. Each tool also has the words of its server.
pub(super) fn add_to_documents(
    scores: &mut [LexicalScore],
    index: &Index,
    WordHits { rarity, hits }: &WordHits,
    matching: Match,
) {
    let mut add = |document: u32, new: WordMatch, known: WordMatch| {
        if let Some(score) = scores.get_mut(document as usize) {
            score.add(*rarity, new, known);
        }
    };
    for (_, group, hits) in by_group(index, hits) {
        for hit in hits {
            add(hit.document, (hit.weight, hit.kind), NO_MATCH);
        }
        let [server, tool_hits @ ..] = hits else { continue };
        if server.document != group.server {
            continue;
        }
        // If every word has to match, it has to be in the tool itself.
        let kind = if matching == Match::All { MatchKind::Typo } else { server.kind };
        let mut tool_hits = tool_hits.iter().peekable();
        for tool in group.tools() {
            let own = tool_hits.next_if(|hit| hit.document == tool);
            let own = own.map_or(NO_MATCH, |hit| (hit.weight, hit.kind));
            add(tool, (server.weight * SERVER_TO_TOOL, kind), own);
        }
    }
}

/// Adds a word to the scores of all document groups.
pub(super) fn add_to_groups(
    scores: &mut [LexicalScore],
    index: &Index,
    WordHits { rarity, hits }: &WordHits,
) {
    for (number, group, hits) in by_group(index, hits) {
        let share = |hit: &Hit| if hit.document == group.server { 1.0 } else { TOOL_TO_SERVER };
        let weight = hits.iter().map(|hit| hit.weight * share(hit)).fold(0.0, f32::max);
        let kind = hits.iter().map(|hit| hit.kind).max().unwrap_or(MatchKind::Typo);
        if let Some(score) = scores.get_mut(number as usize) {
            score.add(*rarity, (weight, kind), NO_MATCH);
        }
    }
}

/// Splits hits by document group. The documents of a group have consecutive numbers.
fn by_group<'a>(
    index: &'a Index,
    mut hits: &'a [Hit],
) -> impl Iterator<Item = (u32, &'a DocumentGroup, &'a [Hit])> {
    std::iter::from_fn(move || {
        let number = *index.group_of.get(hits.first()?.document as usize)?;
        let group = index.groups.get(number as usize)?;
        let count = hits.iter().take_while(|hit| hit.document < group.tools().end).count();
        let (of_group, rest) = hits.split_at_checked(count)?;
        hits = rest;
        Some((number, group, of_group))
    })
}
