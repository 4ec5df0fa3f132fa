//! Opening a database: refuse what is not ours before anything is written, then migrate, then connect.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Row, SqliteConnection};
use tokio::sync::Mutex;

use super::cache::state::Live;
use super::database::checkpoint::Folding;
use super::database::create::{create_private, make};
use super::database::lease_file::Beside;
use super::database::litestream_lock::wait_for_others;
use super::database::location::Location;
use super::database::migrations;
use super::error::OpenError;
use super::read::reader::Readers;
use super::write::writer::Writer;

/// A connection that several tasks take in turn.
pub(crate) type Shared = Arc<Mutex<SqliteConnection>>;

/// An open database.
pub(crate) struct Opened {
    pub(crate) writer: Writer,
    pub(crate) readers: Readers,
    pub(crate) beside: Option<Beside>,
}

/// The header of a SQLite file, <https://sqlite.org/fileformat2.html#the_database_header>.
const HEADER: u64 = 100;

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

/// What is to be known of a database without asking it.
pub(crate) enum Known {
    /// All is new, and answers may take so many bytes.
    Anew(u64),
    /// What was known of another copy of it, which this one takes the place of.
    Of(Arc<Live>),
}

/// Opens or creates a database and takes its lock.
pub(crate) async fn open(location: &Location, known: Known) -> Result<Opened, OpenError> {
    let path = match location {
        Location::Memory => return open_in_memory(known).await,
        Location::File(path) => path,
    };
    let beside = prepare(path).await?;
    let (writer, readers) = open_locked(path, known).await?;
    Ok(Opened { writer, readers, beside: Some(beside) })
}

/// Opens a database for who holds its lock.
pub(crate) async fn open_locked(path: &Path, known: Known) -> Result<(Writer, Readers), OpenError> {
    wait_for_others(path).await?;
    let sqlite = |error: sqlx::Error| OpenError::sqlite(path, &error);
    let writing = migrated(path).await?;
    let connections = all_reading(path, &file_options(path)).await?;
    let folding = file_options(path)
        .synchronous(SqliteSynchronous::Full)
        .pragma("query_only", "ON")
        .connect()
        .await
        .map_err(sqlite)?;
    let folding = Some(Folding::start(folding));
    let writer = Writer::new(Arc::new(Mutex::new(writing)), folding, known).await;
    let writer = writer.map_err(|error| OpenError::unreadable(path, &error))?;
    let readers = Readers::new(connections, writer.live());
    Ok((writer, readers))
}

