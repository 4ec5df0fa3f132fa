//! Leases and health.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::timestamp::rfc3339;

/// The health of a server, which depends only on its lease: healthy until `expires_at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// The lease is running.
    Healthy,
    /// The lease has expired. The server will be pruned unless a late refresh revives it.
    Unhealthy,
}

impl Health {
    /// Returns the name in JSON.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// Identifies a lease. Each `register` creates a new one.
///
/// A refresh or deregistration with a lease fails if another process has since registered the id, instead of affecting its
/// registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LeaseId(Uuid);

impl LeaseId {
    pub(crate) fn random() -> Self {
        Self(Uuid::new_v4())
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for LeaseId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for LeaseId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// A reference to a lease: the current lease of an id, or only a specific one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRef {
    pub(crate) id: String,
    pub(crate) lease: Option<LeaseId>,
}

impl LeaseRef {
    /// Refers to the current lease of an id, or only to a specific one.
    #[must_use]
    pub fn new(id: impl Into<String>, lease: Option<LeaseId>) -> Self {
        Self { id: id.into(), lease }
    }
}

impl From<&str> for LeaseRef {
    fn from(id: &str) -> Self {
        Self::new(id, None)
    }
}

impl From<&String> for LeaseRef {
    fn from(id: &String) -> Self {
        Self::new(id, None)
    }
}

/// A refreshed lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Refreshed {
    /// The id of the server.
    #[cfg_attr(feature = "server", schema(example = "filesystem-abc123"))]
    pub id: String,
    /// Always healthy.
    pub health: Health,
    /// The duration of the lease in seconds.
    #[cfg_attr(feature = "server", schema(example = 30))]
    pub ttl: u32,
    /// When the lease ends, by the wall clock, unless leases are paused.
    #[serde(serialize_with = "rfc3339")]
    #[cfg_attr(feature = "server", schema(example = "2026-01-08T10:00:30.000Z"))]
    pub expires_at: DateTime<Utc>,
    /// When to refresh next, in milliseconds: after half the `ttl`.
    #[cfg_attr(feature = "server", schema(example = 15_000))]
    pub refresh_after_ms: u64,
}

/// The result of refreshing many leases.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct RefreshedMany {
    /// The refreshed leases, in the order of the request.
    pub refreshed: Vec<Refreshed>,
    /// The ids that are not registered: register them again.
    #[cfg_attr(feature = "server", schema(example = json!(["gone-42"])))]
    pub not_registered: Vec<String>,
}

/// A server's health and the rest of its lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct LeaseState {
    /// The id of the server.
    #[cfg_attr(feature = "server", schema(example = "filesystem-abc123"))]
    pub id: String,
    /// The name of the server.
    #[cfg_attr(feature = "server", schema(example = "filesystem"))]
    pub name: String,
    /// Whether the lease is running.
    pub health: Health,
    /// The duration of the lease after a refresh, in seconds.
    #[cfg_attr(feature = "server", schema(example = 30))]
    pub ttl: u32,
    /// When the lease ends, by the wall clock, unless leases are paused.
    #[serde(serialize_with = "rfc3339")]
    #[cfg_attr(feature = "server", schema(example = "2026-01-08T10:00:30.000Z"))]
    pub expires_at: DateTime<Utc>,
    /// The time until the lease ends, in milliseconds; 0 if it has expired.
    #[cfg_attr(feature = "server", schema(example = 21_500))]
    pub expires_in_ms: u64,
}
