//! The one writing connection: batches of commands, each batch one transaction.
//!
//! A batch holds what was waiting when it began. Nobody has been answered yet, so its commands may be run in any
//! order: all refreshes go first, in one statement; each other command runs in a savepoint of its own, so that a bad
//! one can't fail its neighbours. The answers are kept back until the commit has succeeded.
//!
//! When the disk is full, fails, or memory runs out, SQLite ends the whole transaction, savepoints and all. Then each
//! command is run again in a transaction of its own, and gets its own answer.

use sqlx::{Connection, SqliteConnection};
use tokio::sync::oneshot;

use super::changes::Ledger;
use super::open::Shared;
use super::{Deregistration, Moment, Pruned, Put, RefreshOutcome, StoreError, changes, leases, servers};
use crate::model::{LeaseRef, Registered, Revision};

/// A question to the writer and the way back for its answer.
pub(crate) struct Job<I, O> {
    input: I,
    outcome: Option<Result<O, StoreError>>,
    reply: oneshot::Sender<Result<O, StoreError>>,
}

impl<I, O> Job<I, O> {
    pub(crate) fn new(input: I) -> (Self, oneshot::Receiver<Result<O, StoreError>>) {
        let (reply, answer) = oneshot::channel();
        (Self { input, outcome: None, reply }, answer)
    }

    fn answer(self) {
        if let Some(outcome) = self.outcome {
            let _ = self.reply.send(outcome);
        }
    }
}

/// What the writer can be told to do.
pub(crate) enum Command {
    /// Register, or replace, or renew; no answer if the id is taken and only a new one was wanted.
    Register(Box<Job<Put, Option<Registered>>>),
    /// Refresh leases.
    Refresh(Job<Vec<LeaseRef>, Vec<RefreshOutcome>>),
    /// Take a server out.
    Deregister(Job<LeaseRef, Deregistration>),
    /// Take a bite out of what has expired; holds the retention in milliseconds.
    Prune(Job<i64, Pruned>),
    /// Delete the oldest changes beyond what is kept.
    Trim(Job<(), ()>),
    /// Commit, to see that it can be done and to keep the lease clock.
    Commit(Job<(), ()>),
}

impl Command {
    fn is_refresh(&self) -> bool {
        matches!(self, Self::Refresh(_))
    }

    /// Whether its commit must be on disk before its answer. What can be lost in a power cut: heartbeats, for which
    /// the lease clock makes up, and what is not told to anybody.
    fn is_durable(&self) -> bool {
        match self {
            Self::Register(_) | Self::Deregister(_) | Self::Prune(_) => true,
            Self::Refresh(_) | Self::Trim(_) | Self::Commit(_) => false,
        }
    }

    fn fail(&mut self, error: StoreError) {
        match self {
            Self::Register(job) => job.outcome = Some(Err(error)),
            Self::Refresh(job) => job.outcome = Some(Err(error)),
            Self::Deregister(job) => job.outcome = Some(Err(error)),
            Self::Prune(job) => job.outcome = Some(Err(error)),
            Self::Trim(job) | Self::Commit(job) => job.outcome = Some(Err(error)),
        }
    }

    /// Gives the caller the answer.
    pub(crate) fn answer(self) {
        match self {
            Self::Register(job) => job.answer(),
            Self::Refresh(job) => job.answer(),
            Self::Deregister(job) => job.answer(),
            Self::Prune(job) => job.answer(),
            Self::Trim(job) | Self::Commit(job) => job.answer(),
        }
    }
}

/// How SQLite waits for the disk at a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Synchronous {
    Normal,
    Full,
}

/// The writing connection and what it knows of the database without asking.
pub(crate) struct Writer {
    connection: Shared,
    synchronous: Synchronous,
    epoch: String,
    revision: i64,
    committed: i64,
    leases: bool,
}

