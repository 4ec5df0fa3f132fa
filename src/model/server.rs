//! Query results: servers, tools with the servers that offer them, and pages of both.

use std::ops::Deref;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::timestamp::rfc3339;
use super::{Cursor, Health, Record, Revision, TransportKind};

/// A registered server, as every query returns it: its [`Record`], which it dereferences to, and its lease.
///
/// All results share a record: cloning a server does not copy it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    record: Arc<Record>,
    /// The duration of its lease after a refresh, in seconds.
    pub ttl: u32,
    /// Whether its lease is running.
    pub health: Health,
    /// When it was first registered.
    pub registered_at: DateTime<Utc>,
    /// When its registration last changed.
    pub updated_at: DateTime<Utc>,
    /// When its lease was last refreshed.
    pub refreshed_at: DateTime<Utc>,
    /// When its lease ends, by the wall clock, unless leases are paused.
    pub expires_at: DateTime<Utc>,
    /// How well it matches a search; `None` without a search.
    pub score: Option<Score>,
}

/// The score of a search result, in thousandths. Scores are only comparable within one search.
///
/// From 2, the query is the name of the result. From 1, the result contains every word of the query (except words like
/// "the") in a name, a title, a tag or the first 20 words of a description. Below, it contains some of them or is similar
/// in meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Score(u32);

impl Score {
    /// The minimum score of results that are clearly relevant.
    #[cfg(feature = "server")]
    pub(crate) const RELEVANT: Self = Self(400);

    /// The maximum score, above all results of a search.
    #[cfg(feature = "server")]
    pub(crate) const MAX: Self = Self(3_000);

    pub(crate) fn new(score: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 4,000")]
        let thousandths = (score * 1_000.0).clamp(0.0, 3_000.0) as u32;
        Self(thousandths)
    }

    /// Returns the score as a number.
    #[must_use]
    pub fn value(self) -> f64 {
        f64::from(self.0) / 1_000.0
    }
}

impl Serialize for Score {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.value())
    }
}

impl<'de> Deserialize<'de> for Score {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Half of the last digit compensates for rounding.
        f64::deserialize(deserializer).map(|score| Self::new(score + 0.000_5))
    }
}

impl Deref for Server {
    type Target = Record;

    fn deref(&self) -> &Record {
        &self.record
    }
}

/// The members of a server's JSON in addition to its record, in order.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub(crate) struct ServerState {
    /// The duration of its lease after a refresh, in seconds.
    #[cfg_attr(feature = "server", schema(example = 30))]
    pub(crate) ttl: u32,
    /// Whether its lease is running.
    pub(crate) health: Health,
    /// When it was first registered.
    #[cfg_attr(feature = "server", schema(example = "2026-01-08T10:00:00.000Z"))]
    #[serde(serialize_with = "rfc3339")]
    pub(crate) registered_at: DateTime<Utc>,
    /// When its registration last changed.
    #[cfg_attr(feature = "server", schema(example = "2026-01-08T10:00:00.000Z"))]
    #[serde(serialize_with = "rfc3339")]
    pub(crate) updated_at: DateTime<Utc>,
    /// When its lease was last refreshed.
    #[cfg_attr(feature = "server", schema(example = "2026-01-08T10:00:00.000Z"))]
    #[serde(serialize_with = "rfc3339")]
    pub(crate) refreshed_at: DateTime<Utc>,
    /// When its lease ends, by the wall clock, unless leases are paused.
    #[cfg_attr(feature = "server", schema(example = "2026-01-08T10:00:30.000Z"))]
    #[serde(serialize_with = "rfc3339")]
    pub(crate) expires_at: DateTime<Utc>,
    /// Only in the results of a search; the schema of such a result describes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(ignore))]
    pub(crate) score: Option<Score>,
}

/// A server's JSON.
#[derive(Serialize)]
struct ServerJson<'a> {
    #[serde(flatten)]
    record: &'a Record,
    #[serde(flatten)]
    state: ServerState,
}

impl Server {
    pub(crate) fn new(record: Arc<Record>, state: ServerState) -> Self {
        let ServerState { ttl, health, registered_at, updated_at, refreshed_at, expires_at, score } = state;
        Self { record, ttl, health, registered_at, updated_at, refreshed_at, expires_at, score }
    }

    pub(crate) fn with_score(self, score: Option<Score>) -> Self {
        Self { score, ..self }
    }

    /// Returns the record, which stays the same until the server is registered again.
    #[must_use]
    pub fn record(&self) -> &Arc<Record> {
        &self.record
    }

    /// Reads a server from JSON, in summary or in full. It is read in parts because a flattened member would be buffered, and
    /// a raw JSON value cannot be read from a buffer.
    pub(super) fn from_json(raw: &RawValue) -> serde_json::Result<Self> {
        let record = serde_json::from_str(raw.get())?;
        let state = serde_json::from_str(raw.get())?;
        Ok(Self::new(Arc::new(record), state))
    }
}

impl Serialize for Server {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { ref record, ttl, health, registered_at, updated_at, refreshed_at, expires_at, score } =
            *self;
        let state = ServerState { ttl, health, registered_at, updated_at, refreshed_at, expires_at, score };
        ServerJson { record, state }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Server {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Self::from_json(&raw).map_err(D::Error::custom)
    }
}

/// A page of servers, in the order of their registration, or best first in a search.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The servers of the page.
    pub servers: Vec<Server>,
    /// The cursor of the next page; `None` on the last page.
    pub next_cursor: Option<Cursor>,
    /// The revision of the catalog that the page shows.
    pub revision: Revision,
}

/// A server that offers a tool.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct ToolServer {
    /// The id of the server.
    #[cfg_attr(feature = "server", schema(example = "filesystem-abc123"))]
    pub id: String,
    /// The name of the server.
    #[cfg_attr(feature = "server", schema(example = "filesystem"))]
    pub name: String,
    /// How a client reaches the server.
    pub transport: TransportKind,
    /// Whether its lease is running.
    pub health: Health,
}

/// A tool, by name, with the servers that offer it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct ToolEntry {
    /// The tool's name.
    #[cfg_attr(feature = "server", schema(example = "read_file"))]
    pub name: String,
    /// The title, from the server that was registered first.
    #[cfg_attr(feature = "server", schema(required))]
    pub title: Option<String>,
    /// The description, from the server that was registered first.
    #[cfg_attr(feature = "server", schema(required))]
    pub description: Option<String>,
    /// The number of different definitions with this name.
    #[cfg_attr(feature = "server", schema(example = 1))]
    pub definitions: u64,
    /// With `q`, how well the tool matches; only comparable within one response. From 2, `q` is the tool's name. From 1,
    /// every word of `q` (except words like "the") is in a name, a title, a tag or the first 20 words of a description of
    /// the tool or its server. Below, some words are, or the tool is similar in meaning.
    #[cfg_attr(feature = "server", schema(value_type = Option<f64>, example = 1.731))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<Score>,
    /// The servers that offer the tool, in the order of their registration.
    pub servers: Vec<ToolServer>,
}

/// A page of tools, by name, or best first in a search.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct ToolPage {
    /// The tools of the page.
    pub tools: Vec<ToolEntry>,
    /// The cursor of the next page; null on the last page.
    #[cfg_attr(feature = "server", schema(required, value_type = Option<String>))]
    pub next_cursor: Option<Cursor>,
}
