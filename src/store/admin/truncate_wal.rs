//! Emptying the write-ahead log, as Litestream needs it before it starts.

use std::path::Path;
use std::time::Duration;

use sqlx::Connection;

use crate::store::database::create::beside_the_server;
use crate::store::error::OpenError;

/// How often, and how many times, it is tried to empty the log: 10 s in all.
const EMPTY_AGAIN: Duration = Duration::from_millis(20);
const EMPTY_TRIES: usize = 500;

/// Folds the whole log into the database and empties it, beside whoever serves it; says whether that was to be done.
///
/// Before each start of Litestream. It takes up the log where it left it, as long as the last frame that it read lies there
/// unchanged. But the registry may have folded the log meanwhile and begun it anew, up to before that frame: what was
/// written in between would be missing in the replica for ever, and nothing would say so. From an empty log it takes a
/// snapshot.
pub(crate) async fn empty_log(database: &Path) -> Result<bool, OpenError> {
    let sqlite = |error: sqlx::Error| OpenError::sqlite(database, &error);
    let mut connection = beside_the_server(database).await?;
    let mut empty = false;
    for _ in 0..EMPTY_TRIES {
        let checkpoint = sqlx::query_scalar::<_, i64>("PRAGMA wal_checkpoint(TRUNCATE)");
        empty = checkpoint.fetch_one(&mut connection).await.map_err(sqlite)? == 0;
        if empty {
            break;
        }
        tokio::time::sleep(EMPTY_AGAIN).await;
    }
    connection.close().await.map_err(sqlite)?;
    Ok(empty)
}
