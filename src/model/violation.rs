//! What is wrong with a value, and where in it.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

use super::MAX_VIOLATIONS;

/// One thing wrong with a registration, with an RFC 6901 pointer to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Violation {
    /// An RFC 6901 JSON pointer into the body, `/capabilities/tools/3/name`.
    #[cfg_attr(feature = "server", schema(example = "/capabilities/tools/3/name"))]
    pub pointer: String,
    /// What is wrong there, and what would be right.
    #[cfg_attr(feature = "server", schema(example = "is required"))]
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pointer = if self.pointer.is_empty() { "the registration" } else { &self.pointer };
        write!(formatter, "{pointer} {}", self.detail)
    }
}

/// Why a text is no registration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The text is not JSON: mend the syntax.
    #[error("the body is not JSON: {0}")]
    Malformed(String),
    /// The text is JSON that breaks the rules: each violation names a place and what would be right there.
    #[error("the registration is not valid: {}", list(.0))]
    Invalid(Vec<Violation>),
}

pub(crate) fn list(violations: &[Violation]) -> String {
    violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// A path into a document, grown and shrunk as the reader walks.
#[derive(Debug, Clone, Default)]
pub(super) struct Pointer(String);

impl Pointer {
    pub(super) fn key(&self, key: &str) -> Self {
        let escaped = key.replace('~', "~0").replace('/', "~1");
        Self(format!("{}/{escaped}", self.0))
    }

    pub(super) fn index(&self, index: usize) -> Self {
        let mut path = self.0.clone();
        let _ = write!(path, "/{index}");
        Self(path)
    }
}

/// Collects violations, at most [`MAX_VIOLATIONS`], and at most one for a place and all below it.
#[derive(Debug, Default)]
pub(super) struct Violations {
    listed: Vec<Violation>,
    unlisted: usize,
}

impl Violations {
    pub(super) fn push(&mut self, pointer: &Pointer, detail: impl Into<String>) {
        if self.listed.len() < MAX_VIOLATIONS {
            self.listed.push(Violation { pointer: pointer.0.clone(), detail: detail.into() });
        } else {
            self.unlisted += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// Adds what is not said already of the same place or of one that holds it.
    pub(super) fn add_unless_covered(&mut self, later: Self) {
        let known: std::collections::HashSet<String> =
            self.listed.iter().map(|violation| violation.pointer.clone()).collect();
        let covered = |pointer: &str| {
            known.contains(pointer)
                || pointer.match_indices('/').any(|(end, _)| end > 0 && known.contains(&pointer[..end]))
        };
        for violation in later.listed {
            if !covered(&violation.pointer) {
                self.push(&Pointer(violation.pointer), violation.detail);
            }
        }
        self.unlisted += later.unlisted;
    }

    pub(super) fn into_result(mut self) -> Result<(), Vec<Violation>> {
        if self.unlisted > 0 {
            let detail = format!("has {} more violations than are listed here", self.unlisted);
            self.listed.push(Violation { pointer: String::new(), detail });
        }
        if self.is_empty() { Ok(()) } else { Err(self.listed) }
    }
}
