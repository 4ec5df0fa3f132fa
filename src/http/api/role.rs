//! The role of a registry: primary or standby.

use serde::Serialize;
use utoipa::ToSchema;

use crate::registry::Registry;

/// The status and the role of a registry that is ready.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Ready {
    /// Always `ok`.
    #[schema(example = "ok")]
    status: &'static str,
    /// `primary`: accepts writes; `standby`: read-only, serves a copy of the primary's database.
    #[schema(example = "primary")]
    role: &'static str,
}

impl Ready {
    pub(in crate::http) fn of(registry: &Registry) -> Self {
        Self { status: "ok", role: if registry.is_standby() { "standby" } else { "primary" } }
    }
}
