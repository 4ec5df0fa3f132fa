//! The exit code and the message of a command that failed.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | success |
//! | 1 | failure, with the reason on standard error |
//! | 2 | invalid arguments |
//! | 3 | not found, or unhealthy |
//! | 4 | the registry cannot be reached |
//! | 5 | the registry requires a token, or one with another role |
//! | 6 | another registry has taken over |

use std::io;

use crate::client::ClientError;
use crate::model::FilterError;

/// The requested item does not exist, or is unhealthy.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NotFound(pub(super) String);

/// Returns the exit code for an error.
pub(super) fn of(error: &anyhow::Error) -> u8 {
    for cause in error.chain() {
        if cause.is::<NotFound>() {
            return 3;
        }
        if cause.is::<FilterError>() {
            return 2;
        }
        if cause.is::<super::replica::Superseded>() {
            return 6;
        }
        return match cause.downcast_ref::<ClientError>() {
            Some(ClientError::NotRegistered { .. } | ClientError::NoHealthyServers { .. }) => 3,
            Some(
                ClientError::Unreachable { .. } | ClientError::Tls { .. } | ClientError::NotARegistry { .. },
            ) => 4,
            Some(ClientError::Api(error)) if matches!(error.status, 401 | 403) => 5,
            Some(ClientError::InvalidFilter(_)) => 2,
            Some(_) => 1,
            None => continue,
        };
    }
    1
}

/// Returns whether the reader of standard output has closed it, as in `paulina ls | head`.
pub(super) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let is_broken = |cause: &io::Error| cause.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref().is_some_and(is_broken))
}

/// Returns the message for the user: what failed, and what to do about it.
pub(super) fn user_message(error: &anyhow::Error) -> String {
    if let Some(FilterError { parameter, detail }) = error.downcast_ref() {
        return if parameter == "search" {
            format!("the text to search for {detail}")
        } else {
            format!("--{parameter} {detail}")
        };
    }
    let client = error.chain().find_map(|cause| cause.downcast_ref::<ClientError>());
    match client {
        Some(ClientError::Unreachable { addresses, reason }) => format!(
            "cannot reach a registry at {addresses} ({reason}): start one with `paulina serve`, or name another with --registry"
        ),
        Some(ClientError::NotARegistry { .. }) => format!("{error}: name another address with --registry"),
        Some(ClientError::Api(error)) if error.status == 401 => {
            format!("{}: give it with --token or PAULINA_TOKEN", error.detail)
        }
        Some(ClientError::Api(error)) if !error.errors.is_empty() => {
            let violations = error.errors.iter().map(|violation| format!("\n  {violation}"));
            format!("{}:{}", error.detail, violations.collect::<String>())
        }
        _ => format!("{error:#}"),
    }
}
