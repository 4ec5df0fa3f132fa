//! The files that belong to a database file and are named after it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A file that is named after a database file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Companion {
    /// SQLite's rollback journal.
    Journal,
    /// SQLite's write-ahead log.
    Wal,
    /// SQLite's shared memory, the index of the write-ahead log.
    SharedMemory,
    /// The lease file: process lock and lease clock.
    Lease,
    /// A database that is not complete yet.
    New,
    /// A mark that another registry has become the primary.
    Superseded,
    /// The rollback journal of a database that was moved away.
    LeftJournal,
    /// The write-ahead log of a database that was moved away.
    LeftWal,
    /// The lock of a Litestream process.
    LitestreamLock,
    /// A backup that is not complete yet.
    #[cfg(feature = "cli")]
    Unfinished,
    /// A copy that was restored from a replica.
    #[cfg(feature = "cli")]
    Restored,
    /// The copy that a standby reads.
    #[cfg(feature = "cli")]
    Standby,
    /// The record of which epoch is replicated where.
    #[cfg(feature = "cli")]
    Replica,
    /// The file that Litestream restores to first.
    #[cfg(feature = "cli")]
    Temporary,
}

impl Companion {
    const fn suffix(self) -> &'static str {
        match self {
            Self::Journal => "-journal",
            Self::Wal => "-wal",
            Self::SharedMemory => "-shm",
            Self::Lease => "-lease",
            Self::New => "-new",
            Self::Superseded => "-superseded",
            Self::LeftJournal => "-journal-left",
            Self::LeftWal => "-wal-left",
            Self::LitestreamLock => "-replicating",
            #[cfg(feature = "cli")]
            Self::Unfinished => "-unfinished",
            #[cfg(feature = "cli")]
            Self::Restored => "-restored",
            #[cfg(feature = "cli")]
            Self::Standby => "-standby",
            #[cfg(feature = "cli")]
            Self::Replica => "-replica",
            #[cfg(feature = "cli")]
            Self::Temporary => ".tmp",
        }
    }

    /// Returns the path of this file for a database.
    pub(crate) fn path(self, database: &Path) -> PathBuf {
        if self == Self::LitestreamLock {
            // Next to Litestream's own hidden folder, so that it is not moved away together with the database.
            let mut name = OsString::from(".");
            name.push(database.file_name().unwrap_or_default());
            name.push(self.suffix());
            return database.with_file_name(name);
        }
        let mut name = database.as_os_str().to_owned();
        name.push(self.suffix());
        name.into()
    }
}
