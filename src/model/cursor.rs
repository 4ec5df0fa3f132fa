//! Cursors for pagination.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The last row of a page (keyset pagination), so that rows added or removed in between do not shift the next page.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Position {
    /// The number of a server.
    #[serde(rename = "n")]
    Server(i64),
    /// The score of a server in a search, as bits, and its number.
    #[serde(rename = "r")]
    RankedServer(u64, i64),
    /// The name of a tool.
    #[serde(rename = "t")]
    Tool(String),
    /// The score of a tool in a search, as bits, and its name.
    #[serde(rename = "s")]
    RankedTool(u64, String),
}

/// The start of the next page: opaque, URL-safe, and containing the filters of its query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(Arc<CursorPayload>);

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct CursorPayload(Position, Vec<(String, String)>);

/// The text is not a cursor of this registry: start without a cursor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not a cursor of this registry; start without a cursor")]
pub struct CursorError;

impl Cursor {
    /// Creates a cursor from the last row of a page and the query parameters of its filter.
    pub(super) fn new(position: Position, pairs: Vec<(String, String)>) -> Self {
        Self(Arc::new(CursorPayload(position, pairs)))
    }

    pub(super) fn position(&self) -> &Position {
        &self.0.0
    }

    pub(super) fn pairs(&self) -> &[(String, String)] {
        &self.0.1
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_vec(&*self.0).map_err(|_| fmt::Error)?;
        formatter.write_str(&URL_SAFE_NO_PAD.encode(json))
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let json = URL_SAFE_NO_PAD.decode(text).map_err(|_| CursorError)?;
        let payload = serde_json::from_slice(&json).map_err(|_| CursorError)?;
        Ok(Self(Arc::new(payload)))
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
