//! A JSON value kept as its text, so that numbers keep their last digit and members their order.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::MAX_JSON_DEPTH;

/// A JSON value as the text that it was sent as, without the white space between its tokens.
///
/// Two values are equal when their texts are: `1.0` is not `1`, and the order of members counts.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json(Box<RawValue>);

/// Why a text is not a JSON value that the registry keeps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not JSON: mend the syntax.
    #[error("is not JSON: {0}")]
    Syntax(String),
    /// Nested deeper than other JSON readers go: flatten it.
    #[error("is nested deeper than {MAX_JSON_DEPTH} levels")]
    TooDeep,
    /// A `\uD800`–`\uDFFF` escape without its other half is no character: most readers refuse it.
    #[error("holds half of a surrogate pair (\\u{0:04X}), which is no character")]
    LoneSurrogate(u16),
}

impl Json {
    /// Parses a text.
    ///
    /// # Errors
    /// When the text is not JSON, too deeply nested, or holds an escape that is no character.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        let raw: &RawValue =
            serde_json::from_str(text).map_err(|error| JsonError::Syntax(error.to_string()))?;
        Self::from_raw(raw)
    }

    pub(crate) fn from_raw(raw: &RawValue) -> Result<Self, JsonError> {
        let text = compact(raw.get())?;
        RawValue::from_string(text).map(Self).map_err(|error| JsonError::Syntax(error.to_string()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// The value, parsed. Numbers beyond 64 bits lose digits here.
    ///
    /// # Errors
    /// When the value is too deeply nested for the reader.
    pub fn to_value(&self) -> serde_json::Result<serde_json::Value> {
        serde_json::from_str(self.as_str())
    }

    /// The JSON string of a text.
    #[must_use]
    pub fn string(text: &str) -> Self {
        Self::from(serde_json::Value::String(text.to_owned()))
    }
}

impl From<serde_json::Value> for Json {
    fn from(value: serde_json::Value) -> Self {
        let text = RawValue::from_string(value.to_string());
        Self(text.unwrap_or_else(|_| RawValue::NULL.to_owned()))
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Json {}

impl std::hash::Hash for Json {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Display for Json {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Takes the white space between tokens out of a valid text, and checks what the syntax alone does not.
fn compact(text: &str) -> Result<String, JsonError> {
    let bytes = text.as_bytes();
    let mut compacted = String::with_capacity(text.len());
    let (mut depth, mut kept, mut at) = (0_usize, 0, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = string_end(bytes, at + 1)?;
                continue;
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b' ' | b'\t' | b'\n' | b'\r' => {
                compacted.push_str(text.get(kept..at).unwrap_or_default());
                kept = at + 1;
            }
            _ => {}
        }
        if depth > MAX_JSON_DEPTH {
            return Err(JsonError::TooDeep);
        }
        at += 1;
    }
    compacted.push_str(text.get(kept..).unwrap_or_default());
    Ok(compacted)
}

/// Where the string ends whose text begins here, its quote included.
fn string_end(bytes: &[u8], start: usize) -> Result<usize, JsonError> {
    let mut at = start;
    while let Some(next) = bytes.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += next;
        if bytes.get(at) == Some(&b'"') {
            return Ok(at + 1);
        }
        at = match code_unit(bytes, at) {
            None => at + 2,
            Some(high @ 0xD800..=0xDBFF) => match code_unit(bytes, at + 6) {
                Some(0xDC00..=0xDFFF) => at + 12,
                _ => return Err(JsonError::LoneSurrogate(high)),
            },
            Some(low @ 0xDC00..=0xDFFF) => return Err(JsonError::LoneSurrogate(low)),
            Some(_) => at + 6,
        };
    }
    Ok(bytes.len())
}

/// What the escape `\uXXXX` stands for, if there is one.
fn code_unit(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_every_digit_and_the_order_of_members() {
        let text = r#"{ "b" : 1.10000000000000000001 , "a" : [ 1e400, " x \" y " ] }"#;
        let json = Json::parse(text).unwrap();
        assert_eq!(json.as_str(), r#"{"b":1.10000000000000000001,"a":[1e400," x \" y "]}"#);
    }

    #[test]
    fn refuses_what_other_readers_would() {
        let deep = "[".repeat(129) + &"]".repeat(129);
        assert_eq!(Json::parse(&deep), Err(JsonError::TooDeep));
        assert!(Json::parse(&("[".repeat(128) + &"]".repeat(128))).is_ok());
        assert_eq!(Json::parse(r#""\ud83d\ude00""#).unwrap().as_str(), r#""\ud83d\ude00""#);
        assert_eq!(Json::parse(r#""\ud83d""#), Err(JsonError::LoneSurrogate(0xD83D)));
        assert_eq!(Json::parse(r#""\ud83dx""#), Err(JsonError::LoneSurrogate(0xD83D)));
        assert_eq!(Json::parse(r#""\ude00""#), Err(JsonError::LoneSurrogate(0xDE00)));
        assert_eq!(Json::parse(r#""\ud83d\ud83d""#), Err(JsonError::LoneSurrogate(0xD83D)));
        assert!(Json::parse(r#""\\ud83d""#).is_ok());
        assert!(matches!(Json::parse("{"), Err(JsonError::Syntax(_))));
    }
}
