//! The one writing connection: batches of commands, each batch one transaction.
//!
//! A batch holds what was waiting when it began. The answers are kept back until the commit has succeeded.
//!
//! When anything fails, the whole batch is rolled back, and each command is run again in a transaction of its own and
//! gets its own answer: a bad one can't fail its neighbours. (A savepoint for each would do the same, at the cost of
//! two statements for each command that is right.)

use std::sync::Arc;

use sqlx::{Connection, SqliteConnection};

use super::command::Command;
use super::command::{asked, spread, tell};
use super::{leases, search_text, tokens};
use crate::model::Revision;
use crate::store::cache::invalidation::Slot;
use crate::store::cache::lease_table::Mirror;
use crate::store::cache::state::Known;
use crate::store::cache::state::Live;
use crate::store::cache::state::{Effects, Indexed};
use crate::store::cache::subscriptions::Event;
use crate::store::database::checkpoint::Folding;
use crate::store::database::connect::Shared;
use crate::store::error::StoreError;
use crate::store::moment::Moment;
use crate::store::record;

/// How SQLite waits for the disk at a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Synchronous {
    Normal,
    Full,
}

/// The writing connection and what it knows of the database without asking.
pub(crate) struct Writer {
    connection: Shared,
    folding: Option<Folding>,
    pub(in crate::store) live: Arc<Live>,
    synchronous: Synchronous,
    /// What SQLite said when this writer last knew all that is in the file: another number means that somebody else has
    /// written. None: that is so in any case.
    pub(in crate::store) data_version: Option<i64>,
    committed: i64,
    leases: bool,
    /// Servers whose lease has run out, found and not yet pruned.
    pub(in crate::store) due: Vec<i64>,
    /// The server from which on some have no documents; none if all have.
    pub(in crate::store) unindexed: Option<i64>,
    /// What watchers are to be told.
    news: News,
}

/// Changes that were committed, the keys of their servers, and whether there was one whose keys cannot be known.
#[derive(Default)]
struct News {
    events: Vec<Arc<Event>>,
    slots: Vec<Slot>,
    everybody: bool,
}

/// How far the lease clock in `settings` may be behind: commits of refreshes alone leave it as it is.
const CLOCK_LAG: i64 = 1_000;

impl Writer {
    /// With all that the database knows in memory.
    pub(in crate::store) async fn new(
        connection: Shared,
        folding: Option<Folding>,
        known: Known,
    ) -> Result<Self, StoreError> {
        let mut taken = connection.lock().await;
        let data_version = data_version(&mut taken).await?;
        make_summaries(&mut taken).await?;
        let unindexed = (!search_text::are_complete(&mut taken).await?).then_some(0);
        let (revision, committed, _) = settings(&mut taken).await?;
        let mirror = Mirror::load(&mut taken).await?;
        let tokens = tokens::load(&mut taken).await?;
        drop(taken);
        let leases = mirror.len() > 0;
        let live = match known {
            Known::Anew(answer_bytes) => Arc::new(Live::new(mirror, revision, tokens, answer_bytes)),
            Known::Of(live) => {
                live.move_on(mirror, revision, tokens);
                live
            }
        };
        Ok(Self {
            connection,
            folding,
            leases,
            live,
            synchronous: Synchronous::Full,
            data_version: Some(data_version),
            committed,
            due: Vec::new(),
            unindexed,
            news: News::default(),
        })
    }

    #[cfg(test)]
    pub(in crate::store) fn connection(&self) -> Shared {
        Arc::clone(&self.connection)
    }

