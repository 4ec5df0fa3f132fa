//! Totals of the catalog.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Revision;

/// Totals of the catalog, including unhealthy servers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Stats {
    /// Totals of servers.
    pub servers: ServerStats,
    /// Tools, counted once for each server that offers them.
    #[cfg_attr(feature = "server", schema(example = 32))]
    pub tools: u64,
    /// Resources and resource templates, counted once for each server that offers them.
    #[cfg_attr(feature = "server", schema(example = 8))]
    pub resources: u64,
    /// Prompts, counted once for each server that offers them.
    #[cfg_attr(feature = "server", schema(example = 4))]
    pub prompts: u64,
    /// The revision of the catalog.
    #[cfg_attr(feature = "server", schema(value_type = String, example = "8f3a1c02-17"))]
    pub revision: Revision,
}

/// Totals of servers. Only existing values are listed; a server with two tags is counted under both.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct ServerStats {
    /// The number of servers.
    #[cfg_attr(feature = "server", schema(example = 2))]
    pub total: u64,
    /// By health, `healthy` and `unhealthy`; both are always present.
    #[cfg_attr(feature = "server", schema(example = json!({"healthy": 2, "unhealthy": 0})))]
    pub by_health: BTreeMap<String, u64>,
    /// By transport.
    #[cfg_attr(feature = "server", schema(example = json!({"stdio": 2})))]
    pub by_transport: BTreeMap<String, u64>,
    /// By name.
    #[cfg_attr(feature = "server", schema(example = json!({"filesystem": 2})))]
    pub by_name: BTreeMap<String, u64>,
    /// By tag.
    #[cfg_attr(feature = "server", schema(example = json!({"local": 2})))]
    pub by_tag: BTreeMap<String, u64>,
    /// By capability, `tools`, `resources` and `prompts` included.
    #[cfg_attr(feature = "server", schema(example = json!({"tools": 2, "sampling": 1})))]
    pub by_capability: BTreeMap<String, u64>,
}
