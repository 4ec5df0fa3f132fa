//! The only writing connection. It runs commands in batches, each batch in one transaction.
//!
//! A batch contains the commands that were waiting when it began. Each is answered only after the commit.
//!
//! If anything fails, the whole batch is rolled back, and each command is run again in a transaction of its own and gets its
//! own outcome, so that an invalid one cannot fail the others. (Savepoints would do the same at the cost of two statements
//! for each valid command.)

use std::sync::Arc;

use sqlx::{Connection, SqliteConnection};

use super::changelog::ChangeLog;
use super::command::{WriteCommand, fail_all, refresh_requests, set_refresh_outcomes};
use super::transaction::{Begun, Transaction, begin};
use super::{leases, search_text, summaries, tokens};
use crate::model::Revision;
use crate::store::cache::invalidation::Slot;
use crate::store::cache::lease_table::LeaseTable;
use crate::store::cache::state::{CommitEffects, CommittedState, Indexed, InitialState};
use crate::store::cache::subscriptions::ChangeEvent;
use crate::store::database::checkpoint::Checkpointer;
use crate::store::database::connect::SharedConnection;
use crate::store::error::StoreError;
use crate::store::moment::Moment;
use crate::store::read::settings::{self, data_version};

/// How SQLite waits for the disk at a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Synchronous {
    Normal,
    Full,
}

/// The writing connection and the committed state in memory.
pub(crate) struct Writer {
    connection: SharedConnection,
    checkpointer: Option<Checkpointer>,
    state: Arc<CommittedState>,
    synchronous: Synchronous,
    /// SQLite's data version when the state in memory last matched the file. Another value means that another connection has
    /// written; none, that the state has to be reloaded in any case.
    data_version: Option<i64>,
    committed: i64,
    opened_with_leases: bool,
    /// Servers that are to be pruned in the next batches.
    prunable: Vec<i64>,
    /// The number after which some servers have no search text; none if all have one.
    unindexed: Option<i64>,
    /// Committed changes that have not been published to watchers yet.
    pending_events: PendingEvents,
}

/// Committed changes and the keys of their servers.
#[derive(Default)]
struct PendingEvents {
    events: Vec<Arc<ChangeEvent>>,
    slots: Vec<Slot>,
    /// Whether the keys of a server are unknown.
    to_all: bool,
}

/// How far `settings.lease_clock` may lag behind, in milliseconds: batches that only refresh leases do not update it.
const MAX_CLOCK_LAG: i64 = 1_000;

/// The outcome of the attempt to run a batch without a transaction.
enum FastPath {
    Done {
        /// Whether anything was written.
        wrote: bool,
    },
    /// The batch needs a transaction.
    NotApplicable,
}

impl Writer {
    /// Loads the committed state into memory.
    pub(in crate::store) async fn new(
        connection: SharedConnection,
        checkpointer: Option<Checkpointer>,
        initial: InitialState,
    ) -> Result<Self, StoreError> {
        let mut guard = connection.lock().await;
        let data_version = data_version(&mut guard).await?;
        summaries::restore_missing(&mut guard).await?;
        let unindexed = (!search_text::are_complete(&mut guard).await?).then_some(0);
        let settings = settings::load(&mut guard).await?;
        let leases = LeaseTable::load(&mut guard).await?;
        let tokens = tokens::load(&mut guard).await?;
        drop(guard);
        let opened_with_leases = leases.len() > 0;
        let revision = settings.revision;
        let state = match initial {
            InitialState::New(cache_bytes) => {
                Arc::new(CommittedState::new(leases, revision, tokens, cache_bytes))
            }
            InitialState::Existing(state) => {
                state.advance_to(leases, revision, tokens);
                state
            }
        };
        Ok(Self {
            connection,
            checkpointer,
            opened_with_leases,
            state,
            synchronous: Synchronous::Full,
            data_version: Some(data_version),
            committed: settings.lease_clock,
            prunable: Vec::new(),
            unindexed,
            pending_events: PendingEvents::default(),
        })
    }

    #[cfg(test)]
    pub(in crate::store) fn connection(&self) -> SharedConnection {
        Arc::clone(&self.connection)
    }

    /// Returns the committed state in memory.
    pub(crate) fn state(&self) -> Arc<CommittedState> {
        Arc::clone(&self.state)
    }

    /// Returns the current revision.
    pub(crate) fn revision(&self) -> Revision {
        self.state.revision()
    }

    /// Returns the lease time of the last commit.
    pub(crate) fn committed(&self) -> i64 {
        self.committed
    }

    /// Returns whether the database contained leases when it was opened.
    pub(crate) fn opened_with_leases(&self) -> bool {
        self.opened_with_leases
    }

