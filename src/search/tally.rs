//! What each document, or each server with all of its documents, holds of the words that are searched for.

use super::index::{Index, Text};
use super::matching::{Hit, Kind};
use crate::model::Match;

/// What a word counts for all tools of a server that holds it, and for a server whose tool holds it.
const OF_SERVER: f32 = 0.7;
const OF_TOOL: f32 = 0.8;

/// A word that is searched for, and where it is.
pub(super) struct Searched {
    /// How much it tells, from 0 to 1; 0 of a word that only has to be there.
    pub(super) rarity: f32,
    /// In the order of the documents.
    pub(super) hits: Vec<Hit>,
}

/// See the [module](self).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    /// The weights of the words, each times its rarity.
    pub(super) weight: f32,
    /// How many words are there, or begin one that is.
    pub(super) words: u16,
    /// How many are there as they are, or of the same stem.
    pub(super) whole: u16,
    /// How many are there in a prominent place.
    pub(super) prominent: u16,
}

/// How a thing holds a word: its weight there, and how it matches.
type Way = (f32, Kind);

/// How it holds a word that it does not.
const NOT: Way = (0.0, Kind::Typo);

impl Tally {
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

/// Adds a word to the tallies of all documents: each tool has the words of its server, too.
pub(super) fn add_to_documents(
    tallies: &mut [Tally],
    index: &Index,
    Searched { rarity, hits }: &Searched,
    matching: Match,
) {
    let mut add = |document: u32, way: Way, known: Way| {
        if let Some(tally) = tallies.get_mut(document as usize) {
            tally.add(*rarity, way, known);
        }
    };
    for (_, text, hits) in by_text(index, hits) {
        for hit in hits {
            add(hit.document, (hit.weight, hit.kind), NOT);
        }
        let [server, of_tools @ ..] = hits else { continue };
        if server.document != text.own {
            continue;
        }
        // Where every word has to match, it has to be the tool's own.
        let kind = if matching == Match::All { Kind::Typo } else { server.kind };
        let mut of_tools = of_tools.iter().peekable();
        for tool in text.tools() {
            let own = of_tools.next_if(|hit| hit.document == tool);
            let own = own.map_or(NOT, |hit| (hit.weight, hit.kind));
            add(tool, (server.weight * OF_SERVER, kind), own);
        }
    }
}

/// Adds a word to the tallies of all texts: each has the words of its tools, too.
pub(super) fn add_to_texts(tallies: &mut [Tally], index: &Index, Searched { rarity, hits }: &Searched) {
    for (number, text, hits) in by_text(index, hits) {
        let share = |hit: &Hit| if hit.document == text.own { 1.0 } else { OF_TOOL };
        let weight = hits.iter().map(|hit| hit.weight * share(hit)).fold(0.0, f32::max);
        let kind = hits.iter().map(|hit| hit.kind).max().unwrap_or(Kind::Typo);
        if let Some(tally) = tallies.get_mut(number as usize) {
            tally.add(*rarity, (weight, kind), NOT);
        }
    }
}

/// The hits in each text: its documents follow each other.
fn by_text<'a>(index: &'a Index, mut hits: &'a [Hit]) -> impl Iterator<Item = (u32, &'a Text, &'a [Hit])> {
    std::iter::from_fn(move || {
        let number = *index.texts_of.get(hits.first()?.document as usize)?;
        let text = index.texts.get(number as usize)?;
        let count = hits.iter().take_while(|hit| hit.document < text.tools().end).count();
        let (of_text, rest) = hits.split_at_checked(count)?;
        hits = rest;
        Some((number, text, of_text))
    })
}
