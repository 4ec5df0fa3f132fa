//! Which documents hold a word that is searched for: as it is, as the beginning of another one, or with a typing error.

use std::ops::Bound;

use super::document::{HEAVIEST, cut};
use super::index::Index;
use crate::model::{Word, stem};

/// How much a match counts that is not the word itself.
const BEGINNING: f32 = 0.6;
const BEGINNING_OF_OTHERS: f32 = 0.3;
const JOINED: f32 = 0.9;
const TYPO: f32 = 0.7;

/// Shorter words are looked for as they are, or as the beginning of others, but not with a typing error.
const TYPO_LETTERS: usize = 5;

/// The first letters of a word stand for it when they are at least so many.
const BEGINNING_LETTERS: usize = 3;

/// A stem whose forms a word matches.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Matched {
    stem: u32,
    /// The form that is the word itself.
    exact: Option<u32>,
    quality: f32,
    kind: Kind,
}

/// How a word matches another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Nearly.
    Typo,
    /// As its beginning.
    Beginning,
    /// As the same word, or one of the same stem.
    Word,
    /// As that, in a name, a title, a tag or the beginning of a description.
    Prominent,
}

/// A document that a word matches, how well, and how.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Hit {
    pub(super) document: u32,
    pub(super) weight: f32,
    pub(super) kind: Kind,
    /// Whether the document holds the word as it was typed, not only another one of its stem.
    pub(super) is_exact: bool,
}

/// How far to go for a word.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reach {
    /// Whether it may be the beginning of a word even where it is a word itself.
    pub(super) beginnings: bool,
    /// Whether it may be mistyped.
    pub(super) typos: bool,
    /// Of how many words it may be the beginning, the most frequent ones.
    pub(super) words: usize,
}

impl Index {
    /// What a word matches, by document. `joined` is what it makes together with the next one, or with the one before.
    pub(super) fn hits(&self, word: &Word, joined: &[String], reach: Reach) -> Vec<Hit> {
        let mut matched = Vec::new();
        if !word.is_pairs {
            matched = self.matched(&word.text, reach);
            let joined = joined.iter().filter_map(|joined| self.terms.get(joined.as_str()));
            matched.extend(joined.map(|form| Matched {
                stem: self.stem_of(*form),
                exact: None,
                quality: JOINED,
                kind: Kind::Word,
            }));
        }
        let mut hits = self.holding(&matched);
        let parts = match &word.parts[..] {
            // The last character alone is there for who looks for it alone.
            [pairs @ .., _] if word.is_pairs && !pairs.is_empty() => pairs,
            parts => parts,
        };
        if parts.is_empty() {
            return hits;
        }
        let reach = Reach { beginnings: reach.beginnings || word.is_pairs && parts.len() == 1, ..reach };
        hits.extend(self.in_parts(parts, reach));
        self.best_of_each(hits)
    }

    /// The documents that hold some of the forms.
    fn holding(&self, matched: &[Matched]) -> Vec<Hit> {
        let mut hits = Vec::new();
        let mut forms = 0;
        for Matched { stem, exact, quality, kind } in matched {
            let scale = quality / f32::from(HEAVIEST);
            for (form, postings) in self.forms_of(*stem).filter(|(_, postings)| postings.len() > 0) {
                forms += 1;
                hits.reserve(postings.len());
                postings.each(|posting| {
                    let is_prominent = *kind == Kind::Word && posting.is_prominent;
                    hits.push(Hit {
                        document: posting.document,
                        weight: f32::from(posting.weight) * scale,
                        kind: if is_prominent { Kind::Prominent } else { *kind },
                        is_exact: *exact == Some(form),
                    });
                });
            }
        }
        if forms > 1 { self.best_of_each(hits) } else { hits }
    }

    /// A word of several parts matches as far as its parts do, and as a whole if all of them do.
    fn in_parts(&self, parts: &[String], reach: Reach) -> Vec<Hit> {
        #[expect(clippy::cast_precision_loss, reason = "a few parts")]
        let share = 1.0 / parts.len() as f32;
        let mut all: Vec<Hit> = Vec::new();
        for part in parts {
            all.extend(self.holding(&self.matched(part, reach)));
        }
        all.sort_unstable_by_key(|hit| hit.document);
        let same = |one: &Hit, other: &Hit| one.document == other.document;
        let whole = |hits: &[Hit]| {
            let document = hits.first()?.document;
            let weight = hits.iter().map(|hit| hit.weight).sum::<f32>() * share;
            let kind = hits.iter().map(|hit| hit.kind).min()?;
            // Some of its parts are as good as a typing error.
            let kind = if hits.len() == parts.len() { kind } else { Kind::Typo };
            Some(Hit { document, weight, kind, is_exact: false })
        };
        all.chunk_by(same).filter_map(whole).collect()
    }

    /// Of the hits in each document the best weight and the best kind, in the order of the documents.
    fn best_of_each(&self, mut hits: Vec<Hit>) -> Vec<Hit> {
        let better = |kept: &mut Hit, next: &Hit| {
            kept.weight = kept.weight.max(next.weight);
            kept.kind = kept.kind.max(next.kind);
            kept.is_exact |= next.is_exact;
        };
        // A first letter is in many lists: a place for each document is quicker than sorting.
        if hits.len() > self.documents.len() / 4 {
            let mut best: Vec<Option<Hit>> = vec![None; self.documents.len()];
            for hit in hits {
                match best.get_mut(hit.document as usize) {
                    Some(Some(kept)) => better(kept, &hit),
                    Some(place) => *place = Some(hit),
                    None => {}
                }
            }
            return best.into_iter().flatten().collect();
        }
        // It consists of a few runs that are in order, which this sort makes use of.
        hits.sort_by_key(|hit| hit.document);
        hits.dedup_by(|next, kept| {
            let is_same = next.document == kept.document;
            if is_same {
                better(kept, next);
            }
            is_same
        });
        hits
    }

