//! The query parameters of the list, and its cursors.
//!
//! A cursor carries all parameters, and is URL-safe: VS Code omits the search when it requests the second page, and does not
//! percent-encode the cursor.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;

use axum::http::Uri;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::entry::ListingEntry;
use super::listing::Listing;
use crate::http::problem::{Code, Problem};
use crate::model::{Filter, HealthFilter, PAGE_LIMITS, Score};

const DEFAULT_LIMIT: usize = 30;
const MAX_LIMIT: usize = 100;

/// The parameters of a list request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct ListQuery {
    #[serde(skip_serializing_if = "Option::is_none")]
    search: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_since: Option<DateTime<Utc>>,
    #[serde(default)]
    pub(super) include_deleted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<usize>,
    /// The name, publication time and version of the previous page's last entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<(String, DateTime<Utc>, String)>,
    /// The score of that entry, with a search.
    #[serde(skip_serializing_if = "Option::is_none")]
    after_score: Option<Score>,
}

/// The scores of the servers that a search finds, by id.
pub(super) type Scores = HashMap<String, Score>;

fn invalid(parameter: &str, detail: &str) -> Problem {
    Problem::new(Code::InvalidQuery, format!("{parameter} {detail}"))
}

fn parse_value<T: FromStr>(parameter: &str, value: &str, what: &str) -> Result<T, Problem> {
    value.parse().map_err(|_| invalid(parameter, &format!("must be {what}, not {value:?}")))
}

impl ListQuery {
    /// Parses a query string. A cursor overrides the other parameters, except `limit`.
    pub(super) fn parse(uri: &Uri) -> Result<Self, Problem> {
        let (mut query, mut cursor) = (Self::default(), None);
        for (key, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            if value.is_empty() {
                continue;
            }
            match key.as_ref() {
                "search" => query.search = Some(value.to_lowercase()),
                "version" => query.version = Some(value.into_owned()),
                "updated_since" => {
                    // A plus that is not percent-encoded is decoded as a space.
                    let time = value.replace(' ', "+");
                    query.updated_since = Some(parse_value("updated_since", &time, "an RFC 3339 time")?);
                }
                "include_deleted" => {
                    query.include_deleted = parse_value("include_deleted", &value, "true or false")?;
                }
                "limit" => {
                    let limit: usize = parse_value("limit", &value, "a number")?;
                    query.limit = Some(limit);
                }
                "cursor" => cursor = Some(value.into_owned()),
                _ => {}
            }
        }
        if query.updated_since.is_some() {
            query.include_deleted = true;
        }
        let Some(cursor) = cursor else { return Ok(query) };
        let known = URL_SAFE_NO_PAD.decode(cursor.as_bytes()).ok();
        let known = known.and_then(|text| serde_json::from_slice::<Self>(&text).ok());
        let known = known.ok_or_else(|| invalid("cursor", "is not a cursor of this registry"))?;
        Ok(Self { limit: query.limit.or(known.limit), ..known })
    }

    /// Returns the filter for the search, if there is one that the registry can execute.
    pub(super) fn filter(&self) -> Option<Filter> {
        let filter = Filter::new().search(self.search.as_ref()?).limit(*PAGE_LIMITS.end());
        let filter = if self.include_deleted { filter.health(HealthFilter::Any) } else { filter };
        // Text that the registry cannot search for may still be part of a name.
        filter.check_search().is_ok().then_some(filter)
    }

    /// Returns how well an entry matches the search. A part of its name is best, as in the official registry.
    fn score(&self, entry: &ListingEntry, scores: &Scores) -> Option<Score> {
        let search = self.search.as_deref()?;
        if entry.names.contains(search) {
            return Some(Score::MAX);
        }
        // Clients of this API show all results, so weak ones are left out.
        let best = entry.ids.iter().filter_map(|id| scores.get(id)).max().copied();
        best.filter(|score| *score >= Score::RELEVANT)
    }

    fn matches(&self, entry: &ListingEntry) -> bool {
        let has_version = self.version.as_deref().is_none_or(|version| match version {
            "latest" => entry.is_latest,
            exact => entry.version == exact,
        });
        has_version && self.updated_since.is_none_or(|since| entry.updated_at >= since)
    }

    fn is_after(&self, score: Option<Score>, entry: &ListingEntry) -> bool {
        self.after.as_ref().is_none_or(|(name, age, version)| {
            (Reverse(score), &entry.name, entry.published_at, &entry.version)
                > (Reverse(self.after_score), name, *age, version)
        })
    }

    /// Returns the entries of one page, and the cursor of the next. With a search, the best match comes first.
    pub(super) fn page(
        &self,
        listing: &Listing,
        scores: &Scores,
    ) -> (Vec<Arc<ListingEntry>>, Option<String>) {
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
        let entries = listing.entries().iter().filter(|entry| self.matches(entry));
        let rated = entries.map(|entry| (self.score(entry, scores), entry));
        let found = rated.filter(|(score, entry)| {
            (self.search.is_none() || score.is_some()) && self.is_after(*score, entry)
        });
        let mut found: Vec<_> = if self.search.is_some() {
            let mut all: Vec<_> = found.collect();
            // A stable sort: equal scores keep the order of the list.
            all.sort_by_key(|(score, _)| Reverse(*score));
            all
        } else {
            found.take(limit + 1).collect()
        };
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).and_then(|(score, last)| {
            let after = Some((last.name.clone(), last.published_at, last.version.clone()));
            let text = serde_json::to_vec(&Self { after, after_score: *score, ..self.clone() }).ok()?;
            Some(URL_SAFE_NO_PAD.encode(text))
        });
        (found.into_iter().map(|(_, entry)| Arc::clone(entry)).collect(), next)
    }
}
