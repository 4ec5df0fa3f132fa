//! A JSON value stored as text, so that numbers keep all digits and members their order.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::MAX_JSON_DEPTH;

/// A JSON value as text, without white space between tokens.
///
/// Two values are equal if their texts are: `1.0` is not equal to `1`, and the order of members matters.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json(Box<RawValue>);

/// Why a text is not a JSON value that the registry accepts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// The text is not JSON: fix the syntax.
    #[error("is not JSON: {0}")]
    Syntax(String),
    /// The value is nested more deeply than other JSON parsers support: flatten it.
    #[error("is nested deeper than {MAX_JSON_DEPTH} levels")]
    TooDeep,
    /// A `\uD800`–`\uDFFF` escape is not part of a surrogate pair: most JSON parsers reject it.
    #[error("contains half of a surrogate pair (\\u{0:04X}), which is not a character")]
    LoneSurrogate(u16),
}

impl Json {
    /// Parses a text.
    ///
    /// # Errors
    /// If the text is not JSON, is nested too deeply, or contains an escape that is not a character.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        let raw: &RawValue =
            serde_json::from_str(text).map_err(|error| JsonError::Syntax(error.to_string()))?;
        Self::from_raw(raw)
    }

    pub(crate) fn from_raw(raw: &RawValue) -> Result<Self, JsonError> {
        let text = compact(raw.get())?;
        RawValue::from_string(text).map(Self).map_err(|error| JsonError::Syntax(error.to_string()))
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// Parses the value. Numbers beyond 64 bits lose digits.
    ///
    /// # Errors
    /// If the value is nested too deeply for the parser.
    pub fn to_value(&self) -> serde_json::Result<serde_json::Value> {
        serde_json::from_str(self.as_str())
    }

    /// Returns a text as a JSON string.
    #[must_use]
    pub fn string(text: &str) -> Self {
        Self::from(serde_json::Value::String(text.to_owned()))
    }
}

/// Returns an object of the members that have a value, in this order.
pub(super) fn object<'a>(members: impl IntoIterator<Item = (&'a str, Option<Json>)>) -> Json {
    let mut text = String::from("{");
    for (key, value) in members.into_iter().filter_map(|(key, value)| Some((key, value?))) {
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(Json::string(key).as_str());
        text.push(':');
        text.push_str(value.as_str());
    }
    text.push('}');
    // Members that are JSON make an object that is JSON.
    Json(RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned()))
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

/// Removes white space between tokens of a valid text, and checks what the syntax does not.
fn compact(text: &str) -> Result<String, JsonError> {
    let bytes = text.as_bytes();
    let mut compacted = String::with_capacity(text.len());
    let (mut depth, mut token_start, mut at) = (0_usize, 0, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = string_end(bytes, at + 1)?;
                continue;
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b' ' | b'\t' | b'\n' | b'\r' => {
                compacted.push_str(text.get(token_start..at).unwrap_or_default());
                token_start = at + 1;
            }
            _ => {}
        }
        if depth > MAX_JSON_DEPTH {
            return Err(JsonError::TooDeep);
        }
        at += 1;
    }
    compacted.push_str(text.get(token_start..).unwrap_or_default());
    Ok(compacted)
}

/// Returns the end of the string whose text begins here, including its quote.
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

/// Returns the code unit of the escape `\uXXXX`, if there is one.
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
    fn rejects_what_other_parsers_reject() {
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