    /// What is known without asking SQLite.
    pub(crate) fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live)
    }

    /// How far the catalogue has come.
    pub(crate) fn revision(&self) -> Revision {
        self.live.revision()
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
        self.live.begin_epoch(row.epoch);
        Ok(())
    }

    /// Whether there is anything to prune: asked before a transaction is begun for it.
    pub(crate) fn is_prunable(&mut self, retention: i64, now: Moment) -> bool {
        if self.due.is_empty() {
            self.due = self.live.due(retention, now);
        }
        !self.due.is_empty()
    }

    /// Whether there are servers without documents.
    pub(crate) fn is_unindexed(&self) -> bool {
        self.unindexed.is_some()
    }

    /// Whether somebody else has written to the database.
    pub(crate) async fn is_overtaken(&self) -> Result<bool, StoreError> {
        let version = data_version(&mut *self.connection.lock().await).await?;
        Ok(self.data_version != Some(version))
    }

    /// Runs a batch and leaves each command with its outcome. Says whether anything was committed; the error is that of
    /// the database as a whole: nothing could be.
    pub(crate) async fn run(&mut self, batch: &mut [Command], now: Moment) -> Result<bool, StoreError> {
        if let Some(done) = self.refresh_alone(batch, now).await {
            return done.map_err(|error| spread(batch, error));
        }
        let Err(error) = self.transaction(batch, now).await else { return Ok(true) };
        if matches!(error, StoreError::Busy) || batch.len() == 1 {
            return Err(spread(batch, error));
        }
        let mut last = None;
        let mut committed = false;
        for command in batch {
            // A lock is waited for once, and not once by each.
            if matches!(last, Some(StoreError::Busy)) {
                spread(std::slice::from_mut(command), StoreError::Busy);
                continue;
            }
            match self.transaction(std::slice::from_mut(command), now).await {
                Ok(()) => committed = true,
                Err(error) => last = Some(spread(std::slice::from_mut(command), error)),
            }
        }
        last.filter(|_| !committed).map_or(Ok(committed), Err)
    }

    /// A batch of nothing but refreshes that change nothing but leases: one statement, which is its own transaction.
    /// None if this batch is more than that.
    async fn refresh_alone(
        &mut self,
        batch: &mut [Command],
        now: Moment,
    ) -> Option<Result<bool, StoreError>> {
        if !batch.iter().all(Command::is_refresh) || now.lease - self.committed >= CLOCK_LAG {
            return None;
        }
        let mut refreshing = leases::resolve(&self.live.read(), asked(batch), now);
        if !refreshing.revived.is_empty() {
            return None;
        }
        let found = if refreshing.numbers.is_empty() {
            Ok(true)
        } else {
            match self.set_synchronous(Synchronous::Normal).await {
                Ok(()) => leases::refresh(&mut *self.connection.lock().await, &refreshing.numbers, now).await,
                Err(error) => Err(error),
            }
        };
        match found {
            Ok(true) => {}
            Ok(false) => {
                self.data_version = None;
                return None;
            }
            Err(error) => {
                self.doubt(&error);
                return Some(Err(error));
            }
        }
        let wrote = !refreshing.numbers.is_empty();
        let refreshed = std::mem::take(&mut refreshing.numbers);
        self.live.apply(Effects { refreshed, ..Effects::default() }, None, now);
        tell(batch, refreshing.outcomes);
        Some(Ok(wrote))
    }

    /// After an error of a kind that may leave memory and tables saying different things.
    fn doubt(&mut self, error: &StoreError) {
        if matches!(error, StoreError::Failed(_)) {
            self.data_version = None;
        }
    }

    async fn transaction(&mut self, batch: &mut [Command], now: Moment) -> Result<(), StoreError> {
        let durable = batch.iter().any(Command::is_durable) || self.tells_of_revival(batch);
        self.set_synchronous(if durable { Synchronous::Full } else { Synchronous::Normal }).await?;
        let connection = Arc::clone(&self.connection);
        let mut connection = connection.lock().await;
        let connection = &mut *connection;
        let done = self.in_transaction(connection, batch, now).await;
        match done {
            Ok((effects, ledger)) => {
                let revision = ledger.revision;
                match effects.indexed {
                    Some(Indexed::UpTo(last)) => self.unindexed = Some(last),
                    Some(Indexed::All) => self.unindexed = None,
                    None => {}
                }
                if self.live.watchers().are_any() {
                    self.news.events.extend(ledger.into_events(now));
                    self.news.slots.extend(effects.touched.iter().chain(&effects.told));
                    self.news.everybody |= effects.everything;
                }
                self.live.apply(effects, Some(revision), now);
                self.committed = now.lease;
                if let Some(folding) = &mut self.folding {
                    folding.written(batch.iter().map(Command::pages).sum());
                }
                Ok(())
            }
            Err(error) => {
                // SQLite may have rolled back by itself, and then this is an error that says so.
                let _ = sqlx::query!("ROLLBACK").execute(&mut *connection).await;
                self.doubt(&error);
                Err(error)
            }
        }
    }

    /// Tells watchers what was committed. Once those who have asked for it are answered: nobody waits for watchers.
    pub(crate) fn publish(&mut self) {
        let News { events, mut slots, everybody } = std::mem::take(&mut self.news);
        if !events.is_empty() {
            self.live.watchers().publish(&events, &mut slots, everybody);
        }
    }

    /// Whether a refresh is the news that a server lives again: a change with a number.
    fn tells_of_revival(&self, batch: &[Command]) -> bool {
        let state = self.live.read();
        asked(batch).any(|(lease, _)| state.mirror.get(&lease.id).is_some_and(|held| held.expired))
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
        if let Some(folding) = self.folding {
            folding.stop().await;
        }
        if let Ok(connection) = Arc::try_unwrap(self.connection)
            && let Err(error) = connection.into_inner().close().await
        {
            tracing::warn!(%error, "the database was not closed in order; the next start recovers it");
        }
    }
}

/// A number that changes when another connection has written.
async fn data_version(connection: &mut SqliteConnection) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar("PRAGMA data_version").fetch_one(connection).await?)
}

/// How far the catalogue has come, the lease time of the last commit, and what added to it gives wall time.
pub(in crate::store) async fn settings(
    connection: &mut SqliteConnection,
) -> Result<(Revision, i64, i64), StoreError> {
    let row = sqlx::query!("SELECT epoch, revision, lease_clock, wall_offset FROM settings");
    let row = row.fetch_one(connection).await?;
    let number = u64::try_from(row.revision).unwrap_or_default();
    Ok((Revision { epoch: row.epoch, number }, row.lease_clock, row.wall_offset))
}

/// Makes the summaries that are missing, and takes the documents of the same servers away. Says whether there were any.
pub(in crate::store) async fn make_summaries(connection: &mut SqliteConnection) -> Result<bool, StoreError> {
    sqlx::query(record::MISSING_SUMMARIES).execute(&mut *connection).await?;
    let edited = search_text::remove_edited(&mut *connection).await?;
    sqlx::query(record::MAKE_SUMMARIES).execute(connection).await?;
    Ok(edited)
}
