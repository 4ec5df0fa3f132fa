//! What the registry answers: records, pages of them, and tools with the servers that offer them.

use std::ops::Deref;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::de::Error as _;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::timestamp::rfc3339;
use super::{Cursor, Health, Record, Rest, Revision, TransportKind, View};

/// A registered server, as every question returns it: its [`Record`], whose fields it shows as its own, and its lease.
///
/// The record is shared by all answers that hold it: cloning a server copies no record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    record: Arc<Record>,
    /// Whether its lease runs.
    pub health: Health,
    /// When its lease was last refreshed.
    pub refreshed_at: DateTime<Utc>,
    /// When its lease runs out, by the wall clock, if nothing holds it up.
    pub expires_at: DateTime<Utc>,
    /// How well it matches what was searched for; none where nothing was.
    pub score: Option<Score>,
}

/// How well a result of a search matches, in thousandths. Scores of one answer can be compared with each other, and with
/// none of other answers.
///
/// From 2 on it is the name itself that was searched for. From 1 on the result holds every word, but for words like "the",
/// in a name, a title, a tag or the first 20 words of a description. Below, it holds some of them, or means something
/// like it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Score(u32);

impl Score {
    /// From here on a result is hardly one by chance.
    #[cfg(feature = "server")]
    pub(crate) const CLEAR: Self = Self(400);

    /// Above all that a search gives.
    #[cfg(feature = "server")]
    pub(crate) const BEST: Self = Self(3_000);

    pub(crate) fn new(score: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 4,000")]
        let thousandths = (score * 1_000.0).clamp(0.0, 3_000.0) as u32;
        Self(thousandths)
    }

    /// The score as a number.
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
        // Half of the last digit, for what a float cannot be.
        f64::deserialize(deserializer).map(|score| Self::new(score + 0.000_5))
    }
}

impl Deref for Server {
    type Target = Record;

    fn deref(&self) -> &Record {
        &self.record
    }
}

impl Server {
    pub(crate) fn new(
        record: Arc<Record>,
        health: Health,
        refreshed_at: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Self {
        Self { record, health, refreshed_at, expires_at, score: None }
    }

    pub(crate) fn with_score(self, score: Option<Score>) -> Self {
        Self { score, ..self }
    }

    /// What it registered; the same record as long as nobody registers it anew.
    #[must_use]
    pub fn record(&self) -> &Arc<Record> {
        &self.record
    }
}

struct Time(DateTime<Utc>);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        rfc3339(&self.0, serializer)
    }
}

impl Serialize for Server {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut record = serializer.serialize_struct("Server", 21)?;
        self.record.serialize_head(&mut record, View::Full)?;
        record.serialize_field("ttl", &self.ttl)?;
        record.serialize_field("health", &self.health)?;
        record.serialize_field("registered_at", &Time(self.registered_at))?;
        record.serialize_field("updated_at", &Time(self.updated_at))?;
        record.serialize_field("refreshed_at", &Time(self.refreshed_at))?;
        record.serialize_field("expires_at", &Time(self.expires_at))?;
        if let Some(score) = &self.score {
            record.serialize_field("score", score)?;
        }
        record.end()
    }
}

/// What the JSON of a server has beside its record.
#[derive(Deserialize)]
struct Times {
    ttl: u32,
    health: Health,
    registered_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    refreshed_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    score: Option<Score>,
}

/// Reads the JSON that the API answers, in summary or in full.
impl<'de> Deserialize<'de> for Server {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Self::from_json(&raw).map_err(D::Error::custom)
    }
}

impl Server {
    pub(super) fn from_json(raw: &RawValue) -> serde_json::Result<Self> {
        let times: Times = serde_json::from_str(raw.get())?;
        let rest = Rest { ttl: times.ttl, registered_at: times.registered_at, updated_at: times.updated_at };
        let record = Record::from_head(raw.get(), View::Full, rest)
            .ok_or_else(|| serde_json::Error::custom("is no server as the registry describes one"))?;
        let server = Self::new(Arc::new(record), times.health, times.refreshed_at, times.expires_at);
        Ok(server.with_score(times.score))
    }
}

/// One page of servers, in the order of their registration, or best first where the filter has a `q`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The servers.
    pub servers: Vec<Server>,
    /// Where the next page begins; none on the last page.
    pub next_cursor: Option<Cursor>,
    /// How far the catalogue had come.
    pub revision: Revision,
}

/// A server that offers a tool.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct ToolServer {
    /// Its id.
    #[cfg_attr(feature = "server", schema(example = "filesystem-abc123"))]
    pub id: String,
    /// Its name.
    #[cfg_attr(feature = "server", schema(example = "filesystem"))]
    pub name: String,
    /// How a client reaches it.
    pub transport: TransportKind,
    /// Whether its lease runs.
    pub health: Health,
}

/// A tool, by name, with the servers that offer it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct ToolEntry {
    /// The tool's name.
    #[cfg_attr(feature = "server", schema(example = "read_file"))]
    pub name: String,
    /// Its title, by the server that was registered first.
    #[cfg_attr(feature = "server", schema(required))]
    pub title: Option<String>,
    /// Its description, by the server that was registered first.
    #[cfg_attr(feature = "server", schema(required))]
    pub description: Option<String>,
    /// How many different definitions there are under this name.
    #[cfg_attr(feature = "server", schema(example = 1))]
    pub definitions: u64,
    /// With `q`, how well it matches; to be compared within one answer alone. From 2 on it is the name itself that was
    /// searched for; from 1 on every word of `q` (but for words like "the") is in a name, a title, a tag or the first 20
    /// words of a description, the tool's own or its server's; below, some are, or it means something like it.
    #[cfg_attr(feature = "server", schema(value_type = Option<f64>, example = 1.731))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<Score>,
    /// The servers that offer it, in the order of their registration.
    pub servers: Vec<ToolServer>,
}

/// One page of tools, by name, or best first where the filter has a `q`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolPage {
    /// The tools.
    pub tools: Vec<ToolEntry>,
    /// Where the next page begins; none on the last page.
    pub next_cursor: Option<Cursor>,
}
