//! What can go wrong when a registry is asked over HTTP, sorted by what the caller does about it.

use serde::Deserialize;

use crate::model::{FilterError, Violation};

/// Why a registry did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is none: mend it.
    #[error(
        "{address:?} is no address of a registry: {detail}. Write it like http://127.0.0.1:7285 or unix:/run/paulina.sock"
    )]
    Address {
        /// What was given.
        address: String,
        /// What is wrong with it.
        detail: String,
    },
    /// No registry answers at any of the addresses, or not in time: start one, or try again later. What was asked may have
    /// been done all the same.
    #[error("no registry answers at {addresses}: {reason}")]
    Unreachable {
        /// Where it was asked.
        addresses: String,
        /// What the last one of them gave.
        reason: String,
    },
    /// What is at the address speaks no TLS, or its certificate is not trusted here: mend the address, or have it trusted.
    #[error(
        "no TLS with {address}: {detail}. What is trusted are the certificates of this system, or those in SSL_CERT_FILE"
    )]
    Tls {
        /// Where it was asked.
        address: String,
        /// What is wrong.
        detail: String,
    },
    /// Something answers at the address, and is no registry: mend the address.
    #[error("what answers at {address} is no registry of Paulina's: {detail}")]
    NotARegistry {
        /// Where it was asked.
        address: String,
        /// What it answered.
        detail: String,
    },
    /// The id is not registered, or not any more: register again.
    #[error("{id} is not registered")]
    NotRegistered {
        /// The id.
        id: String,
    },
    /// Another process has registered the id since: leave it alone.
    #[error("another process has registered {id} since")]
    LeaseReplaced {
        /// The id.
        id: String,
    },
    /// No server of this name is healthy: wait, or ask for another one.
    #[error("no server named {name:?} is healthy")]
    NoHealthyServers {
        /// The name.
        name: String,
    },
    /// The question is wrong: mend it.
    #[error(transparent)]
    InvalidFilter(#[from] FilterError),
    /// The registry refuses: its reason says what to do.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// What a registry says when it refuses: RFC 9457 problem details.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Deserialize)]
#[error("{detail} ({code})")]
pub struct Refusal {
    /// The status of the answer.
    pub status: u16,
    /// Which problem it is; the API's document lists them.
    pub code: String,
    /// What is wrong in this case, for people.
    pub detail: String,
    /// All that is wrong with a registration.
    #[serde(default)]
    pub errors: Vec<Violation>,
}

impl ClientError {
    /// Whether the same may succeed later without anything being mended.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            // A proxy in front of a registry that is down answers for itself; certificates are renewed.
            Self::Unreachable { .. }
            | Self::NotARegistry { .. }
            | Self::Tls { .. }
            | Self::NoHealthyServers { .. } => true,
            Self::Refused(refusal) => matches!(refusal.status, 408 | 429 | 500..),
            _ => false,
        }
    }
}
