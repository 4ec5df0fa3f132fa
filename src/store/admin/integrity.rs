//! A look at a database, for who wants to know whether it is sound. Reads only, also beside the process that serves it.

use std::path::Path;

use sqlx::{Connection, SqliteConnection};

use crate::store::database::lease_file::{Beside, Record};
use crate::store::database::migrations;
use crate::store::database::{connect, inspect};
use crate::store::error::OpenError;

/// What was found.
#[derive(Debug)]
pub(crate) struct Examination {
    /// What the process says that serves it; none if nobody does.
    pub(crate) served: Option<Record>,
    /// The version of its schema, and the newest that this program knows.
    pub(crate) schema: (Option<i32>, i32),
    /// What SQLite finds wrong with it.
    pub(crate) faults: Vec<String>,
    /// How it is journalled: `wal`, once it has been served.
    pub(crate) journal: String,
    /// Registered servers.
    pub(crate) servers: i64,
    /// Tokens.
    pub(crate) tokens: i64,
    /// The wall time of its last commit, in milliseconds.
    pub(crate) committed_at: i64,
}

/// The version of the SQLite inside.
pub(crate) async fn sqlite_version() -> Result<String, OpenError> {
    let path = Path::new(":memory:");
    let mut connection = connect::in_memory().await?;
    let version = text(&mut connection, "SELECT sqlite_version()").await;
    version.map_err(|error| OpenError::sqlite(path, &error))
}

/// Looks at a database.
pub(crate) async fn examine(path: &Path) -> Result<Examination, OpenError> {
    let served = Beside::served(path);
    let found = inspect::inspect(path).await?;
    let mut connection = connect::reading(path).await?;
    let examined = examination(&mut connection, served, found).await;
    let closed = connection.close().await;
    examined.and_then(|examined| closed.map(|()| examined)).map_err(|error| OpenError::sqlite(path, &error))
}

async fn examination(
    connection: &mut SqliteConnection,
    served: Option<Record>,
    found: Option<i32>,
) -> sqlx::Result<Examination> {
    let mut faults: Vec<String> =
        sqlx::query_scalar("PRAGMA integrity_check").fetch_all(&mut *connection).await?;
    faults.retain(|line| line != "ok");
    let orphans = sqlx::query("PRAGMA foreign_key_check").fetch_all(&mut *connection).await?.len();
    if orphans > 0 {
        faults.push(format!("{orphans} rows belong to servers that are not there"));
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
    Ok(Examination {
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
