//! Connections to a database file, by what they are for.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection};
use tokio::sync::Mutex;

#[cfg(feature = "cli")]
use super::location::Location;
use crate::store::error::OpenError;

/// A connection that several tasks take in turn.
pub(crate) type Shared = Arc<Mutex<SqliteConnection>>;

const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The WAL is cut back to this after a checkpoint, in bytes.
const JOURNAL_SIZE_LIMIT: &str = "67108864";

/// The writer folds what is left of the WAL into the database every so many pages, 32 MiB. Heartbeats write the same few
/// pages again and again, and each of them is folded once: rarer is cheaper.
const CHECKPOINT_PAGES: &str = "8000";

/// What SQLite keeps of the file in memory, in KiB: for the writer, and for all readers together. The 2 MiB a connection
/// that it would take by itself hold no more than a few hundred summaries.
const WRITER_CACHE: usize = 8 * 1024;
const READER_CACHE: usize = 24 * 1024;

/// How many rows SQLite reads ahead of who asked for them: a row can hold a registration of megabytes.
const ROWS_AHEAD: usize = 4;

/// The connections that answer questions side by side.
pub(in crate::store) async fn all_reading(
    path: &Path,
    options: &SqliteConnectOptions,
) -> Result<Vec<Shared>, OpenError> {
    let count = std::thread::available_parallelism().map_or(2, |cores| cores.get().clamp(2, 8));
    let cache = format!("-{}", READER_CACHE / count);
    let options = options.clone().read_only(true).row_buffer_size(ROWS_AHEAD).pragma("cache_size", cache);
    let mut connections = Vec::with_capacity(count);
    for _ in 0..count {
        let reading = options.connect().await.map_err(|error| OpenError::sqlite(path, &error))?;
        connections.push(Arc::new(Mutex::new(reading)));
    }
    Ok(connections)
}

/// A connection that writes.
pub(super) async fn writing(path: &Path) -> Result<SqliteConnection, OpenError> {
    let options = file_options(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("journal_size_limit", JOURNAL_SIZE_LIMIT)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .pragma("cache_size", format!("-{WRITER_CACHE}"));
    options.connect().await.map_err(|error| OpenError::sqlite(path, &error))
}

/// A connection that only reads, beside whoever serves the database.
#[cfg(feature = "cli")]
pub(in crate::store) async fn reading(path: &Path) -> Result<SqliteConnection, OpenError> {
    file_options(path).read_only(true).connect().await.map_err(|error| OpenError::sqlite(path, &error))
}

/// A connection to nothing yet.
#[cfg(feature = "cli")]
pub(in crate::store) async fn in_memory() -> Result<SqliteConnection, OpenError> {
    let options = SqliteConnectOptions::new().in_memory(true);
    options.connect().await.map_err(|error| OpenError::sqlite(Location::Memory.path(), &error))
}

pub(in crate::store) fn file_options(path: &Path) -> SqliteConnectOptions {
    quiet(SqliteConnectOptions::new().filename(path).foreign_keys(true).busy_timeout(BUSY_TIMEOUT))
}

/// Requests are logged, statements are not.
pub(in crate::store) fn quiet(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options.disable_statement_logging()
}
