//! Where a page ends and the next one begins.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Filter;

/// The last row of a page. Rows are found again by what they are, not by how many came before: what comes and goes in
/// between moves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Position {
    /// The number of a server.
    #[serde(rename = "n")]
    Server(i64),
    /// The rank of a server in a search (the bits of its score) and its number.
    #[serde(rename = "r")]
    RankedServer(u64, i64),
    /// The name of a tool.
    #[serde(rename = "t")]
    Tool(String),
    /// The rank of a tool in a search (the bits of its score) and its name.
    #[serde(rename = "s")]
    RankedTool(u64, String),
}

/// Where the next page begins: opaque, URL-safe, and with the filters of its query inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(Arc<Place>);

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place(Position, Vec<(String, String)>);

/// Not a cursor of this registry: begin again without one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not a cursor of this registry; begin again without one")]
pub struct CursorError;

impl Cursor {
    pub(crate) fn new(filter: &Filter, position: Position) -> Self {
        Self(Arc::new(Place(position, filter.pairs())))
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
        let place = serde_json::from_slice(&json).map_err(|_| CursorError)?;
        Ok(Self(Arc::new(place)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::FilterError;

    fn parse(pairs: &[(&str, &str)]) -> Result<Filter, FilterError> {
        Filter::from_pairs(pairs.iter().copied())
    }

    #[test]
    fn carries_its_filters_and_refuses_others() {
        let filter = Filter::new().tags(["b", "a"]).metadata("k", "v:w").limit(2);
        let cursor = Cursor::new(&filter, Position::Server(7)).to_string();
        assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
        let alone = parse(&[("cursor", &cursor)]).unwrap();
        assert_eq!(alone.after, Some(Position::Server(7)));
        assert_eq!(alone.limit, 2);
        assert!(parse(&[("cursor", &cursor), ("tags", "a,b"), ("limit", "2")]).is_ok());
        for other in [("tag", "a"), ("limit", "3"), ("tool", "x"), ("healthy", "any")] {
            let error = parse(&[("cursor", &cursor), other]).unwrap_err();
            assert_eq!(error.parameter, other.0);
        }
        for broken in ["", "x", "e30", "W10"] {
            assert_eq!(parse(&[("cursor", broken)]).unwrap_err().parameter, "cursor");
        }
    }
}