    /// Begins a new epoch: the history in the file came from a backup, and its next revisions may be known to clients already.
    pub(crate) async fn begin_epoch(&mut self) -> Result<(), StoreError> {
        let mut connection = self.connection.lock().await;
        let row = sqlx::query!("UPDATE settings SET epoch = lower(hex(randomblob(4))) RETURNING epoch")
            .fetch_one(&mut *connection)
            .await?;
        self.state.begin_epoch(row.epoch);
        Ok(())
    }

    /// Returns whether there is anything to prune, without beginning a transaction.
    pub(crate) fn is_prunable(&mut self, retention: i64, now: Moment) -> bool {
        if self.prunable.is_empty() {
            self.prunable = self.state.prunable(retention, now);
        }
        !self.prunable.is_empty()
    }

    /// Takes the servers that the next prune command handles.
    fn take_prunable(&mut self, retention: i64, now: Moment) -> Vec<i64> {
        self.is_prunable(retention, now);
        let rest = self.prunable.split_off(self.prunable.len().min(leases::PRUNE_BATCH_SIZE));
        std::mem::replace(&mut self.prunable, rest)
    }

    /// Returns whether there are servers without a search text.
    pub(crate) fn is_unindexed(&self) -> bool {
        self.unindexed.is_some()
    }

    /// Returns whether another connection has written to the database.
    pub(crate) async fn modified_externally(&self) -> Result<bool, StoreError> {
        let version = data_version(&mut *self.connection.lock().await).await?;
        Ok(self.data_version != Some(version))
    }

    /// Runs a batch and sets the outcome of each command. Returns whether anything was committed; the error means that nothing
    /// could be.
    pub(crate) async fn run(&mut self, batch: &mut [WriteCommand], now: Moment) -> Result<bool, StoreError> {
        match self.try_refresh_only(batch, now).await {
            Ok(FastPath::Done { wrote }) => return Ok(wrote),
            Ok(FastPath::NotApplicable) => {}
            Err(error) => return Err(fail_all(batch, error)),
        }
        let Err(error) = self.commit(batch, now).await else { return Ok(true) };
        if matches!(error, StoreError::Busy) || batch.len() == 1 {
            return Err(fail_all(batch, error));
        }
        self.retry_one_by_one(batch, now).await
    }

    async fn retry_one_by_one(
        &mut self,
        batch: &mut [WriteCommand],
        now: Moment,
    ) -> Result<bool, StoreError> {
        let mut last = None;
        let mut committed = false;
        for command in batch {
            // Only the first command waits for a lock.
            if matches!(last, Some(StoreError::Busy)) {
                fail_all(std::slice::from_mut(command), StoreError::Busy);
                continue;
            }
            match self.commit(std::slice::from_mut(command), now).await {
                Ok(()) => committed = true,
                Err(error) => last = Some(fail_all(std::slice::from_mut(command), error)),
            }
        }
        last.filter(|_| !committed).map_or(Ok(committed), Err)
    }

    /// Runs a batch of refreshes that change nothing but leases, as a single statement, which is its own transaction.
    async fn try_refresh_only(
        &mut self,
        batch: &mut [WriteCommand],
        now: Moment,
    ) -> Result<FastPath, StoreError> {
        if !batch.iter().all(WriteCommand::is_refresh) || now.lease - self.committed >= MAX_CLOCK_LAG {
            return Ok(FastPath::NotApplicable);
        }
        let plan = leases::resolve(&self.state.read(), refresh_requests(batch), now);
        if !plan.revived.is_empty() {
            return Ok(FastPath::NotApplicable);
        }
        let all_found = match self.refresh_leases(&plan.numbers, now).await {
            Ok(all_found) => all_found,
            Err(error) => {
                self.mark_stale(&error);
                return Err(error);
            }
        };
        if !all_found {
            self.data_version = None;
            return Ok(FastPath::NotApplicable);
        }
        let wrote = !plan.numbers.is_empty();
        self.state.apply(CommitEffects { refreshed: plan.numbers, ..CommitEffects::default() }, None, now);
        set_refresh_outcomes(batch, plan.outcomes);
        Ok(FastPath::Done { wrote })
    }

    /// Refreshes leases outside of a transaction. Returns whether the table contains all of them.
    async fn refresh_leases(&mut self, numbers: &[i64], now: Moment) -> Result<bool, StoreError> {
        if numbers.is_empty() {
            return Ok(true);
        }
        self.set_synchronous(Synchronous::Normal).await?;
        leases::refresh(&mut *self.connection.lock().await, numbers, now).await
    }

    /// Has the state reloaded after an error that may have left memory and tables different.
    fn mark_stale(&mut self, error: &StoreError) {
        if matches!(error, StoreError::Failed(_)) {
            self.data_version = None;
        }
    }

