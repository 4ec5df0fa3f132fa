//! Inspection of a file before anything is written to it.

use std::io::Read;
use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Row, SqliteConnection};

use super::connect::file_options;
use super::migrations;
use crate::store::error::OpenError;

/// The size of the header of a SQLite file, <https://sqlite.org/fileformat2.html#the_database_header>.
const HEADER_BYTES: u64 = 100;

/// Returns the version of the schema, if there is one. Rejects a file that is not a SQLite database, belongs to another
/// program, or was written by a newer Paulina. Only reads.
pub(in crate::store) async fn inspect(path: &Path) -> Result<Option<i32>, OpenError> {
    let mut header = Vec::new();
    match std::fs::File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(reason) => return Err(OpenError::Io { path: path.to_owned(), reason }),
        Ok(file) => {
            let read = file.take(HEADER_BYTES).read_to_end(&mut header);
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
        // An interrupted transaction has to be rolled back first, which is permitted only in a database of Paulina.
        Err(OpenError::Migration { .. })
            if header.get(68..72) == Some(&migrations::APPLICATION_ID.to_be_bytes()[4..]) =>
        {
            inspect_schema(path, file_options(path).pragma("query_only", "ON")).await
        }
        verdict => verdict,
    }
}

pub(in crate::store) async fn inspect_schema(
    path: &Path,
    options: SqliteConnectOptions,
) -> Result<Option<i32>, OpenError> {
    let sqlite = |error: sqlx::Error| OpenError::from_sqlite(path, &error);
    let mut connection = options.connect().await.map_err(sqlite)?;
    let verdict = read_schema(path, &mut connection).await;
    connection.close().await.map_err(sqlite)?;
    verdict
}

async fn read_schema(path: &Path, connection: &mut SqliteConnection) -> Result<Option<i32>, OpenError> {
    let sqlite = |error: sqlx::Error| OpenError::from_sqlite(path, &error);
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
