//! Litestream beside a database.
//!
//! It holds the file that lay there when it began, but finds the log by its name. A database that is put in the place of
//! another one while it runs would have its log copied over the other one's pages, and that replica would be worth
//! nothing. So a Litestream of `paulina replicate` holds a lock that says which file it was begun for, and who opens a
//! database waits until one that was begun for another file has ended.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use crate::store::error::OpenError;

/// How often, and how many times, it is looked whether it has ended: 40 s in all.
const AGAIN: Duration = Duration::from_millis(100);
const TRIES: usize = 400;

/// What the lock says of the Litestream that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holder {
    /// Its process id.
    pub(crate) process: u32,
    /// Which file it was begun for.
    file: u64,
}

/// Which file it is that lies at a path; none if there is none.
pub(crate) fn identity(path: &Path) -> Option<u64> {
    #[cfg(unix)]
    return std::fs::metadata(path).ok().map(|file| std::os::unix::fs::MetadataExt::ino(&file));
    #[cfg(not(unix))]
    return path.exists().then_some(0);
}

/// Beside Litestream's own folder, and not among the files that are moved away with a database.
fn lock_file(database: &Path) -> std::path::PathBuf {
    let name = database.file_name().unwrap_or_default();
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push("-replicating");
    database.with_file_name(hidden)
}

/// The lock; the Litestream that it is passed to as standard input holds it for as long as it lives.
#[cfg_attr(not(feature = "cli"), expect(dead_code, reason = "who holds it alone starts Litestream"))]
pub(crate) struct Replicating(File);

impl Replicating {
    /// Takes the lock of a database, or says who holds it.
    pub(crate) fn lock(database: &Path) -> io::Result<Result<Self, Option<Holder>>> {
        let path = lock_file(database);
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => {
                // The process that it named may have become another one.
                file.set_len(0)?;
                Ok(Ok(Self(file)))
            }
            Err(TryLockError::WouldBlock) => Ok(Err(holder(&mut file))),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// The end that Litestream gets.
    #[cfg(feature = "cli")]
    pub(crate) fn input(&self) -> io::Result<File> {
        self.0.try_clone()
    }

    /// Says whose it is from now on.
    #[cfg(feature = "cli")]
    pub(crate) fn name(&mut self, process: u32, file: u64) -> io::Result<()> {
        io::Write::write_all(&mut self.0, format!("{process} {file}\n").as_bytes())
    }
}

fn holder(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.read_to_string(&mut text).ok()?;
    let (process, file) = text.trim_end().split_once(' ')?;
    Some(Holder { process: process.parse().ok()?, file: file.parse().ok()? })
}

/// Waits until no Litestream is left that was begun for another file than the one that lies there.
pub(in crate::store) async fn wait_for_others(database: &Path) -> Result<(), OpenError> {
    if !lock_file(database).exists() {
        return Ok(());
    }
    let mut process = None;
    for tried in 0..TRIES {
        let lock = Replicating::lock(database);
        let lock = lock.map_err(|reason| OpenError::Io { path: database.to_owned(), reason })?;
        let Err(holder) = lock else { return Ok(()) };
        if holder.is_some_and(|holder| Some(holder.file) == identity(database)) {
            return Ok(());
        }
        if tried == 0 {
            tracing::warn!(
                "Litestream still replicates the database that lay here before: waiting for its end"
            );
        }
        process = holder.map(|holder| holder.process);
        tokio::time::sleep(AGAIN).await;
    }
    Err(OpenError::Replicated { path: database.to_owned(), process })
}
