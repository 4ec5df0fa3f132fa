//! Selection of the best results: one page of them.

use crate::model::Match;

/// A result and its score.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ranked<T> {
    pub(crate) item: T,
    pub(crate) score: f64,
}

/// The bounds of a page of results.
#[derive(Debug, Clone)]
pub(crate) struct PageBounds<T> {
    /// The score and the item of the last result of the previous page.
    pub(crate) after: Option<(f64, T)>,
    pub(crate) limit: usize,
}

/// Results with less than this share of the best score are dropped: many texts contain one word of a sentence.
const MIN_RELATIVE_SCORE: f64 = 0.3;

/// Returns the best results after a given one, in order, at most `limit`.
pub(super) fn top_results<T: Ord>(
    results: impl Iterator<Item = Ranked<T>> + Clone,
    matching: Match,
    after: Option<(f64, T)>,
    limit: usize,
) -> Vec<Ranked<T>> {
    let min_score = match matching {
        Match::All => 0.0,
        Match::Any => {
            let best = results.clone().map(|result| result.score).fold(0.0, f64::max);
            best.min(best.fract()) * MIN_RELATIVE_SCORE
        }
    };
    let previous = after.map(|(score, item)| Ranked { item, score });
    let is_in_page = |result: &Ranked<T>| {
        result.score >= min_score && previous.as_ref().is_none_or(|previous| result.order(previous).is_gt())
    };
    let mut page: Vec<Ranked<T>> = results.filter(is_in_page).collect();
    if page.len() > limit {
        page.select_nth_unstable_by(limit, Ranked::order);
        page.truncate(limit);
    }
    page.sort_unstable_by(Ranked::order);
    page
}

impl<T: Ord> Ranked<T> {
    /// Orders by descending score, then by item.
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        other.score.total_cmp(&self.score).then_with(|| self.item.cmp(&other.item))
    }
}
