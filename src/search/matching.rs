//! Finds the documents that match a query word: exactly, by stem, as a prefix, or with a typo.

use std::ops::Bound;

use super::document::{MAX_WEIGHT, truncate_term};
use super::index::Index;
use crate::model::{Word, stem};

/// The quality of inexact matches; that of the word itself is 1.
const PREFIX_QUALITY: f32 = 0.6;
const PREFIX_QUALITY_OF_KNOWN_WORD: f32 = 0.3;
const COMPOUND_QUALITY: f32 = 0.9;
const TYPO_QUALITY: f32 = 0.7;

/// The minimum length of a word that is matched with a typo.
const MIN_TYPO_CHARACTERS: usize = 5;

/// The minimum length of an unknown word that is matched as a prefix.
const MIN_PREFIX_CHARACTERS: usize = 3;

/// A stem whose forms match a query word.
#[derive(Debug, Clone, Copy, PartialEq)]
struct StemMatch {
    stem: u32,
    /// The form that equals the query word.
    exact: Option<u32>,
    quality: f32,
    kind: MatchKind,
}

/// How a query word matches, from worst to best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum MatchKind {
    /// With a typo.
    Typo,
    /// As a prefix.
    Prefix,
    /// As the same word, or one of the same stem.
    Word,
    /// Like `Word`, in a name, a title, a tag or the lead of a description.
    Prominent,
}

/// A document that matches a query word.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Hit {
    pub(super) document: u32,
    pub(super) weight: f32,
    pub(super) kind: MatchKind,
    /// Whether the document contains the word itself, not only another form of its stem.
    pub(super) is_exact: bool,
}

/// Which inexact matches of a query word are allowed.
#[derive(Debug, Clone, Copy)]
pub(super) struct MatchOptions {
    /// Whether a known word also matches as a prefix; unknown words always do.
    pub(super) prefixes: bool,
    /// Whether an unknown word matches with a typo.
    pub(super) typos: bool,
    /// The maximum number of stems that it matches as a prefix, the most frequent ones.
    pub(super) max_prefix_stems: usize,
}

impl Index {
    /// Returns the hits of a query word, ordered by document. `compounds` are its concatenations with adjacent words.
    pub(super) fn hits(&self, word: &Word, compounds: &[String], options: MatchOptions) -> Vec<Hit> {
        let mut stems = Vec::new();
        if !word.is_bigrams {
            stems = self.matching_stems(&word.text, options);
            let compounds = compounds.iter().filter_map(|compound| self.terms.get(compound.as_str()));
            stems.extend(compounds.map(|form| StemMatch {
                stem: self.stem_of(*form),
                exact: None,
                quality: COMPOUND_QUALITY,
                kind: MatchKind::Word,
            }));
        }
        let mut hits = self.hits_of_stems(&stems);
        let parts = match &word.parts[..] {
            // The last character is only a part of its own to match queries of a single character.
            [bigrams @ .., _] if word.is_bigrams && !bigrams.is_empty() => bigrams,
            parts => parts,
        };
        if parts.is_empty() {
            return hits;
        }
        let prefixes = options.prefixes || word.is_bigrams && parts.len() == 1;
        hits.extend(self.hits_of_parts(parts, MatchOptions { prefixes, ..options }));
        self.best_per_document(hits)
    }

    /// Returns the documents that contain a form of one of the stems.
    fn hits_of_stems(&self, stems: &[StemMatch]) -> Vec<Hit> {
        let mut hits = Vec::new();
        let mut forms = 0;
        for StemMatch { stem, exact, quality, kind } in stems {
            let scale = quality / f32::from(MAX_WEIGHT);
            for (form, postings) in self.forms_of(*stem).filter(|(_, postings)| postings.len() > 0) {
                forms += 1;
                hits.reserve(postings.len());
                postings.each(|posting| {
                    let is_prominent = *kind == MatchKind::Word && posting.is_prominent;
                    hits.push(Hit {
                        document: posting.document,
                        weight: f32::from(posting.weight) * scale,
                        kind: if is_prominent { MatchKind::Prominent } else { *kind },
                        is_exact: *exact == Some(form),
                    });
                });
            }
        }
        if forms > 1 { self.best_per_document(hits) } else { hits }
    }

    /// Returns the hits of a word of several parts. Its weight is the mean of those of its parts.
    fn hits_of_parts(&self, parts: &[String], options: MatchOptions) -> Vec<Hit> {
        #[expect(clippy::cast_precision_loss, reason = "a few parts")]
        let share = 1.0 / parts.len() as f32;
        let mut all: Vec<Hit> = Vec::new();
        for part in parts {
            all.extend(self.hits_of_stems(&self.matching_stems(part, options)));
        }
        all.sort_unstable_by_key(|hit| hit.document);
        let is_same_document = |one: &Hit, other: &Hit| one.document == other.document;
        let combined = |hits: &[Hit]| {
            let document = hits.first()?.document;
            let weight = hits.iter().map(|hit| hit.weight).sum::<f32>() * share;
            let kind = hits.iter().map(|hit| hit.kind).min()?;
            // If only some of the parts match, that counts as a typo.
            let kind = if hits.len() == parts.len() { kind } else { MatchKind::Typo };
            Some(Hit { document, weight, kind, is_exact: false })
        };
        all.chunk_by(is_same_document).filter_map(combined).collect()
    }

