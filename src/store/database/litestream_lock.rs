//! The lock of a Litestream process that replicates a database.
//!
//! Litestream keeps the database file open that it started with, but finds the write-ahead log by its name. If another
//! database is installed at the path while Litestream runs, it copies the log of the new one over pages of the old one and
//! ruins the replica. So the Litestream process of `paulina replicate` holds a lock that names the file it was started for,
//! and a process that opens a database waits until a Litestream process of another file has exited.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use super::companion::Companion;
use crate::store::error::OpenError;

/// How long to wait between two attempts, and how many to make: 40 s in all.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);
const MAX_ATTEMPTS: usize = 400;

/// The Litestream process that holds a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holder {
    /// Its process id.
    pub(crate) process: u32,
    /// The identity of the file that it was started for.
    file: u64,
}

/// Returns what distinguishes the file at a path from a later one; none if there is no file.
pub(crate) fn file_identity(path: &Path) -> Option<u64> {
    #[cfg(unix)]
    return std::fs::metadata(path).ok().map(|file| std::os::unix::fs::MetadataExt::ino(&file));
    #[cfg(not(unix))]
    return path.exists().then_some(0);
}

/// The acquired lock. The Litestream process inherits it as its standard input and holds it for its lifetime.
#[cfg_attr(not(feature = "cli"), expect(dead_code, reason = "only the command line starts Litestream"))]
pub(crate) struct LitestreamLock(File);

/// The outcome of an attempt to acquire a [`LitestreamLock`].
pub(crate) enum LockAttempt {
    Acquired(LitestreamLock),
    HeldBy(Holder),
    /// The holder has not written its process id.
    HeldByUnknown,
}

impl LitestreamLock {
    /// Tries to acquire the lock of a database.
    pub(crate) fn try_lock(database: &Path) -> io::Result<LockAttempt> {
        let path = Companion::LitestreamLock.path(database);
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => {
                // The id of the previous holder may belong to another process by now.
                file.set_len(0)?;
                Ok(LockAttempt::Acquired(Self(file)))
            }
            Err(TryLockError::WouldBlock) => {
                Ok(read_holder(&mut file).map_or(LockAttempt::HeldByUnknown, LockAttempt::HeldBy))
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Returns the handle that Litestream inherits as its standard input.
    #[cfg(feature = "cli")]
    pub(crate) fn stdin(&self) -> io::Result<File> {
        self.0.try_clone()
    }

    /// Records the process that holds the lock from now on.
    #[cfg(feature = "cli")]
    pub(crate) fn set_holder(&mut self, process: u32, file: u64) -> io::Result<()> {
        io::Write::write_all(&mut self.0, format!("{process} {file}\n").as_bytes())
    }
}

fn read_holder(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.read_to_string(&mut text).ok()?;
    let (process, file) = text.trim_end().split_once(' ')?;
    Some(Holder { process: process.parse().ok()?, file: file.parse().ok()? })
}

/// Waits until no Litestream process runs that was started for an earlier file at this path.
pub(in crate::store) async fn wait_for_other_litestream(database: &Path) -> Result<(), OpenError> {
    if !Companion::LitestreamLock.path(database).exists() {
        return Ok(());
    }
    let mut process = None;
    for attempt in 0..MAX_ATTEMPTS {
        let lock = LitestreamLock::try_lock(database);
        process = match lock.map_err(|reason| OpenError::Io { path: database.to_owned(), reason })? {
            LockAttempt::Acquired(lock) => {
                drop(lock);
                return Ok(());
            }
            LockAttempt::HeldBy(holder) if Some(holder.file) == file_identity(database) => return Ok(()),
            LockAttempt::HeldBy(holder) => Some(holder.process),
            LockAttempt::HeldByUnknown => None,
        };
        if attempt == 0 {
            tracing::warn!(
                "litestream still replicates the previous database at this path; waiting for it to exit"
            );
        }
        tokio::time::sleep(RETRY_INTERVAL).await;
    }
    Err(OpenError::Replicated { path: database.to_owned(), process })
}
