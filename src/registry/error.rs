//! What a caller of the registry can be told.

use crate::model::{FilterError, ParseError, Violation};
use crate::store::StoreError;

/// Why the registry did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The registration breaks the rules: each violation names a place and what would be right there.
    #[error("the registration is not valid: {}", list(.0))]
    InvalidRegistration(Vec<Violation>),
    /// The filter asks for what no query can answer: mend what it names.
    #[error(transparent)]
    InvalidFilter(#[from] FilterError),
    /// No server has this id: register it again.
    #[error("no server with id {0:?} is registered; register it again")]
    NotRegistered(String),
    /// The lease that was named is over, since another process has registered the id: let it be.
    #[error("the lease of {0:?} was replaced: another process has registered this id since")]
    LeaseReplaced(String),
    /// The id is taken, and only a new one was to be registered: choose another, or replace it.
    #[error("the id {0:?} is registered already")]
    AlreadyRegistered(String),
    /// The server belongs to another token, or the token was revoked meanwhile: use that one, or an admin's.
    #[error(
        "the server {0:?} belongs to another token, or yours was revoked; use its own, or one with the role admin"
    )]
    Forbidden(String),
    /// There is a token of this name: choose another name, or revoke that one first.
    #[error("there is a token {0:?} already; choose another name, or revoke that one first")]
    TokenExists(String),
    /// There is no token of this name: see which there are.
    #[error("there is no token {0:?}")]
    NoToken(String),
    /// The operating system gives no random bytes: try again.
    #[error("the operating system gives no random bytes: {0}")]
    Random(String),
    /// The disk is full: reads go on, leases stand still. Make room; nothing else is needed.
    #[error(
        "the disk that holds the database is full; reads go on and leases stand still until there is room"
    )]
    StorageFull,
    /// Somebody else holds the database's write lock, or too much is waiting: try again in a moment.
    #[error("the registry has too much to do; try again in a moment")]
    Overloaded,
    /// This registry only answers: ask the primary, or have this one promoted.
    #[error("this registry is a standby, which only answers; {}", at(primary.as_deref()))]
    Standby {
        /// Where the primary is, as far as this one was told.
        primary: Option<String>,
    },
    /// The registry was closed: open it again.
    #[error("the registry is closed")]
    Closed,
    /// The database failed: see the cause, and the log of the registry.
    #[error("the database failed")]
    Storage(#[source] Box<dyn std::error::Error + Send + Sync>),
}

fn at(primary: Option<&str>) -> String {
    primary.map_or_else(|| "ask the primary".to_owned(), |primary| format!("ask the primary at {primary}"))
}

fn list(violations: &[Violation]) -> String {
    violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full => Self::StorageFull,
            StoreError::Busy => Self::Overloaded,
            StoreError::Failed(error) => Self::Storage(Box::new(error)),
        }
    }
}

impl From<ParseError> for Error {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::Malformed(detail) => {
                Self::InvalidRegistration(vec![Violation { pointer: String::new(), detail }])
            }
            ParseError::Invalid(violations) => Self::InvalidRegistration(violations),
        }
    }
}
