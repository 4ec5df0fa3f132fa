//! The only SQL.
//!
//! SQLite is the truth: what a query returns, SQL joins decide, and what SQL can state (a unique key, a foreign key, a
//! CHECK) the schema states. One [`Writer`] holds the one writing connection; [`Readers`] are a few connections that
//! can only read. Nothing here knows what time it is: callers pass a [`Moment`].
//!
//! Fixed statements go through sqlx's checked macros. Only what a filter asks for is put together at run time, in
//! `filter.rs`, and the columns of a record, which several statements share, in `rows.rs`.

#[cfg_attr(not(feature = "server"), expect(dead_code, reason = "the HTTP API alone keeps pages as JSON"))]
mod answers;
#[cfg(feature = "cli")]
mod backup;
mod batch;
mod beside;
mod changes;
mod children;
mod command;
mod copied;
mod documents;
mod draft;
mod error;
#[cfg(feature = "cli")]
mod examine;
mod filter;
mod fold;
mod leases;
mod live;
mod location;
mod mirror;
mod open;
mod pages;
mod place;
#[cfg(test)]
mod plans;
mod reader;
mod replicating;
#[cfg_attr(not(feature = "server"), expect(dead_code, reason = "the HTTP API alone tags its answers"))]
mod rows;
mod schema;
mod script;
mod search;
mod servers;
#[cfg(feature = "cli")]
mod token_file;
mod tokens;
mod touch;
mod watchers;
mod writer;

#[cfg(feature = "server")]
pub(crate) use answers::Tagged;
pub(crate) use answers::{Found, Tools};
#[cfg(feature = "cli")]
pub(crate) use backup::back_up;
pub(crate) use beside::{Beside, Record};
#[cfg(feature = "cli")]
pub(crate) use beside::{hold, served};
pub(crate) use changes::{Kept, Passage};
pub(crate) use command::{Command, Job, Tally};
pub(crate) use copied::Copied;
pub use error::OpenError;
pub(crate) use error::StoreError;
#[cfg(feature = "cli")]
pub(crate) use examine::{Examination, examine, sqlite_version};
pub(crate) use leases::{Deregistration, Ending, Pruned, RefreshOutcome, Refreshes};
pub(crate) use live::Live;
#[cfg(feature = "cli")]
pub(crate) use location::resolved;
pub(crate) use location::{Location, beside};
pub(crate) use open::{Known, open, open_locked};
pub(crate) use place::adopt;
#[cfg(feature = "cli")]
pub(crate) use place::create_private;
pub(crate) use reader::Readers;
#[cfg(feature = "cli")]
pub(crate) use replicating::{Replicating, empty_log, identity};
pub(crate) use rows::Entry;
#[cfg(any(test, feature = "bench"))]
pub(crate) use search::Search;
pub(crate) use servers::{Put, Registering};
#[cfg(feature = "cli")]
pub(crate) use token_file::{TokenFile, tokens_in};
pub(crate) use tokens::TokenChange;
pub(crate) use watchers::{Event, Side, Subscription, Which};
pub(crate) use writer::Writer;

#[cfg(feature = "bench")]
pub(crate) use filter::find_sql;

use chrono::{DateTime, Utc};

/// The time at which something is read or written, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Lease time, which leases are measured in.
    pub(crate) lease: i64,
    /// The wall clock.
    pub(crate) wall: i64,
    /// What added to a lease time gives the wall time that it will be then.
    pub(crate) offset: i64,
}

impl Moment {
    pub(crate) fn wall_of(self, lease_time: i64) -> DateTime<Utc> {
        time(lease_time.saturating_add(self.offset))
    }
}

/// Milliseconds as a time; what no calendar holds becomes 1970.
pub(crate) fn time(milliseconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(milliseconds).unwrap_or_default()
}
