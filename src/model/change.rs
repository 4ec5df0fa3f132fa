//! Changes of the catalogue and the numbers they bear.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Server;
use super::timestamp::rfc3339;

/// How far the catalogue has come: `<epoch>-<n>`. The number goes up by one with each change; the epoch is another one
/// after a restore from a backup, where numbers may repeat.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Revision {
    /// Which history the number belongs to: eight hex digits.
    pub epoch: String,
    /// The number of the last change.
    pub number: u64,
}

impl fmt::Display for Revision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.epoch, self.number)
    }
}

/// Not a revision: it has the form `<8 hex digits>-<number>`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a revision has the form <8 hex digits>-<number>")]
pub struct RevisionError;

impl FromStr for Revision {
    type Err = RevisionError;

    fn from_str(text: &str) -> Result<Self, RevisionError> {
        let (epoch, number) = text.split_once('-').ok_or(RevisionError)?;
        if epoch.len() != 8 || !epoch.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(RevisionError);
        }
        let number = number.parse().map_err(|_| RevisionError)?;
        Ok(Self { epoch: epoch.to_owned(), number })
    }
}

impl<'de> Deserialize<'de> for Revision {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Revision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What happened to a server. Refreshes are no change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It came, or came back with a late refresh.
    Registered,
    /// Its registration was replaced by a different one.
    Updated,
    /// It left.
    Deregistered,
    /// Its lease ran out. (The later deletion is no change.)
    Expired,
}

impl ChangeKind {
    /// The name in JSON and SQL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Updated => "updated",
            Self::Deregistered => "deregistered",
            Self::Expired => "expired",
        }
    }
}

impl FromStr for ChangeKind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let kinds = [Self::Registered, Self::Updated, Self::Deregistered, Self::Expired];
        kinds.into_iter().find(|kind| kind.as_str() == text).ok_or(())
    }
}

/// One thing that a watcher is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Watched {
    /// All that matches now. It replaces all that the watcher knew.
    Snapshot(Snapshot),
    /// What has changed since.
    Change(Change),
}

impl Watched {
    /// How far the watcher has come with it.
    #[must_use]
    pub fn revision(&self) -> &Revision {
        match self {
            Self::Snapshot(snapshot) => &snapshot.revision,
            Self::Change(change) => &change.revision,
        }
    }
}

/// All servers that match a filter, in summary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The servers, in the order of their registration.
    pub servers: Vec<Server>,
    /// How far the catalogue had come.
    pub revision: Revision,
}

/// What has happened to one server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Its number.
    pub revision: Revision,
    /// What happened, for who watches: a server that begins to match a filter is registered, one that stops is deregistered.
    pub kind: ChangeKind,
    /// When, by the wall clock.
    #[serde(serialize_with = "rfc3339")]
    pub at: DateTime<Utc>,
    /// The server in summary: afterwards, or as it was last.
    pub server: Server,
}
