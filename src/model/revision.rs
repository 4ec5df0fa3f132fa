//! Revisions: positions in the history of the catalog.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A position in the history of the catalog: `<epoch>-<n>`. Each change increments the number. A restore from a backup
/// begins a new epoch, since numbers can repeat after it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Revision {
    /// The epoch that the number belongs to: eight hex digits.
    pub epoch: String,
    /// The number of the last change.
    pub number: u64,
}

impl fmt::Display for Revision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.epoch, self.number)
    }
}

/// The text is not a revision of the form `<8 hex digits>-<number>`.
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
