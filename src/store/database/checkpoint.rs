//! Folds the WAL into the database, beside the writer.
//!
//! SQLite would do it within a commit, and whoever waits for that commit would wait for tens of megabytes to be written
//! and synced. Here a connection of its own does nothing else. The writer says after each commit about how much it has
//! written; what is folded already, SQLite's own checkpoint (which stays, as the bound of the WAL) finds done.

use sqlx::{Connection, Row, SqliteConnection};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// See the [module](self).
pub(in crate::store) struct Folding {
    wake: mpsc::Sender<()>,
    task: JoinHandle<()>,
    /// About how many pages were written since it was woken.
    pages: usize,
}

/// It is woken every so many pages: 1 MiB.
const WAKE_PAGES: usize = 250;
/// What is little, and how often it tries to get there.
const LITTLE_PAGES: i64 = 50;
const ROUNDS: usize = 4;

impl Folding {
    pub(in crate::store) fn start(connection: SqliteConnection) -> Self {
        let (wake, woken) = mpsc::channel(1);
        Self { wake, task: tokio::spawn(run(connection, woken)), pages: 0 }
    }

    /// A commit has written about so many pages.
    pub(in crate::store) fn written(&mut self, pages: usize) {
        self.pages += pages;
        if self.pages >= WAKE_PAGES {
            self.pages = 0;
            // If the channel is full, it is awake.
            let _ = self.wake.try_send(());
        }
    }

    /// Closes the connection.
    pub(in crate::store) async fn stop(self) {
        drop(self.wake);
        // An error means that it is gone already, and its connection with it.
        let _ = self.task.await;
    }
}

async fn run(mut connection: SqliteConnection, mut woken: mpsc::Receiver<()>) {
    while woken.recv().await.is_some() {
        if let Err(error) = catch_up(&mut connection).await {
            tracing::warn!(%error, "cannot fold the WAL into the database; the writer will");
        }
    }
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "the connection that folds the WAL was not closed in order");
    }
}

/// Folds until little was written meanwhile: then, and only then, can the next commit begin the WAL anew.
async fn catch_up(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    let mut before = 0;
    for _ in 0..ROUNDS {
        let row = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(&mut *connection).await?;
        let folded: i64 = row.try_get("checkpointed")?;
        if folded - before < LITTLE_PAGES {
            break;
        }
        before = folded;
    }
    Ok(())
}
