//! The only SQL.
//!
//! SQLite is the truth: what a query returns, SQL joins decide, and what SQL can state (a unique key, a foreign key, a
//! CHECK) the schema states. One [`Writer`] holds the one writing connection; [`Readers`] are a few connections that
//! can only read. Nothing here knows what time it is: callers pass a [`Moment`].
//!
//! Fixed statements go through sqlx's checked macros. Only what a filter asks for is put together at run time, in
//! `read/query.rs`, and the columns of a record, which several statements share, in `record.rs`.
//!
//! `database` is the file and what belongs to it, `cache` what is held in memory of it, `read` and `write` are the two ways to
//! use it, and `admin` is what the command line does to a database outside of a registry.

#[cfg(feature = "cli")]
mod admin;
mod cache;
mod database;
mod error;
mod moment;
mod open;
mod read;
#[cfg_attr(not(feature = "server"), expect(dead_code, reason = "the HTTP API alone tags its answers"))]
mod record;
mod snapshot;
mod write;

#[cfg(feature = "cli")]
pub(crate) use admin::backup::back_up;
#[cfg(feature = "cli")]
pub(crate) use admin::integrity::{Examination, examine, sqlite_version};
#[cfg(feature = "cli")]
pub(crate) use admin::tokens::{TokenFile, tokens_in};
#[cfg(feature = "cli")]
pub(crate) use admin::truncate_wal::empty_log;
#[cfg(feature = "server")]
pub(crate) use cache::responses::Tagged;
pub(crate) use cache::responses::{Found, Tools};
#[cfg(any(test, feature = "bench"))]
pub(crate) use cache::search_index::Search;
pub(crate) use cache::state::Known;
pub(crate) use cache::state::Live;
pub(crate) use cache::subscriptions::{Event, Side, Subscription, Which};
pub(crate) use database::create::adopt;
#[cfg(feature = "cli")]
pub(crate) use database::create::create_private;
pub(crate) use database::lease_file::{Beside, Record};
#[cfg(feature = "cli")]
pub(crate) use database::lease_file::{hold, served};
#[cfg(feature = "cli")]
pub(crate) use database::litestream_lock::{Replicating, identity};
#[cfg(feature = "cli")]
pub(crate) use database::location::resolved;
pub(crate) use database::location::{Location, beside};
pub use error::OpenError;
pub(crate) use error::StoreError;
pub(crate) use moment::{Moment, time};
pub(crate) use open::{open, open_locked};
pub(crate) use read::reader::Readers;
pub(crate) use record::Entry;
pub(crate) use snapshot::Copied;
pub(crate) use write::changelog::Kept;
pub(crate) use write::command::{Command, Job, Tally};
pub(crate) use write::leases::{Deregistration, Ending, Pruned, RefreshOutcome, Refreshes};
pub(crate) use write::prepared::PreparedRegistration;
pub(crate) use write::registrations::Registering;
pub(crate) use write::tokens::TokenChange;
pub(crate) use write::writer::Writer;

#[cfg(feature = "bench")]
pub(crate) use read::query::find_sql;