impl Writer {
    pub(super) async fn new(connection: Shared) -> Result<Self, sqlx::Error> {
        let row = sqlx::query!(
            r#"SELECT epoch, revision, lease_clock, EXISTS (SELECT 1 FROM leases) AS "leases: bool" FROM settings"#
        )
        .fetch_one(&mut *connection.lock().await)
        .await?;
        Ok(Self {
            connection,
            synchronous: Synchronous::Full,
            epoch: row.epoch,
            revision: row.revision,
            committed: row.lease_clock,
            leases: row.leases,
        })
    }

    #[cfg(test)]
    pub(super) fn connection(&self) -> Shared {
        std::sync::Arc::clone(&self.connection)
    }

    /// How far the catalogue has come.
    pub(crate) fn revision(&self) -> Revision {
        Revision { epoch: self.epoch.clone(), number: u64::try_from(self.revision).unwrap_or_default() }
    }

    /// The lease time of the last commit.
    pub(crate) fn committed(&self) -> i64 {
        self.committed
    }

    /// Whether there were leases when the database was opened.
    pub(crate) fn opened_with_leases(&self) -> bool {
        self.leases
    }

    /// Begins a new history: the one in the file came from a backup, and its numbers may have been told already.
    pub(crate) async fn begin_epoch(&mut self) -> Result<(), StoreError> {
        let mut connection = self.connection.lock().await;
        let row = sqlx::query!("UPDATE settings SET epoch = lower(hex(randomblob(4))) RETURNING epoch")
            .fetch_one(&mut *connection)
            .await?;
        self.epoch = row.epoch;
        Ok(())
    }

    /// Whether there is anything to prune: asked before a transaction is begun for it.
    pub(crate) async fn prunable(&mut self, retention: i64, now: Moment) -> Result<bool, StoreError> {
        leases::prunable(&mut *self.connection.lock().await, retention, now).await
    }

    /// Runs a batch and leaves each command with its outcome. The error is that of the database as a whole: nothing
    /// could be committed.
    pub(crate) async fn run(&mut self, batch: &mut [Command], now: Moment) -> Result<(), StoreError> {
        let Err(error) = self.transaction(batch, now).await else { return Ok(()) };
        if matches!(error, StoreError::Busy) || batch.len() == 1 {
            return Err(spread(batch, error));
        }
        let mut last = None;
        let mut committed = false;
        for command in batch {
            match self.transaction(std::slice::from_mut(command), now).await {
                Ok(()) => committed = true,
                Err(error) => last = Some(spread(std::slice::from_mut(command), error)),
            }
        }
        last.filter(|_| !committed).map_or(Ok(()), Err)
    }

    async fn transaction(&mut self, batch: &mut [Command], now: Moment) -> Result<(), StoreError> {
        let durable = batch.iter().any(Command::is_durable);
        self.set_synchronous(if durable { Synchronous::Full } else { Synchronous::Normal }).await?;
        let mut connection = self.connection.lock().await;
        let connection = &mut *connection;
        sqlx::query!("BEGIN IMMEDIATE").execute(&mut *connection).await?;
        let mut ledger = Ledger { revision: self.revision };
        let done = match execute(connection, &mut ledger, batch, now).await {
            Ok(()) => commit(connection, ledger, now).await,
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            // SQLite may have rolled back by itself, and then this is an error that says so.
            let _ = sqlx::query!("ROLLBACK").execute(&mut *connection).await;
            return Err(error);
        }
        self.revision = ledger.revision;
        self.committed = now.lease;
        Ok(())
    }

    /// Set before BEGIN, since it is refused inside a transaction, and never from a cached statement: the pragma acts
    /// when it is prepared.
    async fn set_synchronous(&mut self, wanted: Synchronous) -> Result<(), StoreError> {
        if self.synchronous == wanted {
            return Ok(());
        }
        let pragma = match wanted {
            Synchronous::Normal => "PRAGMA synchronous = NORMAL",
            Synchronous::Full => "PRAGMA synchronous = FULL",
        };
        sqlx::raw_sql(pragma).execute(&mut *self.connection.lock().await).await?;
        self.synchronous = wanted;
        Ok(())
    }

