//! Changes of the catalog, as watchers are notified of them.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::timestamp::rfc3339;
use super::{Revision, Server};

/// What happened to a server. Refreshes are not changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It was registered, or revived by a late refresh.
    Registered,
    /// Its registration was replaced by a different one.
    Updated,
    /// It was deregistered.
    Deregistered,
    /// Its lease expired. (The later deletion is not a change.)
    Expired,
}

impl ChangeKind {
    /// Returns the name in JSON and SQL.
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

/// An event of a watch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum WatchEvent {
    /// All servers that match now. It replaces what the watcher knew.
    Snapshot(Snapshot),
    /// A change after the snapshot.
    Change(Change),
}

impl WatchEvent {
    /// Returns the revision up to which the watcher is informed.
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
    /// The revision of the snapshot.
    pub revision: Revision,
}

/// A change of one server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The revision of the change.
    pub revision: Revision,
    /// What happened, as seen by the watcher: a server that starts matching the filter is reported as registered, one that
    /// stops matching as deregistered.
    pub kind: ChangeKind,
    /// When it happened, by the wall clock.
    #[serde(serialize_with = "rfc3339")]
    pub at: DateTime<Utc>,
    /// The server in summary: after the change, or as it was last.
    pub server: Server,
}
