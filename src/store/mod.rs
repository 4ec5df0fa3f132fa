//! The storage layer, the only one that contains SQL.
//!
//! SQLite is the source of truth: joins answer queries, and the schema enforces what it can (unique keys, foreign keys,
//! checks). One [`Writer`] has the only writing connection, and [`Readers`] have a few read-only connections. Nothing here
//! reads a clock; callers pass a [`Moment`].
//!
//! Authorization happens here as well, because it must be atomic with the change of a lease.
//!
//! Fixed statements use sqlx's checked macros. Statements are composed at run time only for filters, in `read/query.rs`,
//! and for the columns of a record, which several statements share, in `record.rs`.
//!
//! `database` contains the file and its companions, `cache` the committed state in memory, `read` and `write` its two uses,
//! and `admin` what the command line does to a database outside of a registry.

#[cfg(feature = "cli")]
mod admin;
mod cache;
mod database;
mod error;
mod moment;
mod open;
mod read;
#[cfg_attr(not(feature = "server"), expect(dead_code, reason = "only the HTTP API uses fingerprints"))]
mod record;
mod snapshot;
mod write;

#[cfg(feature = "cli")]
pub(crate) use admin::backup::back_up;
#[cfg(feature = "cli")]
pub(crate) use admin::integrity::{IntegrityReport, check_integrity, sqlite_version};
#[cfg(feature = "cli")]
pub(crate) use admin::tokens::{TokenAdmin, tokens_in};
#[cfg(feature = "cli")]
pub(crate) use admin::truncate_wal::truncate_wal;
#[cfg(feature = "server")]
pub(crate) use cache::responses::JsonWithEtag;
pub(crate) use cache::responses::{FindResult, ToolsResult};
#[cfg(any(test, feature = "bench"))]
pub(crate) use cache::search_index::Search;
pub(crate) use cache::state::CommittedState;
pub(crate) use cache::state::InitialState;
pub(crate) use cache::subscriptions::{ChangeEvent, EventSide, Side, Subscription};
pub(crate) use database::companion::Companion;
#[cfg(feature = "cli")]
pub(crate) use database::create::create_private;
pub(crate) use database::create::install_copy;
pub(crate) use database::lease_file::{LeaseFile, LeaseFileContents};
#[cfg(feature = "cli")]
pub(crate) use database::lease_file::{lock_database, serving_epoch};
#[cfg(feature = "cli")]
pub(crate) use database::litestream_lock::{LitestreamLock, LockAttempt, file_identity};
pub(crate) use database::location::Location;
#[cfg(feature = "cli")]
pub(crate) use database::location::resolve_symlinks;
pub use error::OpenError;
pub(crate) use error::StoreError;
pub(crate) use moment::{Moment, time};
pub(crate) use open::{open, open_locked};
pub(crate) use read::reader::Readers;
pub(crate) use record::Entry;
pub(crate) use snapshot::SnapshotDatabase;
pub(crate) use write::changelog::ChangeRetention;
pub(crate) use write::command::{BatchCounts, Job, WriteCommand};
pub(crate) use write::leases::{
    DeregisterOutcome, DeregisterRequest, PruneOutcome, RefreshOutcome, RefreshRequest,
};
pub(crate) use write::prepared::PreparedRegistration;
pub(crate) use write::registrations::RegisterOutcome;
pub(crate) use write::tokens::TokenChange;
pub(crate) use write::writer::Writer;

#[cfg(feature = "bench")]
pub(crate) use read::query::find_sql;
