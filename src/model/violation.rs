//! Violations of a registration and their locations.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

use super::MAX_VIOLATIONS;

/// A violation in a registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Violation {
    /// A JSON pointer (RFC 6901) into the body.
    #[cfg_attr(feature = "server", schema(example = "/capabilities/tools/3/name"))]
    pub pointer: String,
    /// What is wrong and what is allowed.
    #[cfg_attr(feature = "server", schema(example = "is required"))]
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pointer = if self.pointer.is_empty() { "the registration" } else { &self.pointer };
        write!(formatter, "{pointer} {}", self.detail)
    }
}

/// Why a text is not a registration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The text is not JSON: fix the syntax.
    #[error("the body is not JSON: {0}")]
    Malformed(String),
    /// The registration is not valid: each violation names a member and what is allowed there.
    #[error("the registration is not valid: {}", join_violations(.0))]
    Invalid(Vec<Violation>),
}

/// Joins violations to one line.
pub(crate) fn join_violations(violations: &[Violation]) -> String {
    violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// A JSON pointer into a document.
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

/// Collects violations: at most [`MAX_VIOLATIONS`], and at most one for a value and everything in it.
#[derive(Debug, Default)]
pub(super) struct Violations {
    listed: Vec<Violation>,
    omitted: usize,
}

impl Violations {
    pub(super) fn push(&mut self, pointer: &Pointer, detail: impl Into<String>) {
        if self.listed.len() < MAX_VIOLATIONS {
            self.listed.push(Violation { pointer: pointer.0.clone(), detail: detail.into() });
        } else {
            self.omitted += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// Adds violations, except for values in which a violation has already been found.
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
        self.omitted += later.omitted;
    }

    pub(super) fn into_result(mut self) -> Result<(), Vec<Violation>> {
        if self.omitted > 0 {
            let detail = format!("has {} more violations than are listed here", self.omitted);
            self.listed.push(Violation { pointer: String::new(), detail });
        }
        if self.is_empty() { Ok(()) } else { Err(self.listed) }
    }
}
