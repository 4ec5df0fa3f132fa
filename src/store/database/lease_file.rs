//! The small file beside the database: the lock of the serving process, and what must not be older than a tick.
//!
//! The lease clock is written here four times a second by a plain write, without a sync: a killed process loses
//! nothing, and the disk is left alone. The file also says how far the database had come, so that one that was put back
//! from a backup is known for what it is.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use super::location::beside;
use crate::store::error::OpenError;

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// The epoch of the database.
    pub(crate) epoch: String,
    /// The highest revision that was answered.
    pub(crate) revision: i64,
    /// The lease time that the database's last commit carries.
    pub(crate) committed: i64,
    /// The lease time now.
    pub(crate) now: i64,
    /// Whether the registry was closed in order.
    pub(crate) clean: bool,
    /// Which state of the tokens the process goes by.
    pub(crate) tokens: i64,
}

const LENGTH: usize = 111;

impl Record {
    fn line(&self) -> String {
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

/// The open and locked file. Dropping it gives the lock back.
#[derive(Debug)]
pub(crate) struct Beside {
    file: File,
}

/// How often, and how many times, the lock is tried: who only looks holds it for a moment.
const AGAIN: Duration = Duration::from_millis(20);
const TRIES: usize = 6;

impl Beside {
    /// Whether anybody has ever taken the lock of a database.
    pub(in crate::store) fn exists(database: &Path) -> bool {
        beside(database, "-lease").exists()
    }

    /// Takes the lock of a database.
    pub(in crate::store) async fn lock(database: &Path) -> Result<Self, OpenError> {
        let path = beside(database, "-lease");
        let io = |reason| OpenError::Io { path: database.to_owned(), reason };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(io)?;
        let mut beside = Self { file };
        for _ in 0..TRIES {
            match beside.file.try_lock() {
                Ok(()) => return Ok(beside),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(AGAIN).await,
                Err(TryLockError::Error(reason)) => return Err(io(reason)),
            }
        }
        let text = beside.text().unwrap_or_default();
        let process = text.split_ascii_whitespace().nth(5).and_then(|id| id.parse().ok());
        Err(OpenError::Served { path: database.to_owned(), process })
    }

    fn text(&mut self) -> io::Result<String> {
        let mut text = String::new();
        self.file.seek(SeekFrom::Start(0))?;
        (&self.file).take(LENGTH as u64).read_to_string(&mut text)?;
        Ok(text)
    }

    /// What the file says; nothing if it is new or was torn by a power cut.
    pub(crate) fn read(&mut self) -> Option<Record> {
        Record::parse(&self.text().ok()?)
    }

    /// Writes over what the file says, in one call and always of one length, so that a kill can't leave half of it.
    pub(crate) fn write(&mut self, record: &Record) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(record.line().as_bytes())
    }

    /// Empties the file: the database that it tells of is another one.
    pub(in crate::store) fn forget(&self) -> io::Result<()> {
        self.file.set_len(0)
    }

    /// Has what was written put on disk: once at the start is enough, since it is written over in place from then on.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// When the file was last written.
    #[cfg(feature = "cli")]
    pub(in crate::store) fn written(database: &Path) -> Option<std::time::SystemTime> {
        std::fs::metadata(beside(database, "-lease")).and_then(|file| file.modified()).ok()
    }

    /// What the process says that serves a database now; nothing if there is none.
    #[cfg(feature = "cli")]
    pub(in crate::store) fn served(database: &Path) -> Option<Record> {
        let mut beside = Self { file: File::open(beside(database, "-lease")).ok()? };
        match beside.file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => beside.read(),
            _ => None,
        }
    }
}

/// The epoch that a process serves a database in, and when it last wrote that down.
#[cfg(feature = "cli")]
pub(crate) fn served(database: &Path) -> Option<(String, std::time::SystemTime)> {
    // A write in between makes it older than it is, never newer.
    let written = Beside::written(database)?;
    Some((Beside::served(database)?.epoch, written))
}

/// Keeps others from what lies at a path, until it is dropped.
#[cfg(feature = "cli")]
pub(crate) async fn hold(path: &Path) -> Result<Beside, OpenError> {
    Beside::lock(path).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn says_what_was_written_and_keeps_its_length() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.db");
        let mut beside = Beside::lock(&database).await.unwrap();
        assert_eq!(beside.read(), None);
        let record =
            Record { epoch: "0a1b2c3d".into(), revision: 7, committed: 8, now: 9, clean: false, tokens: 3 };
        assert_eq!(record.line().len(), LENGTH);
        beside.write(&Record { revision: i64::MAX, ..record.clone() }).unwrap();
        beside.write(&record).unwrap();
        assert_eq!(beside.read(), Some(record));
        let refused = Beside::lock(&database).await.unwrap_err();
        assert!(matches!(refused, OpenError::Served { process: Some(id), .. } if id == std::process::id()));
    }

    #[tokio::test]
    async fn a_torn_file_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.db-lease"), "0a1b2c3d 00000").unwrap();
        let mut beside = Beside::lock(&folder.path().join("a.db")).await.unwrap();
        assert_eq!(beside.read(), None);
    }
}
