//! The best results of a ranking, a page of them.

use crate::model::Match;

/// A result and its score.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ranked<T> {
    pub(crate) item: T,
    pub(crate) score: f64,
}

/// Which part of the results is wanted.
#[derive(Debug, Clone)]
pub(crate) struct Part<T> {
    /// The score of the last one that was seen, and what it was.
    pub(crate) after: Option<(f64, T)>,
    pub(crate) limit: usize,
}

/// What comes not nearly as near as the best is no result: one word of a sentence is in many texts.
const FAR: f64 = 0.3;

/// The best results after one that was seen, and no more of them than wanted, in order.
pub(super) fn best_of<T: Ord>(
    found: impl Iterator<Item = Ranked<T>> + Clone,
    matching: Match,
    after: Option<(f64, T)>,
    limit: usize,
) -> Vec<Ranked<T>> {
    let least = match matching {
        Match::All => 0.0,
        Match::Any => {
            let best = found.clone().map(|found| found.score).fold(0.0, f64::max);
            best.min(best.fract()) * FAR
        }
    };
    let seen = after.map(|(score, item)| Ranked { item, score });
    let is_wanted = |found: &Ranked<T>| {
        found.score >= least && seen.as_ref().is_none_or(|seen| found.order(seen).is_gt())
    };
    let mut found: Vec<Ranked<T>> = found.filter(is_wanted).collect();
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
