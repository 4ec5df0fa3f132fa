//! The transaction of a batch.
//!
//! No command is answered before the commit, so the commands of a batch can run in any order: all refreshes go first, in one
//! statement, and new servers go last, in one statement per table.

use sqlx::SqliteConnection;

use super::changelog::ChangeLog;
use super::command::{Job, WriteCommand, refresh_requests, set_refresh_outcomes};
use super::leases::{DeregisterOutcome, DeregisterRequest, PruneOutcome};
use super::multi_statement::MultiStatement;
use super::pending::PendingChanges;
use super::prepared::PreparedRegistration;
use super::registrations::{NewServer, RegisterOutcome};
use super::search_text::Text;
use super::tokens::TokenChange;
use super::{changelog, leases, registrations, search_text, tokens};
use crate::store::cache::state::{CommitEffects, CommittedState, Indexed};
use crate::store::error::StoreError;
use crate::store::moment::Moment;

/// An open transaction.
pub(in crate::store) struct Transaction<'a, 'b> {
    connection: &'a mut SqliteConnection,
    /// Statements that have not been sent to SQLite yet.
    statements: MultiStatement,
    pending: PendingChanges<'a>,
    /// Servers that have not been inserted yet.
    new_servers: Vec<NewServer<'b>>,
    now: Moment,
}

impl<'a, 'b> Transaction<'a, 'b> {
    pub(in crate::store) fn new(
        connection: &'a mut SqliteConnection,
        state: &'a CommittedState,
        next_server: i64,
        now: Moment,
    ) -> Self {
        let pending = PendingChanges::new(state, &state.revision(), next_server);
        Self { connection, statements: MultiStatement::new(), pending, new_servers: Vec::new(), now }
    }

    /// Runs all refreshes of a batch.
    pub(in crate::store) async fn refresh_all(
        &mut self,
        batch: &mut [WriteCommand],
    ) -> Result<(), StoreError> {
        let plan = leases::resolve(&self.pending.state().read(), refresh_requests(batch), self.now);
        if !plan.numbers.is_empty() {
            if !leases::refresh(self.connection, &plan.numbers, self.now).await? {
                return Err(sqlx::Error::RowNotFound.into());
            }
            self.pending.effects.refreshed.extend(&plan.numbers);
            leases::revive(self.connection, &mut self.pending, plan.revived, self.now).await?;
        }
        set_refresh_outcomes(batch, plan.outcomes);
        Ok(())
    }

    pub(in crate::store) async fn register(
        &mut self,
        job: &'b mut Job<PreparedRegistration, RegisterOutcome>,
    ) -> Result<(), StoreError> {
        let Job { input: prepared, outcome, .. } = job;
        self.flush_if_new(prepared.id()).await?;
        *outcome = Some(Ok(if !self.pending.state().tokens().is_current(&prepared.actor) {
            RegisterOutcome::Forbidden
        } else if let Some(before) = self.pending.lease(prepared.id()) {
            registrations::replace(self.connection, &mut self.pending, &before, prepared, self.now).await?
        } else {
            let server = NewServer::new(self.pending.next_server, prepared, self.now);
            self.pending.next_server += 1;
            let registered = server.registered(self.now);
            self.new_servers.push(server);
            registered
        }));
        Ok(())
    }

    pub(in crate::store) async fn deregister(
        &mut self,
        job: &mut Job<DeregisterRequest, DeregisterOutcome>,
    ) -> Result<(), StoreError> {
        self.flush_if_new(&job.input.lease.id).await?;
        let outcome = leases::deregister(self.connection, &mut self.pending, &job.input, self.now).await?;
        job.outcome = Some(Ok(outcome));
        Ok(())
    }

    /// Prunes these servers.
    pub(in crate::store) async fn prune(
        &mut self,
        job: &mut Job<i64, PruneOutcome>,
        servers: &[i64],
        more: bool,
    ) -> Result<(), StoreError> {
        let retention = job.input;
        let outcome = leases::prune(self.connection, &mut self.pending, servers, retention, self.now).await?;
        job.outcome = Some(Ok(PruneOutcome { more, ..outcome }));
        Ok(())
    }

