//! The errors of the client, by what the caller can do about them.

use serde::Deserialize;

use crate::model::{FilterError, Violation};

/// An error of the client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is not valid: fix it.
    #[error(
        "{address:?} is not a valid registry address: {detail}. Write it like http://127.0.0.1:7285 or unix:/run/paulina.sock"
    )]
    Address {
        /// The address that was given.
        address: String,
        /// Why it is not valid.
        detail: String,
    },
    /// No registry answers at any of the addresses, or not in time: start one, or try again later. The request may have been
    /// processed.
    #[error("no registry answers at {addresses}: {reason}")]
    Unreachable {
        /// The addresses that were tried.
        addresses: String,
        /// Why the last one failed.
        reason: String,
    },
    /// The server at the address does not support TLS, or its certificate is not trusted: fix the address, or trust the
    /// certificate.
    #[error(
        "the TLS connection to {address} failed: {detail}. Trusted are the certificates of this system, or those in SSL_CERT_FILE"
    )]
    Tls {
        /// The address.
        address: String,
        /// Why it failed.
        detail: String,
    },
    /// The server at the address is not a Paulina registry: fix the address.
    #[error("the server at {address} is not a Paulina registry: {detail}")]
    NotARegistry {
        /// The address.
        address: String,
        /// What it responded.
        detail: String,
    },
    /// The id is not registered, or not any more: register it again.
    #[error("{id} is not registered")]
    NotRegistered {
        /// The id.
        id: String,
    },
    /// Another process has registered the id: stop using this registration.
    #[error("another process has registered {id}")]
    LeaseReplaced {
        /// The id.
        id: String,
    },
    /// No server of this name is healthy: wait for one, or use another name.
    #[error("no server named {name:?} is healthy")]
    NoHealthyServers {
        /// The name.
        name: String,
    },
    /// A filter is not valid: fix the one that the message names.
    #[error(transparent)]
    InvalidFilter(#[from] FilterError),
    /// The registry rejected the request; the detail says what to do.
    #[error(transparent)]
    Api(#[from] ApiError),
}

/// The error response of a registry: RFC 9457 problem details, <https://www.rfc-editor.org/rfc/rfc9457>.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Deserialize)]
#[error("{detail} ({code})")]
pub struct ApiError {
    /// The HTTP status.
    pub status: u16,
    /// The stable code of the problem; the OpenAPI document lists all codes.
    pub code: String,
    /// The description of this occurrence.
    pub detail: String,
    /// Every violation of a rejected registration.
    #[serde(default)]
    pub errors: Vec<Violation>,
}

impl ClientError {
    /// Returns whether the same request may succeed later without any fix.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            // A proxy may be answering for a registry that is down, and certificates are renewed.
            Self::Unreachable { .. }
            | Self::NotARegistry { .. }
            | Self::Tls { .. }
            | Self::NoHealthyServers { .. } => true,
            Self::Api(error) => matches!(error.status, 408 | 429 | 500..),
            _ => false,
        }
    }
}
