//! The handlers of `/v1`, of health checks and metrics, and of unknown routes.

pub(super) mod fallback;
pub(super) mod health;
pub(super) mod leases;
pub(super) mod mcp;
pub(super) mod metrics;
pub(super) mod promote;
pub(super) mod query;
pub(super) mod role;
pub(super) mod servers;
pub(super) mod stats;
pub(super) mod tools;
pub(super) mod watch;
