//! The committed state in memory: leases, rendered records, cached responses, the search index, and watch subscriptions.

pub(super) mod invalidation;
pub(super) mod lease_table;
#[cfg_attr(not(feature = "server"), expect(dead_code, reason = "only the HTTP API caches pages as JSON"))]
pub(super) mod responses;
pub(super) mod search_index;
pub(super) mod state;
pub(super) mod subscriptions;
