//! What is asked of the list, and cursors.
//!
//! A cursor carries the whole question: VS Code leaves the search out when it asks for the second page, and does not encode what
//! it was given, so a cursor is URL-safe as it is.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;

use axum::http::Uri;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::entry::Entry;
use super::listing::Catalogue;
use crate::http::problem::{Code, Problem};
use crate::model::{Filter, HealthFilter, PAGE_LIMITS, Score};

const FEW: usize = 30;
const MOST: usize = 100;

/// See the [module](self).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Question {
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
    /// The name and the age of the last entry of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<(String, DateTime<Utc>, String)>,
    /// And with a search, its score.
    #[serde(skip_serializing_if = "Option::is_none")]
    after_score: Option<Score>,
}

/// The servers that a search finds, with their scores.
pub(super) type Scores = HashMap<String, Score>;

fn wrong(parameter: &str, detail: &str) -> Problem {
    Problem::new(Code::InvalidQuery, format!("{parameter} {detail}"))
}

fn parsed<T: FromStr>(parameter: &str, value: &str, what: &str) -> Result<T, Problem> {
    value.parse().map_err(|_| wrong(parameter, &format!("must be {what}, and is {value:?}")))
}

impl Question {
    /// Reads a query; what stands beside a cursor only fills in what the cursor says anyway.
    pub(super) fn of(uri: &Uri) -> Result<Self, Problem> {
        let (mut asked, mut cursor) = (Self::default(), None);
        for (key, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            if value.is_empty() {
                continue;
            }
            match key.as_ref() {
                "search" => asked.search = Some(value.to_lowercase()),
                "version" => asked.version = Some(value.into_owned()),
                "updated_since" => {
                    // A plus that was not encoded comes as a space.
                    let time = value.replace(' ', "+");
                    asked.updated_since =
                        Some(parsed("updated_since", &time, "a time as RFC 3339 writes it")?);
                }
                "include_deleted" => {
                    asked.include_deleted = parsed("include_deleted", &value, "true or false")?;
                }
                "limit" => {
                    let limit: usize = parsed("limit", &value, "a number")?;
                    asked.limit = Some(limit);
                }
                "cursor" => cursor = Some(value.into_owned()),
                _ => {}
            }
        }
        if asked.updated_since.is_some() {
            asked.include_deleted = true;
        }
        let Some(cursor) = cursor else { return Ok(asked) };
        let known = URL_SAFE_NO_PAD.decode(cursor.as_bytes()).ok();
        let known = known.and_then(|text| serde_json::from_slice::<Self>(&text).ok());
        let known = known.ok_or_else(|| wrong("cursor", "is none of this registry's"))?;
        Ok(Self { limit: asked.limit.or(known.limit), ..known })
    }

    /// What to ask the registry for, if something is searched for.
    pub(super) fn filter(&self) -> Option<Filter> {
        let filter = Filter::new().words(self.search.as_ref()?).limit(*PAGE_LIMITS.end());
        let filter = if self.include_deleted { filter.health(HealthFilter::Any) } else { filter };
        // What the registry cannot search for may still be part of a name.
        filter.check_words().is_ok().then_some(filter)
    }

    /// How well an entry matches what is searched for: a part of its name is best, as in the registry whose API this is.
    fn score(&self, entry: &Entry, scores: &Scores) -> Option<Score> {
        let search = self.search.as_deref()?;
        // That API's clients show all that they get: what is only somewhat like it is left out.
        let found = || entry.ids.iter().filter_map(|id| scores.get(id)).max().copied();
        let found = || found().filter(|score| *score >= Score::CLEAR);
        if entry.names.contains(search) { Some(Score::BEST) } else { found() }
    }

    fn matches(&self, entry: &Entry) -> bool {
        let version = self.version.as_deref().is_none_or(|version| match version {
            "latest" => entry.is_latest,
            exact => entry.version == exact,
        });
        version && self.updated_since.is_none_or(|since| entry.updated_at >= since)
    }

    fn is_after(&self, score: Option<Score>, entry: &Entry) -> bool {
        self.after.as_ref().is_none_or(|(name, age, version)| {
            (Reverse(score), &entry.name, entry.published_at, &entry.version)
                > (Reverse(self.after_score), name, *age, version)
        })
    }

    /// The entries of one page, and the cursor of the next. With a search the best come first.
    pub(super) fn answer(&self, catalogue: &Catalogue, scores: &Scores) -> (Vec<Arc<Entry>>, Option<String>) {
        let limit = self.limit.unwrap_or(FEW).clamp(1, MOST);
        let entries = catalogue.entries().iter().filter(|entry| self.matches(entry));
        let rated = entries.map(|entry| (self.score(entry, scores), entry));
        let found = rated.filter(|(score, entry)| {
            (self.search.is_none() || score.is_some()) && self.is_after(*score, entry)
        });
        let mut found: Vec<_> = if self.search.is_some() {
            let mut all: Vec<_> = found.collect();
            // Of equals the order of the list stays.
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