    pub(in crate::store) async fn change_token(
        &mut self,
        job: &mut Job<TokenChange, bool>,
    ) -> Result<(), StoreError> {
        let done = tokens::change(self.connection, &job.input).await?;
        self.pending.effects.tokens = Some(tokens::load(self.connection).await?);
        job.outcome = Some(Ok(done));
        Ok(())
    }

    pub(in crate::store) async fn trim(
        &mut self,
        job: &mut Job<changelog::ChangeRetention, ()>,
    ) -> Result<(), StoreError> {
        changelog::trim(self.connection, job.input, self.now).await?;
        job.outcome = Some(Ok(search_text::delete_unused(self.connection).await?));
        Ok(())
    }

    /// Creates the search texts of a few servers that have none, `after` being the number of a server before them.
    pub(in crate::store) async fn index(
        &mut self,
        job: &mut Job<(), ()>,
        after: Option<i64>,
    ) -> Result<(), StoreError> {
        if let Some(after) = after {
            self.index_some(after).await?;
        }
        job.outcome = Some(Ok(()));
        Ok(())
    }

    async fn index_some(&mut self, after: i64) -> Result<(), StoreError> {
        const INDEX_BATCH_SIZE: i64 = 8;
        // Texts of servers whose edit was found by a transaction that was rolled back.
        search_text::remove_edited(self.connection).await?;
        let servers = search_text::missing(self.connection, after, INDEX_BATCH_SIZE).await?;
        let mut texts = Vec::with_capacity(servers.len());
        for server in &servers {
            search_text::remove(self.connection, *server).await?;
            // A server that was edited into something invalid gets no text, and no search finds it.
            if let Some(text) = Text::of_stored(self.connection, *server, |_| false).await? {
                texts.push((*server, text));
            }
        }
        let mut statements = MultiStatement::new();
        search_text::insert(&mut statements, texts.iter().map(|(server, text)| (*server, text)));
        if servers.is_empty() {
            search_text::mark_complete(self.connection).await?;
        }
        self.pending.effects.indexed = Some(servers.last().map_or(Indexed::All, |last| Indexed::UpTo(*last)));
        self.pending.effects.reindex.extend(servers);
        if texts.is_empty() { Ok(()) } else { statements.run(self.connection).await }
    }

    /// Inserts the new servers if one of them has this id, so that the next statements find it.
    async fn flush_if_new(&mut self, id: &str) -> Result<(), StoreError> {
        if self.new_servers.iter().any(|server| server.id() == id) {
            self.insert_new_servers()?;
            self.statements.run(self.connection).await?;
        }
        Ok(())
    }

    fn insert_new_servers(&mut self) -> Result<(), StoreError> {
        let servers = std::mem::take(&mut self.new_servers);
        registrations::insert(&mut self.statements, &mut self.pending, &servers, self.now)
    }

    /// Commits the transaction.
    pub(in crate::store) async fn commit(mut self) -> Result<(CommitEffects, ChangeLog), StoreError> {
        self.insert_new_servers()?;
        self.pending.change_log.write(&mut self.statements, self.now);
        self.statements.push("COMMIT").run(self.connection).await?;
        Ok((self.pending.effects, self.pending.change_log))
    }
}

/// The first results of a transaction.
pub(in crate::store) struct Begun {
    pub(in crate::store) data_version: i64,
    /// The number of the next new server.
    pub(in crate::store) next_server: i64,
}

pub(in crate::store) const BEGIN: &str = "BEGIN IMMEDIATE; PRAGMA data_version; \
    SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'servers'), 0) + 1";

/// Begins a transaction.
pub(in crate::store) async fn begin(connection: &mut SqliteConnection) -> Result<Begun, StoreError> {
    let rows: Vec<i64> = sqlx::query_scalar(BEGIN).fetch_all(connection).await?;
    match rows[..] {
        [data_version, next_server] => Ok(Begun { data_version, next_server }),
        _ => Err(sqlx::Error::RowNotFound.into()),
    }
}
