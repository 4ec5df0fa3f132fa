//! Reads a JSON document one level at a time and collects violations with their location.
//!
//! serde stops at the first error, but the registry reports all of them. Only the requested level is parsed; nested values
//! remain text, and are stored as text if the registry does not read them.

use std::fmt;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::violation::{Pointer, Violations};
use super::{Json, ParseError};

/// A value of a document and its location.
pub(super) struct Node<'a> {
    raw: &'a RawValue,
    pub(super) pointer: Pointer,
}

impl<'a> Node<'a> {
    pub(super) fn root(text: &'a [u8]) -> Result<Self, ParseError> {
        let raw = serde_json::from_slice(text).map_err(|error| ParseError::Malformed(error.to_string()))?;
        Ok(Self { raw, pointer: Pointer::default() })
    }

    fn kind(&self) -> &'static str {
        match self.raw.get().as_bytes().first() {
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b'"') => "a string",
            Some(b't' | b'f') => "a boolean",
            Some(b'n') => "null",
            _ => "a number",
        }
    }

    pub(super) fn is_null(&self) -> bool {
        self.raw.get() == "null"
    }

    pub(super) fn is_string(&self) -> bool {
        self.kind() == "a string"
    }

    pub(super) fn is_empty_array(&self) -> bool {
        serde_json::from_str::<[(); 0]>(self.raw.get()).is_ok()
    }

    fn expected<T>(&self, wanted: &str, violations: &mut Violations) -> Option<T> {
        violations.push(&self.pointer, format!("must be {wanted}, not {}", self.kind()));
        None
    }

    pub(super) fn string(&self, violations: &mut Violations) -> Option<String> {
        if !self.is_string() {
            return self.expected("a string", violations);
        }
        if let Ok(text) = serde_json::from_str(self.raw.get()) {
            Some(text)
        } else {
            violations.push(&self.pointer, "contains half of a surrogate pair, which is not a character");
            None
        }
    }

    pub(super) fn boolean(&self, violations: &mut Violations) -> Option<bool> {
        serde_json::from_str(self.raw.get()).ok().or_else(|| self.expected("a boolean", violations))
    }

    /// Returns a whole number, which may be written with zeros after the decimal point.
    pub(super) fn whole_number(&self, violations: &mut Violations) -> Option<i64> {
        let text = self.raw.get();
        let zeros = |digits: &&str| !digits.is_empty() && digits.bytes().all(|digit| digit == b'0');
        let whole =
            text.split_once('.').filter(|(_, fraction)| zeros(fraction)).map_or(text, |(whole, _)| whole);
        match serde_json::from_str(whole) {
            Ok(number) => Some(number),
            Err(_) if self.kind() == "a number" => {
                violations.push(&self.pointer, "must be a whole number");
                None
            }
            Err(_) => self.expected("a whole number", violations),
        }
    }

    pub(super) fn array(&self, wanted: &str, violations: &mut Violations) -> Option<Vec<Node<'a>>> {
        let Ok(items) = serde_json::from_str::<Vec<&'a RawValue>>(self.raw.get()) else {
            return self.expected(wanted, violations);
        };
        let node = |(index, raw)| Node { raw, pointer: self.pointer.index(index) };
        Some(items.into_iter().enumerate().map(node).collect())
    }

    /// Returns the members in order. A duplicate member is a violation, and the first one is used.
    pub(super) fn object(&self, violations: &mut Violations) -> Option<Vec<(String, Node<'a>)>> {
        if self.kind() != "an object" {
            return self.expected("an object", violations);
        }
        let mut deserializer = serde_json::Deserializer::from_str(self.raw.get());
        let Ok(members) = deserializer.deserialize_map(Members) else {
            violations.push(&self.pointer, "has a member whose name contains half of a surrogate pair");
            return None;
        };
        let mut seen = std::collections::HashSet::with_capacity(members.len());
        let mut nodes = Vec::with_capacity(members.len());
        for (key, raw) in members {
            let pointer = self.pointer.key(&key);
            if seen.insert(key.clone()) {
                nodes.push((key, Node { raw, pointer }));
            } else {
                violations.push(&pointer, "is given twice");
            }
        }
        Some(nodes)
    }

    pub(super) fn json(&self, violations: &mut Violations) -> Option<Json> {
        match Json::from_raw(self.raw) {
            Ok(json) => Some(json),
            Err(error) => {
                violations.push(&self.pointer, error.to_string());
                None
            }
        }
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}