    /// Merges the hits of each document: the best weight and the best kind, ordered by document.
    fn best_per_document(&self, mut hits: Vec<Hit>) -> Vec<Hit> {
        let merge = |kept: &mut Hit, next: &Hit| {
            kept.weight = kept.weight.max(next.weight);
            kept.kind = kept.kind.max(next.kind);
            kept.is_exact |= next.is_exact;
        };
        // Short prefixes have many hits. A slot for each document is then faster than sorting.
        if hits.len() > self.documents.len() / 4 {
            let mut best: Vec<Option<Hit>> = vec![None; self.documents.len()];
            for hit in hits {
                match best.get_mut(hit.document as usize) {
                    Some(Some(kept)) => merge(kept, &hit),
                    Some(slot) => *slot = Some(hit),
                    None => {}
                }
            }
            return best.into_iter().flatten().collect();
        }
        // The hits consist of a few sorted runs, which a stable sort takes advantage of.
        hits.sort_by_key(|hit| hit.document);
        hits.dedup_by(|next, kept| {
            let is_same = next.document == kept.document;
            if is_same {
                merge(kept, next);
            }
            is_same
        });
        hits
    }

    /// Returns whether the index contains a word or its stem.
    pub(super) fn contains_word(&self, word: &Word) -> bool {
        self.terms.contains_key(word.text.as_str()) || self.terms.contains_key(&*stem(&word.text))
    }

    /// Returns the most likely word for an unknown one: the most frequent word that it is a prefix of, or else that is
    /// within one edit.
    #[cfg(feature = "semantic")]
    pub(super) fn completion(&self, word: &str) -> Option<&str> {
        let is_known = || self.terms.contains_key(word) || super::embedding::has_word(word);
        let is_short = word.chars().count() < MIN_PREFIX_CHARACTERS;
        if is_short || !word.chars().all(char::is_alphabetic) || is_known() {
            return None;
        }
        let by_frequency = |(term, stem)| (self.frequency(stem), term);
        let corrected = || self.terms_within_one_edit(word).map(by_frequency).max();
        self.terms_with_prefix(word).map(by_frequency).max().or_else(corrected).map(|(_, term)| term)
    }

    /// Returns the number of postings of a stem.
    fn frequency(&self, stem: u32) -> usize {
        self.forms_of(stem).map(|(_, postings)| postings.len()).sum()
    }

    /// Returns the longer terms that begin with a word, and their stems.
    fn terms_with_prefix(&self, word: &str) -> impl Iterator<Item = (&str, u32)> {
        let longer = self.terms.range::<str, _>((Bound::Excluded(word), Bound::Unbounded));
        let longer = longer.take_while(move |(term, _)| term.starts_with(word));
        longer.map(|(term, form)| (&**term, self.stem_of(*form)))
    }

    /// Returns the terms that differ from a word by one edit, and their stems.
    fn terms_within_one_edit(&self, word: &str) -> impl Iterator<Item = (&str, u32)> {
        let may_have_typo =
            word.chars().count() >= MIN_TYPO_CHARACTERS && word.chars().all(char::is_alphabetic);
        let all = may_have_typo.then(|| self.terms.iter()).into_iter().flatten();
        all.filter(move |(term, _)| is_within_one_edit(word, term))
            .map(|(term, form)| (&**term, self.stem_of(*form)))
    }

    /// Returns the stems that match a word.
    fn matching_stems(&self, word: &str, options: MatchOptions) -> Vec<StemMatch> {
        let word = truncate_term(word);
        let exact = self.terms.get(word).copied();
        let own_stem = exact.or_else(|| self.terms.get(&*stem(word)).copied()).map(|form| self.stem_of(form));
        let stem_match = |stem: u32| StemMatch { stem, exact, quality: 1.0, kind: MatchKind::Word };
        let mut matches: Vec<StemMatch> = own_stem.map(stem_match).into_iter().collect();
        if options.prefixes || matches.is_empty() && word.chars().count() >= MIN_PREFIX_CHARACTERS {
            let mut stems = distinct_stems(self.terms_with_prefix(word));
            if stems.len() > options.max_prefix_stems {
                stems.sort_by_key(|stem| std::cmp::Reverse(self.frequency(*stem)));
                stems.truncate(options.max_prefix_stems);
            }
            let stems = stems.into_iter().filter(|stem| Some(*stem) != own_stem);
            // A known word is rarely an incomplete one.
            let quality = if own_stem.is_none() { PREFIX_QUALITY } else { PREFIX_QUALITY_OF_KNOWN_WORD };
            matches.extend(stems.map(|stem| StemMatch {
                quality,
                kind: MatchKind::Prefix,
                ..stem_match(stem)
            }));
        }
        if matches.is_empty() && options.typos {
            let stems = distinct_stems(self.terms_within_one_edit(word)).into_iter();
            let kind = MatchKind::Typo;
            matches.extend(stems.map(|stem| StemMatch { quality: TYPO_QUALITY, kind, ..stem_match(stem) }));
        }
        matches
    }
}

/// Returns the distinct stems of terms.
fn distinct_stems<'a>(terms: impl Iterator<Item = (&'a str, u32)>) -> Vec<u32> {
    let mut stems: Vec<u32> = terms.map(|(_, stem)| stem).collect();
    stems.sort_unstable();
    stems.dedup();
    stems
}

/// Returns whether two words differ by one edit: an insertion, a deletion, a substitution or a transposition.
fn is_within_one_edit(word: &str, other: &str) -> bool {
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
    use super::is_within_one_edit;

    #[test]
    fn words_that_differ_by_one_edit_match() {
        for other in ["screnshot", "screeenshot", "screemshot", "scerenshot", "creenshot", "screenshots"] {
            assert!(is_within_one_edit("screenshot", other), "{other}");
        }
        assert!(is_within_one_edit("screenshot", "screenhsot"), "a transposition");
        assert!(
            is_within_one_edit("größe", "grüße") && !is_within_one_edit("größe", "grosse"),
            "letters of two bytes"
        );
        for other in ["screen", "screenshoot2", "scrnshot", "shot"] {
            assert!(!is_within_one_edit("screenshot", other), "{other}");
        }
    }
}
