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
    let mut compacted = String::with_capacity(text.len());
    let mut depth = 0_usize;
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let length = match character {
            '"' => string_length(rest)?,
            _ => character.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        match character {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_JSON_DEPTH {
            return Err(JsonError::TooDeep);
        }
        if !matches!(character, ' ' | '\t' | '\n' | '\r') {
            compacted.push_str(token);
        }
        rest = after;
    }
    Ok(compacted)
}

/// The bytes of the string that a text begins with, quotes included.
fn string_length(text: &str) -> Result<usize, JsonError> {
    let mut bytes = text.bytes().enumerate().skip(1);
    let mut expected_low = None;
    while let Some((at, byte)) = bytes.next() {
        let escaped = byte == b'\\';
        let unit = if escaped {
            let kind = bytes.next().map(|(_, kind)| kind);
            (kind == Some(b'u')).then(|| {
                bytes.nth(3);
                text.get(at + 2..at + 6).and_then(|digits| u16::from_str_radix(digits, 16).ok())
            })
        } else {
            None
        };
        match (expected_low.take(), unit.flatten()) {
            (Some(_), Some(0xDC00..=0xDFFF)) => {}
            (Some(high), _) => return Err(JsonError::LoneSurrogate(high)),
            (None, Some(high @ 0xD800..=0xDBFF)) => expected_low = Some(high),
            (None, Some(low @ 0xDC00..=0xDFFF)) => return Err(JsonError::LoneSurrogate(low)),
            (None, _) => {}
        }
        if !escaped && byte == b'"' {
            return Ok(at + 1);
        }
    }
    Ok(text.len())
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
        assert!(Json::parse(r#""\\ud83d""#).is_ok());
        assert!(matches!(Json::parse("{"), Err(JsonError::Syntax(_))));
    }
}
