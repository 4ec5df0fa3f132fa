//! Integrity checks. They only read, and can run while another process serves the database.

use std::path::Path;

use sqlx::{Connection, SqliteConnection};

use crate::store::database::lease_file::{LeaseFile, LeaseFileContents};
use crate::store::database::migrations;
use crate::store::database::{connect, inspect};
use crate::store::error::OpenError;

/// The result of a check.
#[derive(Debug)]
pub(crate) struct IntegrityReport {
    /// The lease file of the process that serves the database; none if no process does.
    pub(crate) served: Option<LeaseFileContents>,
    /// The version of its schema, and the newest version that this program supports.
    pub(crate) schema: (Option<i32>, i32),
    /// The faults that SQLite found.
    pub(crate) faults: Vec<String>,
    /// The journal mode: `wal`, once the database has been served.
    pub(crate) journal: String,
    /// The number of registered servers.
    pub(crate) servers: i64,
    /// The number of tokens.
    pub(crate) tokens: i64,
    /// The wall time of its last commit, in milliseconds.
    pub(crate) committed_at: i64,
}

/// Returns the version of the embedded SQLite.
pub(crate) async fn sqlite_version() -> Result<String, OpenError> {
    let path = Path::new(":memory:");
    let mut connection = connect::connect_in_memory().await?;
    let version = text(&mut connection, "SELECT sqlite_version()").await;
    version.map_err(|error| OpenError::from_sqlite(path, &error))
}

/// Checks a database.
pub(crate) async fn check_integrity(path: &Path) -> Result<IntegrityReport, OpenError> {
    let served = LeaseFile::read_serving(path);
    let found = inspect::inspect(path).await?;
    let mut connection = connect::connect_reader(path).await?;
    let report = read_report(&mut connection, served, found).await;
    let closed = connection.close().await;
    report.and_then(|report| closed.map(|()| report)).map_err(|error| OpenError::from_sqlite(path, &error))
}

async fn read_report(
    connection: &mut SqliteConnection,
    served: Option<LeaseFileContents>,
    found: Option<i32>,
) -> sqlx::Result<IntegrityReport> {
    let mut faults: Vec<String> =
        sqlx::query_scalar("PRAGMA integrity_check").fetch_all(&mut *connection).await?;
    faults.retain(|line| line != "ok");
    let orphans = sqlx::query("PRAGMA foreign_key_check").fetch_all(&mut *connection).await?.len();
    if orphans > 0 {
        faults.push(format!("{orphans} rows refer to servers that do not exist"));
    }
    let journal = text(connection, "PRAGMA journal_mode").await?;
    let current = found == Some(migrations::newest());
    let (servers, tokens, committed_at) = if current {
        let row = sqlx::query!(
            r#"SELECT (SELECT count(*) FROM servers) AS "servers!: i64", (SELECT count(*) FROM tokens) AS "tokens!: i64",
               lease_clock + wall_offset AS "committed_at!: i64" FROM settings"#
        )
        .fetch_one(connection)
        .await?;
        (row.servers, row.tokens, row.committed_at)
    } else {
        (0, 0, 0)
    };
    Ok(IntegrityReport {
        served,
        schema: (found, migrations::newest()),
        faults,
        journal,
        servers,
        tokens,
        committed_at,
    })
}

async fn text(connection: &mut SqliteConnection, sql: &'static str) -> sqlx::Result<String> {
    sqlx::query_scalar(sql).fetch_one(connection).await
}
