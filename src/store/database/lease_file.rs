//! The lease file: the process lock and the lease clock.
//!
//! The lease clock is written four times a second. The writes are not synced: they survive a killed process, and spare the
//! disk. The file also records the revision of the database, so that a database restored from a backup is recognized.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use super::companion::Companion;
use crate::store::error::OpenError;

/// The contents of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeaseFileContents {
    /// The epoch of the database.
    pub(crate) epoch: String,
    /// The highest revision that a client may know.
    pub(crate) revision: i64,
    /// The lease time of the last commit.
    pub(crate) committed: i64,
    /// The current lease time.
    pub(crate) now: i64,
    /// Whether the registry was closed cleanly.
    pub(crate) clean: bool,
    /// The version of the tokens that the process uses.
    pub(crate) tokens: i64,
}

const LINE_LENGTH: usize = 111;

impl LeaseFileContents {
    fn to_line(&self) -> String {
        let Self { epoch, revision, committed, now, clean, tokens } = self;
        let clean = u8::from(*clean);
        let process = std::process::id();
        format!("{epoch} {revision:020} {committed:020} {now:020} {clean} {process:010} {tokens:020} paul\n")
    }

    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [epoch, revision, committed, now, clean, _, tokens, "paul"] = fields[..] else { return None };
        Some(Self {
            epoch: epoch.to_owned(),
            revision: revision.parse().ok()?,
            committed: committed.parse().ok()?,
            now: now.parse().ok()?,
            clean: clean == "1",
            tokens: tokens.parse().ok()?,
        })
    }
}

/// The open and locked file. Dropping it releases the lock.
#[derive(Debug)]
pub(crate) struct LeaseFile {
    file: File,
}

/// How long to wait between two attempts to acquire the lock, and how many to make: a process that only reads the file
/// holds it for a moment.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);
const MAX_ATTEMPTS: usize = 6;

impl LeaseFile {
    /// Returns whether the lock of a database was ever acquired.
    pub(in crate::store) fn exists(database: &Path) -> bool {
        Companion::Lease.path(database).exists()
    }

    /// Acquires the lock of a database.
    pub(in crate::store) async fn lock(database: &Path) -> Result<Self, OpenError> {
        let path = Companion::Lease.path(database);
        let io = |reason| OpenError::Io { path: database.to_owned(), reason };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(io)?;
        let mut lease_file = Self { file };
        for _ in 0..MAX_ATTEMPTS {
            match lease_file.file.try_lock() {
                Ok(()) => return Ok(lease_file),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(RETRY_INTERVAL).await,
                Err(TryLockError::Error(reason)) => return Err(io(reason)),
            }
        }
        let text = lease_file.text().unwrap_or_default();
        let process = text.split_ascii_whitespace().nth(5).and_then(|id| id.parse().ok());
        Err(OpenError::Served { path: database.to_owned(), process })
    }

    fn text(&mut self) -> io::Result<String> {
        let mut text = String::new();
        self.file.seek(SeekFrom::Start(0))?;
        (&self.file).take(LINE_LENGTH as u64).read_to_string(&mut text)?;
        Ok(text)
    }

    /// Reads the file; none if it is new or was truncated by a power failure.
    pub(crate) fn read(&mut self) -> Option<LeaseFileContents> {
        LeaseFileContents::parse(&self.text().ok()?)
    }

    /// Overwrites the file in a single call with a line of fixed length, so that a killed process cannot leave half of it.
    pub(crate) fn write(&mut self, contents: &LeaseFileContents) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(contents.to_line().as_bytes())
    }

    /// Clears the file, because it describes another database.
    pub(in crate::store) fn clear(&self) -> io::Result<()> {
        self.file.set_len(0)
    }

    /// Syncs the file to disk. Once at the start is enough, since it is overwritten in place from then on.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Returns when the file was last written.
    #[cfg(feature = "cli")]
    pub(in crate::store) fn modified_at(database: &Path) -> Option<std::time::SystemTime> {
        std::fs::metadata(Companion::Lease.path(database)).and_then(|file| file.modified()).ok()
    }

    /// Reads the file of the process that serves a database; none if no process does.
    #[cfg(feature = "cli")]
    pub(in crate::store) fn read_serving(database: &Path) -> Option<LeaseFileContents> {
        let mut lease_file = Self { file: File::open(Companion::Lease.path(database)).ok()? };
        match lease_file.file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => lease_file.read(),
            _ => None,
        }
    }
}

/// Returns the epoch of the process that serves a database, and when that process last wrote its lease file.
#[cfg(feature = "cli")]
pub(crate) fn serving_epoch(database: &Path) -> Option<(String, std::time::SystemTime)> {
    // A write in between makes the time too early, never too late.
    let written = LeaseFile::modified_at(database)?;
    Some((LeaseFile::read_serving(database)?.epoch, written))
}

/// Locks a path against other processes until the result is dropped.
#[cfg(feature = "cli")]
pub(crate) async fn lock_database(path: &Path) -> Result<LeaseFile, OpenError> {
    LeaseFile::lock(path).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn reads_what_was_written_and_keeps_its_length() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.db");
        let mut lease_file = LeaseFile::lock(&database).await.unwrap();
        assert_eq!(lease_file.read(), None);
        let contents = LeaseFileContents {
            epoch: "0a1b2c3d".into(),
            revision: 7,
            committed: 8,
            now: 9,
            clean: false,
            tokens: 3,
        };
        assert_eq!(contents.to_line().len(), LINE_LENGTH);
        lease_file.write(&LeaseFileContents { revision: i64::MAX, ..contents.clone() }).unwrap();
        lease_file.write(&contents).unwrap();
        assert_eq!(lease_file.read(), Some(contents));
        let refused = LeaseFile::lock(&database).await.unwrap_err();
        assert!(matches!(refused, OpenError::Served { process: Some(id), .. } if id == std::process::id()));
    }

    #[tokio::test]
    async fn a_truncated_file_reads_as_none() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.db-lease"), "0a1b2c3d 00000").unwrap();
        let mut lease_file = LeaseFile::lock(&folder.path().join("a.db")).await.unwrap();
        assert_eq!(lease_file.read(), None);
    }
}
