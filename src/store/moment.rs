//! The time at which something is read or written.

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
