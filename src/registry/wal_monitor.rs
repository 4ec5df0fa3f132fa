//! The size of the write-ahead log, looked at once in a while.
//!
//! SQLite folds it into the database when nobody reads an older state. Somebody who holds a read transaction open for long
//! (sqlite3 at its prompt, a backup, a stuck replicator) keeps it growing. Nothing goes wrong but disk space, and the log
//! says why.

use std::path::Path;
use std::time::Duration;

use crate::store::beside;

/// How often it is looked at.
pub(super) const LOOK: Duration = Duration::from_secs(5);
/// It is cut back to half of this by itself.
const LARGE: u64 = 128 * 1024 * 1024;

/// The bytes of the log beside a database; 0 when there is none.
pub(crate) fn bytes(database: &Path) -> u64 {
    std::fs::metadata(beside(database, "-wal")).map_or(0, |file| file.len())
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct WalWatch {
    /// The size that was last complained of.
    told: u64,
}

impl WalWatch {
    /// Says it once when the log has become large, and again whenever it has doubled.
    pub(super) fn look(&mut self, bytes: u64) {
        let mebibytes = bytes / (1024 * 1024);
        if bytes >= LARGE.max(self.told * 2) {
            self.told = bytes;
            tracing::warn!(
                mebibytes,
                "the write-ahead log grows: another program holds a read transaction open on the database (sqlite3, a \
                 backup, Litestream), so that it cannot be folded in; it shrinks when that one ends"
            );
        } else if self.told > 0 && bytes < LARGE {
            self.told = 0;
            tracing::info!(mebibytes, "the write-ahead log was folded in again");
        }
    }
}
