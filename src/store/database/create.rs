//! Giving a database its place: a new one, and one that a replica or another machine has brought.
//!
//! It is made whole under another name, and gets its own when it is on disk: whoever is killed on the way leaves nothing
//! behind that the next start could take for a database.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::Path;

use sqlx::{Connection, SqliteConnection};

use super::connect::writing;
use super::inspect::inspect;
use super::lease_file::Beside;
use super::litestream_lock::wait_for_others;
use super::location::{beside, resolved};
use super::migrations;
use crate::store::error::OpenError;

/// Takes the lock of a database of ours, and makes the database if there is none. What is not ours is refused before
/// anything is made beside it, and is looked at again under the lock. Where there is a lock already, it comes first: this
/// process may be serving the database, and to look at it and close it again would end SQLite's locks of the process.
pub(in crate::store) async fn prepare(path: &Path) -> Result<Beside, OpenError> {
    if !Beside::exists(path) {
        inspect(path).await?;
    }
    let beside = Beside::lock(path).await?;
    if path.exists() {
        inspect(path).await?;
    } else {
        make(path).await?;
    }
    Ok(beside)
}

/// A connection that writes, to a database whose schema is up to date.
pub(in crate::store) async fn migrated(path: &Path) -> Result<SqliteConnection, OpenError> {
    create_private(path).map_err(|reason| OpenError::Io { path: path.to_owned(), reason })?;
    let mut writing = writing(path).await?;
    let migrated = migrations::migrate(&mut writing).await;
    migrated.map_err(|detail| OpenError::Migration { path: path.to_owned(), detail })?;
    Ok(writing)
}

/// A connection for a short command beside whoever serves the database. A database that is not there yet, or is an older
/// Paulina's, is made or brought up to date, which nobody may be serving meanwhile.
#[cfg(feature = "cli")]
pub(in crate::store) async fn beside_the_server(path: &Path) -> Result<SqliteConnection, OpenError> {
    if inspect(path).await? == Some(migrations::newest()) {
        return writing(path).await;
    }
    let _lock = prepare(path).await?;
    migrated(path).await
}

/// Makes a new database. Only who holds the lock may do this.
pub(in crate::store) async fn make(path: &Path) -> Result<(), OpenError> {
    let unfinished = beside(path, "-new");
    for ending in ["", "-journal", "-wal", "-shm"] {
        gone(std::fs::remove_file(beside(&unfinished, ending))).map_err(|reason| io(path, reason))?;
    }
    finish(&unfinished, path).await
}

/// Gives a copy that was restored a place where there is no database. What is remembered there of an earlier one is
/// forgotten: the copy begins an epoch when it is opened, however much it has. Gives the lock of that place.
pub(crate) async fn adopt(copy: &Path, path: &Path) -> Result<Beside, OpenError> {
    let path = &resolved(path)?;
    let beside = Beside::lock(path).await?;
    if path.exists() {
        return Err(io(path, io::Error::new(ErrorKind::AlreadyExists, "there is a database already")));
    }
    if inspect(copy).await?.is_none() {
        return Err(OpenError::NotADatabase { path: copy.to_owned() });
    }
    private(copy).map_err(|reason| io(copy, reason))?;
    wait_for_others(path).await?;
    beside.forget().map_err(|reason| io(path, reason))?;
    gone(std::fs::remove_file(super::location::beside(path, "-superseded")))
        .map_err(|reason| io(path, reason))?;
    finish(copy, path).await?;
    Ok(beside)
}

/// Brings a database up to date, puts it on disk, and gives it its name.
async fn finish(unfinished: &Path, path: &Path) -> Result<(), OpenError> {
    let failed = |reason| io(path, reason);
    // What a database that was moved away has left would be taken for this one's: pages of the old over the new. It may
    // hold what the other one lacks, so it is kept.
    for ending in ["-journal", "-wal"] {
        let kept = beside(path, &[ending, "-left"].concat());
        if gone(std::fs::rename(beside(path, ending), &kept)).map_err(failed)? {
            tracing::warn!(kept = %kept.display(), "the log of a database that was moved away was there: move it along");
        }
    }
    gone(std::fs::remove_file(beside(path, "-shm"))).map_err(failed)?;
    fold(unfinished).await.map_err(|error| error.at(path))?;
    name(unfinished, path).map_err(failed)
}

/// Gives a file its name, for good.
pub(in crate::store) fn name(unfinished: &Path, path: &Path) -> io::Result<()> {
    File::open(unfinished).and_then(|file| file.sync_all())?;
    std::fs::rename(unfinished, path)?;
    #[cfg(unix)]
    {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all())?;
    }
    Ok(())
}

/// Brings the schema up to date and leaves one file that holds it all.
pub(in crate::store) async fn fold(path: &Path) -> Result<(), OpenError> {
    let mut connection = migrated(path).await?;
    // Closing would do it, but not say when it fails.
    let busy =
        sqlx::query_scalar::<_, i64>("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut connection).await;
    if busy.map_err(|error| OpenError::sqlite(path, &error))? != 0 {
        let detail = "its log cannot be folded in".to_owned();
        return Err(OpenError::Migration { path: path.to_owned(), detail });
    }
    connection.close().await.map_err(|error| OpenError::sqlite(path, &error))
}

/// Makes a file that is to become a database, if there is none, so that only its owner may read it: there are tokens in it.
/// Whoever writes it next would leave that to the umask. What is there is not opened: to close it again would end SQLite's
/// locks on it.
pub(crate) fn create_private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Lets nobody but its owner read a file: there are tokens in it.
pub(in crate::store) fn private(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// Whether a file was there to be taken away.
pub(in crate::store) fn gone(done: io::Result<()>) -> io::Result<bool> {
    match done {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn io(path: &Path, reason: io::Error) -> OpenError {
    OpenError::Io { path: path.to_owned(), reason }
}
