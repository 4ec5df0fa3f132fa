//! Queries, over read-only connections.

#[cfg(test)]
mod filter_tests;
pub(super) mod lookup;
pub(super) mod page;
pub(super) mod query;
#[cfg(test)]
pub(super) mod query_plans;
pub(super) mod reader;
pub(super) mod settings;
