//! Errors of the registry.

use crate::model::{FilterError, ParseError, Violation, join_violations};
use crate::store::StoreError;

/// Why a call of the registry failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The registration is not valid: each violation names a member and what is allowed there.
    #[error("the registration is not valid: {}", join_violations(.0))]
    InvalidRegistration(Vec<Violation>),
    /// The filter is not valid: fix the parameter that the error names.
    #[error(transparent)]
    InvalidFilter(#[from] FilterError),
    /// No server has this id: register it again.
    #[error("no server with id {0:?} is registered; register it again")]
    NotRegistered(String),
    /// The lease has been replaced, since another process has registered the id: stop refreshing it.
    #[error("the lease of {0:?} was replaced: another process has registered this id")]
    LeaseReplaced(String),
    /// The id is already registered: choose another one, or replace the registration.
    #[error("the id {0:?} is registered already")]
    AlreadyRegistered(String),
    /// The server belongs to another token, or the caller's token was revoked: use the owner's token, or an admin's.
    #[error(
        "the server {0:?} belongs to another token, or yours was revoked; use the owner's token, or one with the role admin"
    )]
    Forbidden(String),
    /// A token with this name exists: choose another name, or revoke that token first.
    #[error("the token {0:?} already exists; choose another name, or revoke that token first")]
    TokenExists(String),
    /// No token has this name: list the tokens to see their names.
    #[error("there is no token {0:?}")]
    NoToken(String),
    /// The operating system did not return random bytes: try again.
    #[error("the operating system did not return random bytes: {0}")]
    Random(String),
    /// The disk is full: reads still work, and leases are paused. Free some space; nothing else is needed.
    #[error("the disk of the database is full; reads still work, and leases are paused until space is freed")]
    StorageFull,
    /// Another process holds the write lock of the database, or too many commands are queued: try again shortly.
    #[error("the registry is overloaded; try again shortly")]
    Overloaded,
    /// This registry is a read-only standby: use the primary, or promote this one.
    #[error("this registry is a read-only standby; {}", advice(primary.as_deref()))]
    Standby {
        /// The URL of the primary, if it is configured.
        primary: Option<String>,
    },
    /// The registry was closed: open it again.
    #[error("the registry is closed")]
    Closed,
    /// The database failed: see the source of this error and the log of the registry.
    #[error("the database failed")]
    Storage(#[source] Box<dyn std::error::Error + Send + Sync>),
}

fn advice(primary: Option<&str>) -> String {
    primary.map_or_else(|| "use the primary".to_owned(), |primary| format!("use the primary at {primary}"))
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