    /// Closes the connection; as the last one of its file it folds the WAL into the database.
    pub(crate) async fn close(self) {
        if let Ok(connection) = std::sync::Arc::try_unwrap(self.connection)
            && let Err(error) = connection.into_inner().close().await
        {
            tracing::warn!(%error, "the database was not closed in order; the next start recovers it");
        }
    }
}

/// Gives every command of a batch that failed as a whole its share of the error.
fn spread(batch: &mut [Command], error: StoreError) -> StoreError {
    let again = |error: &StoreError| match error {
        StoreError::Full => StoreError::Full,
        StoreError::Busy => StoreError::Busy,
        StoreError::Failed(error) => StoreError::Failed(sqlx::Error::Protocol(error.to_string())),
    };
    for command in batch {
        command.fail(again(&error));
    }
    error
}

async fn execute(
    connection: &mut SqliteConnection,
    ledger: &mut Ledger,
    batch: &mut [Command],
    now: Moment,
) -> Result<(), StoreError> {
    refresh_all(connection, ledger, batch, now).await?;
    let alone = batch.len() == 1;
    for command in batch.iter_mut().filter(|command| !command.is_refresh()) {
        if alone {
            run_one(connection, ledger, command, now).await?;
            continue;
        }
        let before = *ledger;
        sqlx::query!("SAVEPOINT command").execute(&mut *connection).await?;
        match run_one(connection, ledger, command, now).await {
            Ok(()) => {}
            Err(error) if error.ends_transaction() => return Err(error),
            Err(error) => {
                sqlx::query!("ROLLBACK TO command").execute(&mut *connection).await?;
                *ledger = before;
                command.fail(error);
            }
        }
        sqlx::query!("RELEASE command").execute(&mut *connection).await?;
    }
    Ok(())
}

/// All refreshes of a batch in one statement.
async fn refresh_all(
    connection: &mut SqliteConnection,
    ledger: &mut Ledger,
    batch: &mut [Command],
    now: Moment,
) -> Result<(), StoreError> {
    let mut jobs: Vec<&mut Job<_, _>> = batch
        .iter_mut()
        .filter_map(|command| if let Command::Refresh(job) = command { Some(job) } else { None })
        .collect();
    if jobs.is_empty() {
        return Ok(());
    }
    let asked: Vec<&LeaseRef> = jobs.iter().flat_map(|job| &job.input).collect();
    let mut outcomes = leases::refresh(connection, ledger, &asked, now).await?.into_iter();
    for job in &mut jobs {
        job.outcome = Some(Ok(outcomes.by_ref().take(job.input.len()).collect()));
    }
    Ok(())
}

async fn run_one(
    connection: &mut SqliteConnection,
    ledger: &mut Ledger,
    command: &mut Command,
    now: Moment,
) -> Result<(), StoreError> {
    match command {
        Command::Refresh(_) => {}
        Command::Register(job) => {
            job.outcome = Some(Ok(servers::register(connection, ledger, &job.input, now).await?));
        }
        Command::Deregister(job) => {
            job.outcome = Some(Ok(leases::deregister(connection, ledger, &job.input, now).await?));
        }
        Command::Prune(job) => {
            job.outcome = Some(Ok(leases::prune(connection, ledger, job.input, now).await?));
        }
        Command::Trim(job) => job.outcome = Some(Ok(changes::trim(connection).await?)),
        Command::Commit(job) => job.outcome = Some(Ok(())),
    }
    Ok(())
}

async fn commit(connection: &mut SqliteConnection, ledger: Ledger, now: Moment) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE settings SET revision = ?, lease_clock = ?, wall_offset = ?",
        ledger.revision,
        now.lease,
        now.offset
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!("COMMIT").execute(connection).await?;
    Ok(())
}
