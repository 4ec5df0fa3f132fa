//! Connections to a database file, by purpose.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection};
use tokio::sync::Mutex;

#[cfg(feature = "cli")]
use super::location::Location;
use crate::store::error::OpenError;

/// A connection that tasks share.
pub(crate) type SharedConnection = Arc<Mutex<SqliteConnection>>;

const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The size that the WAL is truncated to after a checkpoint, in bytes.
const JOURNAL_SIZE_LIMIT: &str = "67108864";

/// The number of pages after which the writer checkpoints the WAL, 32 MiB. Heartbeats rewrite the same few pages, and a
/// checkpoint writes each page once, so fewer checkpoints are cheaper.
const CHECKPOINT_PAGES: &str = "8000";

/// SQLite's page cache in KiB, for the writer and for all readers together. Its default of 2 MiB per connection holds only
/// a few hundred summaries.
const WRITER_CACHE_KIB: usize = 8 * 1024;
const READER_CACHE_KIB: usize = 24 * 1024;

/// The number of rows that SQLite reads ahead. It is small, since a row can contain a registration of megabytes.
const ROW_BUFFER: usize = 4;

/// Opens the read-only connections that answer queries concurrently.
pub(in crate::store) async fn connect_readers(
    path: &Path,
    options: &SqliteConnectOptions,
) -> Result<Vec<SharedConnection>, OpenError> {
    let count = std::thread::available_parallelism().map_or(2, |cores| cores.get().clamp(2, 8));
    let cache = format!("-{}", READER_CACHE_KIB / count);
    let options = options.clone().read_only(true).row_buffer_size(ROW_BUFFER).pragma("cache_size", cache);
    let mut connections = Vec::with_capacity(count);
    for _ in 0..count {
        let connection = options.connect().await.map_err(|error| OpenError::from_sqlite(path, &error))?;
        connections.push(Arc::new(Mutex::new(connection)));
    }
    Ok(connections)
}

/// Opens a read-write connection.
pub(super) async fn connect_writer(path: &Path) -> Result<SqliteConnection, OpenError> {
    let options = file_options(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("journal_size_limit", JOURNAL_SIZE_LIMIT)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .pragma("cache_size", format!("-{WRITER_CACHE_KIB}"));
    options.connect().await.map_err(|error| OpenError::from_sqlite(path, &error))
}

/// Opens a read-only connection to a database that another process may be serving.
#[cfg(feature = "cli")]
pub(in crate::store) async fn connect_reader(path: &Path) -> Result<SqliteConnection, OpenError> {
    file_options(path).read_only(true).connect().await.map_err(|error| OpenError::from_sqlite(path, &error))
}

/// Opens a connection to an empty database.
#[cfg(feature = "cli")]
pub(in crate::store) async fn connect_in_memory() -> Result<SqliteConnection, OpenError> {
    let options = SqliteConnectOptions::new().in_memory(true);
    options.connect().await.map_err(|error| OpenError::from_sqlite(Location::Memory.path(), &error))
}

pub(in crate::store) fn file_options(path: &Path) -> SqliteConnectOptions {
    without_statement_logs(
        SqliteConnectOptions::new().filename(path).foreign_keys(true).busy_timeout(BUSY_TIMEOUT),
    )
}

/// Disables the logging of statements, since requests are logged already.
pub(in crate::store) fn without_statement_logs(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options.disable_statement_logging()
}
