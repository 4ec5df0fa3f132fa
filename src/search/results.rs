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
