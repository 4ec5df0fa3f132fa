//! Monitors the size of the write-ahead log.
//!
//! SQLite can checkpoint and reuse the log only if no reader needs an older state. A process that keeps a read transaction
//! open (an sqlite3 prompt, a backup, a stuck replicator) makes it grow. That only costs disk space, and a warning names the
//! cause.

use std::path::Path;
use std::time::Duration;

use crate::store::Companion;

/// How often the size is checked.
pub(super) const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// The size from which a warning is logged. Without long readers the log is truncated to half of this.
const WARN_BYTES: u64 = 128 * 1024 * 1024;

/// Returns the size of the log of a database in bytes; 0 if there is none.
pub(crate) fn wal_bytes(database: &Path) -> u64 {
    std::fs::metadata(Companion::Wal.path(database)).map_or(0, |file| file.len())
}

/// Warns about a large write-ahead log.
#[derive(Debug, Default)]
pub(super) struct WalMonitor {
    /// The size of the last warning; 0 without one.
    warned_bytes: u64,
}

impl WalMonitor {
    /// Logs a warning when the log has become large and each time it has doubled.
    pub(super) fn check(&mut self, bytes: u64) {
        let mebibytes = bytes / (1024 * 1024);
        if bytes >= WARN_BYTES.max(self.warned_bytes * 2) {
            self.warned_bytes = bytes;
            tracing::warn!(
                mebibytes,
                "the write-ahead log is growing: another process keeps a read transaction open (sqlite3, a backup, \
                 Litestream) and blocks checkpoints; it shrinks when that transaction ends"
            );
        } else if self.warned_bytes > 0 && bytes < WARN_BYTES {
            self.warned_bytes = 0;
            tracing::info!(mebibytes, "the write-ahead log has been checkpointed again");
        }
    }
}
