//! The handlers of `/v1`, of the probes, and of what there is no route for.

pub(super) mod leases;
pub(super) mod mcp;
pub(super) mod operations;
pub(super) mod promote;
pub(super) mod query;
pub(super) mod servers;
pub(super) mod stats;
pub(super) mod tools;
pub(super) mod watch;