/// The connections that answer questions side by side.
pub(super) async fn all_reading(
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

/// Takes the lock of a database of ours, and makes the database if there is none. What is not ours is refused before
/// anything is made beside it, and is looked at again under the lock. Where there is a lock already, it comes first: this
/// process may be serving the database, and to look at it and close it again would end SQLite's locks of the process.
async fn prepare(path: &Path) -> Result<Beside, OpenError> {
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
pub(super) async fn migrated(path: &Path) -> Result<SqliteConnection, OpenError> {
    create_private(path).map_err(|reason| OpenError::Io { path: path.to_owned(), reason })?;
    let mut writing = writing(path).await?;
    let migrated = migrations::migrate(&mut writing).await;
    migrated.map_err(|detail| OpenError::Migration { path: path.to_owned(), detail })?;
    Ok(writing)
}

async fn writing(path: &Path) -> Result<SqliteConnection, OpenError> {
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
pub(super) async fn reading(path: &Path) -> Result<SqliteConnection, OpenError> {
    file_options(path).read_only(true).connect().await.map_err(|error| OpenError::sqlite(path, &error))
}

/// A connection to nothing yet.
#[cfg(feature = "cli")]
pub(super) async fn in_memory() -> Result<SqliteConnection, OpenError> {
    let options = SqliteConnectOptions::new().in_memory(true);
    options.connect().await.map_err(|error| OpenError::sqlite(Location::Memory.path(), &error))
}

/// A connection for a short command beside whoever serves the database. A database that is not there yet, or is an older
/// Paulina's, is made or brought up to date, which nobody may be serving meanwhile.
#[cfg(feature = "cli")]
pub(super) async fn beside_the_server(path: &Path) -> Result<SqliteConnection, OpenError> {
    if inspect(path).await? == Some(migrations::newest()) {
        return writing(path).await;
    }
    let _lock = prepare(path).await?;
    migrated(path).await
}

/// One connection for everything: a database in memory is seen by the connection that made it, and by no other.
async fn open_in_memory(known: Known) -> Result<Opened, OpenError> {
    let path = Location::Memory.path().to_owned();
    let sqlite = |error: sqlx::Error| OpenError::sqlite(&path, &error);
    let options = quiet(SqliteConnectOptions::new().in_memory(true).foreign_keys(true));
    let mut connection = options.connect().await.map_err(sqlite)?;
    let migrated = migrations::migrate(&mut connection).await;
    migrated.map_err(|detail| OpenError::Migration { path: path.clone(), detail })?;
    let connection = Arc::new(Mutex::new(connection));
    let writer = Writer::new(Arc::clone(&connection), None, known).await;
    let writer = writer.map_err(|error| OpenError::unreadable(&path, &error))?;
    let readers = Readers::new(vec![connection], writer.live());
    Ok(Opened { writer, readers, beside: None })
}

pub(super) fn file_options(path: &Path) -> SqliteConnectOptions {
    quiet(SqliteConnectOptions::new().filename(path).foreign_keys(true).busy_timeout(BUSY_TIMEOUT))
}

/// Requests are logged, statements are not.
fn quiet(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options.disable_statement_logging()
}

/// Refuses a file that is no SQLite database, somebody else's, or a newer Paulina's. Reads only. Gives the version of the
/// schema, if there is one.
pub(super) async fn inspect(path: &Path) -> Result<Option<i32>, OpenError> {
    let mut header = Vec::new();
    match std::fs::File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(reason) => return Err(OpenError::Io { path: path.to_owned(), reason }),
        Ok(file) => {
            let read = file.take(HEADER).read_to_end(&mut header);
            read.map_err(|reason| OpenError::Io { path: path.to_owned(), reason })?;
        }
    }
    if header.is_empty() {
        return Ok(None);
    }
    if !header.starts_with(b"SQLite format 3\0") {
        return Err(OpenError::NotADatabase { path: path.to_owned() });
    }
    let verdict = inspect_schema(path, file_options(path).read_only(true)).await;
    match verdict {
        // A transaction that was cut off has to be rolled back first, which is right in a database of ours alone.
        Err(OpenError::Migration { .. })
            if header.get(68..72) == Some(&migrations::APPLICATION_ID.to_be_bytes()[4..]) =>
        {
            inspect_schema(path, file_options(path).pragma("query_only", "ON")).await
        }
        verdict => verdict,
    }
}

pub(super) async fn inspect_schema(
    path: &Path,
    options: SqliteConnectOptions,
) -> Result<Option<i32>, OpenError> {
    let sqlite = |error: sqlx::Error| OpenError::sqlite(path, &error);
    let mut connection = options.connect().await.map_err(sqlite)?;
    let verdict = read_schema(path, &mut connection).await;
    connection.close().await.map_err(sqlite)?;
    verdict
}

async fn read_schema(path: &Path, connection: &mut SqliteConnection) -> Result<Option<i32>, OpenError> {
    let sqlite = |error: sqlx::Error| OpenError::sqlite(path, &error);
    let id: i64 = sqlx::query("PRAGMA application_id")
        .fetch_one(&mut *connection)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(sqlite)?;
    let tables: i64 = sqlx::query("SELECT count(*) FROM sqlite_schema")
        .fetch_one(&mut *connection)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(sqlite)?;
    if tables == 0 {
        return Ok(None);
    }
    if id != migrations::APPLICATION_ID {
        return Err(OpenError::ForeignDatabase { path: path.to_owned() });
    }
    let found: Option<i32> = sqlx::query("SELECT max(version) FROM refinery_schema_history")
        .fetch_one(&mut *connection)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(sqlite)?;
    match (found, migrations::newest()) {
        (Some(found), known) if found > known => {
            Err(OpenError::NewerDatabase { path: path.to_owned(), found, known })
        }
        (found, _) => Ok(found),
    }
}
