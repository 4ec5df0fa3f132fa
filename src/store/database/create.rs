//! Atomic creation and installation of a database file.
//!
//! A database is completed under another name and renamed once it is on disk, so that a crash leaves nothing that the next
//! start could mistake for a database.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::Path;

use sqlx::{Connection, SqliteConnection};

use super::companion::Companion;
use super::connect::connect_writer;
use super::inspect::inspect;
use super::lease_file::LeaseFile;
use super::litestream_lock::wait_for_other_litestream;
use super::location::resolve_symlinks;
use super::migrations;
use crate::store::error::OpenError;

/// Acquires the lock of a database, and creates the database if it does not exist. A foreign file is rejected before any
/// file is created next to it, and is inspected again under the lock. If there is a lease file already, the lock comes
/// first: this process may be serving the database, and closing the file after an inspection would release SQLite's locks
/// of the whole process.
pub(in crate::store) async fn lock_or_create(path: &Path) -> Result<LeaseFile, OpenError> {
    if !LeaseFile::exists(path) {
        inspect(path).await?;
    }
    let lease_file = LeaseFile::lock(path).await?;
    if path.exists() {
        inspect(path).await?;
    } else {
        create(path).await?;
    }
    Ok(lease_file)
}

/// Opens a read-write connection to a database, and migrates its schema.
pub(in crate::store) async fn connect_migrated(path: &Path) -> Result<SqliteConnection, OpenError> {
    create_private(path).map_err(|reason| OpenError::Io { path: path.to_owned(), reason })?;
    let mut connection = connect_writer(path).await?;
    let migrated = migrations::migrate(&mut connection).await;
    migrated.map_err(|detail| OpenError::Migration { path: path.to_owned(), detail })?;
    Ok(connection)
}

/// Opens a connection for a short command while another process may serve the database. A database that does not exist or
/// has an older schema is created or migrated under the lock.
#[cfg(feature = "cli")]
pub(in crate::store) async fn connect_alongside(path: &Path) -> Result<SqliteConnection, OpenError> {
    if inspect(path).await? == Some(migrations::newest()) {
        return connect_writer(path).await;
    }
    let _lock = lock_or_create(path).await?;
    connect_migrated(path).await
}

/// Creates a new database. The caller holds the lock.
pub(in crate::store) async fn create(path: &Path) -> Result<(), OpenError> {
    let unfinished = Companion::New.path(path);
    let [journal, wal, shared_memory] =
        [Companion::Journal, Companion::Wal, Companion::SharedMemory].map(|file| file.path(&unfinished));
    for file in [&unfinished, &journal, &wal, &shared_memory] {
        ignore_not_found(std::fs::remove_file(file)).map_err(|reason| io(path, reason))?;
    }
    install(&unfinished, path).await
}

/// Installs a restored copy at a path without a database, and returns its lock. The contents of an existing lease file are
/// cleared, so that the copy begins a new epoch when it is opened.
pub(crate) async fn install_copy(copy: &Path, path: &Path) -> Result<LeaseFile, OpenError> {
    let path = &resolve_symlinks(path)?;
    let lease_file = LeaseFile::lock(path).await?;
    if path.exists() {
        return Err(io(path, io::Error::new(ErrorKind::AlreadyExists, "a database exists already")));
    }
    if inspect(copy).await?.is_none() {
        return Err(OpenError::NotADatabase { path: copy.to_owned() });
    }
    restrict_to_owner(copy).map_err(|reason| io(copy, reason))?;
    wait_for_other_litestream(path).await?;
    lease_file.clear().map_err(|reason| io(path, reason))?;
    ignore_not_found(std::fs::remove_file(Companion::Superseded.path(path)))
        .map_err(|reason| io(path, reason))?;
    install(copy, path).await?;
    Ok(lease_file)
}

/// Migrates a database, syncs it to disk, and renames it to its path.
async fn install(unfinished: &Path, path: &Path) -> Result<(), OpenError> {
    let failed = |reason| io(path, reason);
    // SQLite would apply a log that another database has left at this path, and overwrite new pages with old ones. It may
    // contain changes that the other database lacks, so it is kept.
    for (log, left) in [(Companion::Journal, Companion::LeftJournal), (Companion::Wal, Companion::LeftWal)] {
        let kept = left.path(path);
        if ignore_not_found(std::fs::rename(log.path(path), &kept)).map_err(failed)? {
            tracing::warn!(kept = %kept.display(), "kept the log of a database that was moved away; move it together with its database");
        }
    }
    ignore_not_found(std::fs::remove_file(Companion::SharedMemory.path(path))).map_err(failed)?;
    migrate_and_checkpoint(unfinished).await.map_err(|error| error.with_path(path))?;
    rename_durably(unfinished, path).map_err(failed)
}

/// Renames a file durably.
pub(in crate::store) fn rename_durably(unfinished: &Path, path: &Path) -> io::Result<()> {
    File::open(unfinished).and_then(|file| file.sync_all())?;
    std::fs::rename(unfinished, path)?;
    #[cfg(unix)]
    {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all())?;
    }
    Ok(())
}

/// Migrates the schema, and leaves a single file without a WAL.
pub(in crate::store) async fn migrate_and_checkpoint(path: &Path) -> Result<(), OpenError> {
    let mut connection = connect_migrated(path).await?;
    // Closing the connection would checkpoint too, but not report a failure.
    let busy =
        sqlx::query_scalar::<_, i64>("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut connection).await;
    if busy.map_err(|error| OpenError::from_sqlite(path, &error))? != 0 {
        let detail = "its write-ahead log cannot be checkpointed".to_owned();
        return Err(OpenError::Migration { path: path.to_owned(), detail });
    }
    connection.close().await.map_err(|error| OpenError::from_sqlite(path, &error))
}

/// Creates the file of a future database, readable only by its owner because it contains tokens; another program would
/// create it with the umask. An existing file is not opened, since closing it would release SQLite's locks of this process.
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

/// Makes a file accessible only to its owner, because it contains tokens.
pub(in crate::store) fn restrict_to_owner(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// Converts the outcome of removing or renaming a file into whether it existed.
pub(in crate::store) fn ignore_not_found(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn io(path: &Path, reason: io::Error) -> OpenError {
    OpenError::Io { path: path.to_owned(), reason }
}