    async fn commit(&mut self, batch: &mut [WriteCommand], now: Moment) -> Result<(), StoreError> {
        let durable = batch.iter().any(WriteCommand::is_durable) || self.revives_expired(batch);
        self.set_synchronous(if durable { Synchronous::Full } else { Synchronous::Normal }).await?;
        let connection = Arc::clone(&self.connection);
        let mut connection = connection.lock().await;
        let connection = &mut *connection;
        match self.execute_batch(connection, batch, now).await {
            Ok((effects, change_log)) => {
                self.record_commit(effects, change_log, batch, now);
                Ok(())
            }
            Err(error) => {
                // SQLite may have rolled back already; then this fails.
                let _ = sqlx::query!("ROLLBACK").execute(&mut *connection).await;
                self.mark_stale(&error);
                Err(error)
            }
        }
    }

    async fn execute_batch(
        &mut self,
        connection: &mut SqliteConnection,
        batch: &mut [WriteCommand],
        now: Moment,
    ) -> Result<(CommitEffects, ChangeLog), StoreError> {
        let Begun { data_version, next_server } = begin(connection).await?;
        if self.data_version != Some(data_version) {
            self.reload(connection).await?;
            self.data_version = Some(data_version);
        }
        let state = Arc::clone(&self.state);
        let mut transaction = Transaction::new(connection, &state, next_server, now);
        transaction.refresh_all(batch).await?;
        for command in batch {
            match command {
                // Refreshed above.
                WriteCommand::Refresh(_) => {}
                WriteCommand::Register(job) => transaction.register(job).await?,
                WriteCommand::Deregister(job) => transaction.deregister(job).await?,
                WriteCommand::Prune(job) => {
                    let servers = self.take_prunable(job.input, now);
                    transaction.prune(job, &servers, !self.prunable.is_empty()).await?;
                }
                WriteCommand::Token(job) => transaction.change_token(job).await?,
                WriteCommand::Trim(job) => transaction.trim(job).await?,
                WriteCommand::Index(job) => transaction.index(job, self.unindexed).await?,
                WriteCommand::Commit(job) => job.outcome = Some(Ok(())),
            }
        }
        transaction.commit().await
    }

    /// Reloads the state in memory, because another connection has written to the database.
    async fn reload(&mut self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        if summaries::restore_missing(connection).await? {
            self.unindexed = Some(0);
        }
        let revision = settings::load(connection).await?.revision;
        self.state.reload(LeaseTable::load(connection).await?, revision, tokens::load(connection).await?);
        tracing::debug!("another program has written to the database; reloaded the state in memory");
        Ok(())
    }

    /// Brings everything in memory up to date with a commit.
    fn record_commit(
        &mut self,
        effects: CommitEffects,
        change_log: ChangeLog,
        batch: &[WriteCommand],
        now: Moment,
    ) {
        let revision = change_log.revision;
        match effects.indexed {
            Some(Indexed::UpTo(last)) => self.unindexed = Some(last),
            Some(Indexed::All) => self.unindexed = None,
            None => {}
        }
        if self.state.watchers().has_subscribers() {
            self.pending_events.events.extend(change_log.into_events(now));
            self.pending_events.slots.extend(effects.invalidated.iter().chain(&effects.notified));
            self.pending_events.to_all |= effects.invalidate_all;
        }
        self.state.apply(effects, Some(revision), now);
        self.committed = now.lease;
        if let Some(checkpointer) = &mut self.checkpointer {
            checkpointer.record_pages(batch.iter().map(WriteCommand::pages).sum());
        }
    }

    /// Publishes committed changes to watchers. Called after the commands are answered, so that callers do not wait for
    /// watchers.
    pub(crate) fn publish(&mut self) {
        let PendingEvents { events, mut slots, to_all } = std::mem::take(&mut self.pending_events);
        if !events.is_empty() {
            self.state.watchers().publish(&events, &mut slots, to_all);
        }
    }

    /// Returns whether a refresh revives a server that was recorded as expired: this is a change with a revision.
    fn revives_expired(&self, batch: &[WriteCommand]) -> bool {
        let state = self.state.read();
        refresh_requests(batch)
            .any(|(lease, _)| state.leases.get(&lease.id).is_some_and(|current| current.expired))
    }

    /// Sets the pragma before BEGIN, since SQLite rejects it inside a transaction, and never as a cached statement: the pragma
    /// acts when it is prepared.
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

    /// Closes the connection. As the last connection to the file it checkpoints the WAL.
    pub(crate) async fn close(self) {
        if let Some(checkpointer) = self.checkpointer {
            checkpointer.stop().await;
        }
        if let Ok(connection) = Arc::try_unwrap(self.connection)
            && let Err(error) = connection.into_inner().close().await
        {
            tracing::warn!(%error, "cannot close the database cleanly; the next start recovers it");
        }
    }
}
