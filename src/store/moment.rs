//! The time of a read or write.

use chrono::{DateTime, Utc};

/// The time of a read or write, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// The lease time.
    pub(crate) lease: i64,
    /// The wall time.
    pub(crate) wall: i64,
    /// The difference between wall time and lease time.
    pub(crate) offset: i64,
}

impl Moment {
    pub(crate) fn wall_of(self, lease_time: i64) -> DateTime<Utc> {
        time(lease_time.saturating_add(self.offset))
    }
}

/// Converts milliseconds to a time; 1970 if they are out of range.
pub(crate) fn time(milliseconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(milliseconds).unwrap_or_default()
}
