//! Truncation of the write-ahead log, which Litestream needs before it starts.

use std::path::Path;
use std::time::Duration;

use sqlx::Connection;

use crate::store::database::create::connect_alongside;
use crate::store::error::OpenError;

/// How long to wait between two attempts, and how many to make: 10 s in all.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);
const MAX_ATTEMPTS: usize = 500;

/// Checkpoints and truncates the whole WAL of a database, which may be served meanwhile. Returns whether it succeeded.
///
/// Called before each start of Litestream, which resumes at its last position if the last frame that it read is unchanged.
/// But the registry may have checkpointed the WAL meanwhile and restarted it up to a position before that frame: the
/// replica would lack what was written in between, without any error. From an empty WAL, Litestream takes a snapshot.
pub(crate) async fn truncate_wal(database: &Path) -> Result<bool, OpenError> {
    let sqlite = |error: sqlx::Error| OpenError::from_sqlite(database, &error);
    let mut connection = connect_alongside(database).await?;
    let mut empty = false;
    for _ in 0..MAX_ATTEMPTS {
        let checkpoint = sqlx::query_scalar::<_, i64>("PRAGMA wal_checkpoint(TRUNCATE)");
        empty = checkpoint.fetch_one(&mut connection).await.map_err(sqlite)? == 0;
        if empty {
            break;
        }
        tokio::time::sleep(RETRY_INTERVAL).await;
    }
    connection.close().await.map_err(sqlite)?;
    Ok(empty)
}
