//! What is asked of the list, and cursors.
//!
//! A cursor carries the whole question: VS Code leaves the search out when it asks for the second page, and does not encode what
//! it was given, so a cursor is URL-safe as it is.

use std::str::FromStr;
use std::sync::Arc;

use axum::http::Uri;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::catalogue::Catalogue;
use super::entry::Entry;
use crate::http::problem::{Code, Problem};

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
}

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

    fn matches(&self, entry: &Entry) -> bool {
        let version = self.version.as_deref().is_none_or(|version| match version {
            "latest" => entry.is_latest,
            exact => entry.version == exact,
        });
        version
            && self.search.as_deref().is_none_or(|search| entry.words.contains(search))
            && self.updated_since.is_none_or(|since| entry.updated_at >= since)
            && self.after.as_ref().is_none_or(|(name, age, version)| {
                (&entry.name, entry.published_at, &entry.version) > (name, *age, version)
            })
    }

    /// The entries of one page, and the cursor of the next.
    pub(super) fn answer(&self, catalogue: &Catalogue) -> (Vec<Arc<Entry>>, Option<String>) {
        let limit = self.limit.unwrap_or(FEW).clamp(1, MOST);
        let mut found: Vec<_> =
            catalogue.entries().iter().filter(|entry| self.matches(entry)).take(limit + 1).cloned().collect();
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).and_then(|last| {
            let after = Some((last.name.clone(), last.published_at, last.version.clone()));
            let text = serde_json::to_vec(&Self { after, ..self.clone() }).ok()?;
            Some(URL_SAFE_NO_PAD.encode(text))
        });
        (found, next)
    }
}
