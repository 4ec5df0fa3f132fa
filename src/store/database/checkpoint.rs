//! Checkpoints the WAL on a separate connection.
//!
//! Otherwise SQLite would checkpoint within a commit, and that commit would wait until tens of megabytes are written and
//! synced. The writer reports after each commit about how many pages it has written. SQLite's automatic checkpoint stays
//! enabled as the bound of the WAL, and finds most pages checkpointed already.

use sqlx::{Connection, Row, SqliteConnection};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// See the [module](self).
pub(in crate::store) struct Checkpointer {
    wake: mpsc::Sender<()>,
    task: JoinHandle<()>,
    /// The approximate number of pages written since the last wake-up.
    pages: usize,
}

/// The number of written pages after which the task is woken: 1 MiB.
const CHECKPOINT_INTERVAL_PAGES: usize = 250;
/// A round that checkpoints fewer pages than this ends the attempt, as does the maximum number of rounds.
const CAUGHT_UP_PAGES: i64 = 50;
const MAX_ROUNDS: usize = 4;

impl Checkpointer {
    pub(in crate::store) fn start(connection: SqliteConnection) -> Self {
        let (wake, wakeups) = mpsc::channel(1);
        Self { wake, task: tokio::spawn(run(connection, wakeups)), pages: 0 }
    }

    /// Records that a commit has written about this many pages.
    pub(in crate::store) fn record_pages(&mut self, pages: usize) {
        self.pages += pages;
        if self.pages >= CHECKPOINT_INTERVAL_PAGES {
            self.pages = 0;
            // If the channel is full, the task is about to run.
            let _ = self.wake.try_send(());
        }
    }

    /// Stops the task and closes its connection.
    pub(in crate::store) async fn stop(self) {
        drop(self.wake);
        // An error means that the task has ended, and its connection is closed.
        let _ = self.task.await;
    }
}

async fn run(mut connection: SqliteConnection, mut wakeups: mpsc::Receiver<()>) {
    while wakeups.recv().await.is_some() {
        if let Err(error) = checkpoint(&mut connection).await {
            tracing::warn!(%error, "cannot checkpoint the WAL; the writer will do it");
        }
    }
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "cannot close the checkpoint connection cleanly");
    }
}

/// Checkpoints until few pages were written meanwhile: only then can the next commit restart the WAL.
async fn checkpoint(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    let mut previous = 0;
    for _ in 0..MAX_ROUNDS {
        let row = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(&mut *connection).await?;
        let checkpointed: i64 = row.try_get("checkpointed")?;
        if checkpointed - previous < CAUGHT_UP_PAGES {
            break;
        }
        previous = checkpointed;
    }
    Ok(())
}
