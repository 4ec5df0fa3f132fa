//! Writes: commands, their transactions, and the statements of each table.

pub(super) mod changelog;
pub(super) mod command;
pub(super) mod definitions;
pub(super) mod leases;
pub(super) mod multi_statement;
pub(super) mod pending;
pub(super) mod prepared;
pub(super) mod registrations;
pub(super) mod search_text;
pub(super) mod summaries;
pub(super) mod tokens;
pub(super) mod transaction;
pub(super) mod writer;