    /// Whether a word is in the index, or one of its stem.
    pub(super) fn has(&self, word: &Word) -> bool {
        self.terms.contains_key(word.text.as_str()) || self.terms.contains_key(&*stem(&word.text))
    }

    /// The word that one is meant to be that nobody knows: the most frequent one that it begins, or else is near.
    #[cfg(feature = "semantic")]
    pub(super) fn completed(&self, word: &str) -> Option<&str> {
        let is_known = || self.terms.contains_key(word) || super::embedding::knows(word);
        let is_short = word.chars().count() < BEGINNING_LETTERS;
        if is_short || !word.chars().all(char::is_alphabetic) || is_known() {
            return None;
        }
        let often = |(term, stem)| (self.often(stem), term);
        let near = || self.near(word).map(often).max();
        self.begun(word).map(often).max().or_else(near).map(|(_, term)| term)
    }

    /// How often a document holds a form of a stem.
    fn often(&self, stem: u32) -> usize {
        self.forms_of(stem).map(|(_, postings)| postings.len()).sum()
    }

    /// The longer words that a word begins, and their stems.
    fn begun(&self, word: &str) -> impl Iterator<Item = (&str, u32)> {
        let longer = self.terms.range::<str, _>((Bound::Excluded(word), Bound::Unbounded));
        let longer = longer.take_while(move |(term, _)| term.starts_with(word));
        longer.map(|(term, form)| (&**term, self.stem_of(*form)))
    }

    /// The words that a word may be with a typing error, and their stems.
    fn near(&self, word: &str) -> impl Iterator<Item = (&str, u32)> {
        let may_be_mistyped = word.chars().count() >= TYPO_LETTERS && word.chars().all(char::is_alphabetic);
        let all = may_be_mistyped.then(|| self.terms.iter()).into_iter().flatten();
        all.filter(move |(term, _)| is_near(word, term)).map(|(term, form)| (&**term, self.stem_of(*form)))
    }

    fn matched(&self, word: &str, reach: Reach) -> Vec<Matched> {
        let word = cut(word);
        let exact = self.terms.get(word).copied();
        let same = exact.or_else(|| self.terms.get(&*stem(word)).copied()).map(|form| self.stem_of(form));
        let matched = |stem: u32| Matched { stem, exact, quality: 1.0, kind: Kind::Word };
        let mut found: Vec<Matched> = same.map(matched).into_iter().collect();
        if reach.beginnings || found.is_empty() && word.chars().count() >= BEGINNING_LETTERS {
            let mut stems = each_once(self.begun(word));
            if stems.len() > reach.words {
                stems.sort_by_key(|stem| std::cmp::Reverse(self.often(*stem)));
                stems.truncate(reach.words);
            }
            let stems = stems.into_iter().filter(|stem| Some(*stem) != same);
            // Where the word itself is there, it is hardly half of another one.
            let quality = if same.is_none() { BEGINNING } else { BEGINNING_OF_OTHERS };
            found.extend(stems.map(|stem| Matched { quality, kind: Kind::Beginning, ..matched(stem) }));
        }
        if found.is_empty() && reach.typos {
            let stems = each_once(self.near(word)).into_iter();
            found.extend(stems.map(|stem| Matched { quality: TYPO, kind: Kind::Typo, ..matched(stem) }));
        }
        found
    }
}

/// The stems of some words.
fn each_once<'a>(terms: impl Iterator<Item = (&'a str, u32)>) -> Vec<u32> {
    let mut stems: Vec<u32> = terms.map(|(_, stem)| stem).collect();
    stems.sort_unstable();
    stems.dedup();
    stems
}

/// Whether two words differ by one letter: one too many, one missing, another one, or two neighbors exchanged.
fn is_near(word: &str, other: &str) -> bool {
    if word.len().abs_diff(other.len()) > 4 {
        return false;
    }
    let same = word.chars().zip(other.chars()).take_while(|(one, other)| one == other);
    let start: usize = same.map(|(one, _)| one.len_utf8()).sum();
    let (Some(one), Some(two)) = (word.get(start..), other.get(start..)) else { return false };
    let mut letters = one.chars();
    let first = letters.next();
    let after_one = letters.as_str();
    let second = letters.next();
    let after_two = letters.as_str();
    let mut other_letters = two.chars();
    let other_first = other_letters.next();
    let other_after_one = other_letters.as_str();
    let other_second = other_letters.next();
    let other_after_two = other_letters.as_str();
    first.is_some() && (after_one == two || other_first.is_some() && after_one == other_after_one)
        || other_first.is_some() && one == other_after_one
        || second.is_some() && first == other_second && second == other_first && after_two == other_after_two
}

#[cfg(test)]
mod tests {
    use super::is_near;

    #[test]
    fn one_letter_may_be_wrong() {
        for other in ["screnshot", "screeenshot", "screemshot", "scerenshot", "creenshot", "screenshots"] {
            assert!(is_near("screenshot", other), "{other}");
        }
        assert!(is_near("screenshot", "screenhsot"), "two neighbors exchanged");
        assert!(is_near("größe", "grüße") && !is_near("größe", "grosse"), "letters of two bytes");
        for other in ["screen", "screenshoot2", "scrnshot", "shot"] {
            assert!(!is_near("screenshot", other), "{other}");
        }
    }
}
