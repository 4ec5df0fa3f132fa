//! Leases and what follows from them.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::timestamp::rfc3339;

/// Whether a server is alive, which follows from its lease alone: healthy while `expires_at` is ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// The lease runs.
    Healthy,
    /// The lease has run out, and the row awaits the pruner or a late refresh.
    Unhealthy,
}

impl Health {
    /// The name in JSON.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// Names one registering of an id: new with every `register`.
///
/// A refresh or deregistration that names it fails when another process has registered the id since, instead of
/// ending its successor.
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

/// A server's id, and the lease if the caller names it: whatever holds the id, or only that registering of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRef {
    pub(crate) id: String,
    pub(crate) lease: Option<LeaseId>,
}

impl LeaseRef {
    /// Whatever holds the id, or, with a lease, only that registering of it.
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

impl From<&super::Registered> for LeaseRef {
    fn from(registered: &super::Registered) -> Self {
        Self::new(&registered.server.id, Some(registered.lease))
    }
}

/// A lease that was refreshed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Refreshed {
    /// The server.
    #[cfg_attr(feature = "server", schema(example = "filesystem-abc123"))]
    pub id: String,
    /// Healthy, since it was refreshed.
    pub health: Health,
    /// How long the lease runs, in seconds.
    #[cfg_attr(feature = "server", schema(example = 30))]
    pub ttl: u32,
    /// When it runs out, by the wall clock, if nothing holds it up.
    #[serde(serialize_with = "rfc3339")]
    #[cfg_attr(feature = "server", schema(example = "2026-01-08T10:00:30.000Z"))]
    pub expires_at: DateTime<Utc>,
    /// When to refresh next: half the `ttl`, in milliseconds.
    #[cfg_attr(feature = "server", schema(example = 15_000))]
    pub refresh_after_ms: u64,
}

/// What a batch of refreshes gave.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct RefreshedMany {
    /// The leases that run on, in the order asked.
    pub refreshed: Vec<Refreshed>,
    /// The ids that are not registered: register them again.
    #[cfg_attr(feature = "server", schema(example = json!(["gone-42"])))]
    pub not_registered: Vec<String>,
}

/// A server's health and what is left of its lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct LeaseState {
    /// The server.
    #[cfg_attr(feature = "server", schema(example = "filesystem-abc123"))]
    pub id: String,
    /// Its name.
    #[cfg_attr(feature = "server", schema(example = "filesystem"))]
    pub name: String,
    /// Whether the lease runs.
    pub health: Health,
    /// How long the lease runs after a refresh, in seconds.
    #[cfg_attr(feature = "server", schema(example = 30))]
    pub ttl: u32,
    /// When it runs out, by the wall clock, if nothing holds it up.
    #[serde(serialize_with = "rfc3339")]
    #[cfg_attr(feature = "server", schema(example = "2026-01-08T10:00:30.000Z"))]
    pub expires_at: DateTime<Utc>,
    /// What is left of it, in milliseconds; 0 when it has run out.
    #[cfg_attr(feature = "server", schema(example = 21_500))]
    pub expires_in_ms: u64,
}
