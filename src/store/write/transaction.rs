//! What a batch does inside its transaction.
//!
//! Nobody has been answered yet, so its commands may be run in any order: all refreshes go first, in one statement, and what
//! is newly registered goes last, in one statement a table.

use std::sync::Arc;

use sqlx::SqliteConnection;

use super::changelog::Ledger;
use super::command::Command;
use super::command::{Job, asked, tell};
use super::multi_statement::Script;
use super::pending::Draft;
use super::registrations::{Fresh, Registering};
use super::search_text::Text;
use super::writer::Writer;
use super::writer::{make_summaries, settings};
use super::{changelog, leases, registrations, search_text, tokens};
use crate::store::cache::lease_table::Mirror;
use crate::store::cache::state::{Effects, Indexed};
use crate::store::error::StoreError;
use crate::store::moment::Moment;

impl Writer {
    pub(in crate::store) async fn in_transaction(
        &mut self,
        connection: &mut SqliteConnection,
        batch: &mut [Command],
        now: Moment,
    ) -> Result<(Effects, Ledger), StoreError> {
        let Begun { data_version, next_server } = begin(connection).await?;
        if self.data_version != Some(data_version) {
            if make_summaries(connection).await? {
                self.unindexed = Some(0);
            }
            let (revision, ..) = settings(connection).await?;
            self.live.replace(Mirror::load(connection).await?, revision, tokens::load(connection).await?);
            self.data_version = Some(data_version);
            tracing::debug!(
                "somebody else has written to the database: what is kept in memory was read anew"
            );
        }
        let live = Arc::clone(&self.live);
        let mut draft = Draft::new(&live, &live.revision(), next_server);
        let mut script = Script::new();
        self.execute(connection, &mut script, &mut draft, batch, now).await?;
        draft.ledger.write(&mut script, now);
        script.push("COMMIT").run(connection).await?;
        Ok((draft.effects, draft.ledger))
    }

    async fn execute(
        &mut self,
        connection: &mut SqliteConnection,
        script: &mut Script,
        draft: &mut Draft<'_>,
        batch: &mut [Command],
        now: Moment,
    ) -> Result<(), StoreError> {
        refresh_all(connection, draft, batch, now).await?;
        let mut fresh: Vec<Fresh<'_>> = Vec::new();
        for command in batch.iter_mut() {
            match command {
                Command::Refresh(_) => {}
                Command::Register(job) => {
                    let Job { input: put, outcome, .. } = &mut **job;
                    if fresh.iter().any(|fresh| fresh.id() == put.id()) {
                        registrations::insert(script, draft, &std::mem::take(&mut fresh), now)?;
                        script.run(connection).await?;
                    }
                    *outcome = Some(Ok(if !draft.live().tokens().admit(&put.actor) {
                        Registering::Forbidden
                    } else if let Some(before) = draft.lease(put.id()) {
                        registrations::replace(connection, draft, &before, put, now).await?
                    } else {
                        let new = Fresh::new(draft.next_server, put, now);
                        draft.next_server += 1;
                        let registered = new.registered(now);
                        fresh.push(new);
                        registered
                    }));
                }
                Command::Deregister(job) => {
                    if fresh.iter().any(|fresh| fresh.id() == job.input.lease.id) {
                        registrations::insert(script, draft, &std::mem::take(&mut fresh), now)?;
                        script.run(connection).await?;
                    }
                    job.outcome = Some(Ok(leases::deregister(connection, draft, &job.input, now).await?));
                }
                Command::Prune(job) => {
                    let retention = job.input;
                    if self.due.is_empty() {
                        self.due = self.live.due(retention, now);
                    }
                    let rest = self.due.split_off(self.due.len().min(leases::BITE));
                    let bite = std::mem::replace(&mut self.due, rest);
                    let mut pruned = leases::prune(connection, draft, &bite, retention, now).await?;
                    pruned.more = !self.due.is_empty();
                    job.outcome = Some(Ok(pruned));
                }
                Command::Token(job) => {
                    let done = tokens::change(connection, &job.input).await?;
                    draft.effects.tokens = Some(tokens::load(connection).await?);
                    job.outcome = Some(Ok(done));
                }
                Command::Trim(job) => {
                    changelog::trim(connection, job.input, now).await?;
                    job.outcome = Some(Ok(search_text::sweep(connection).await?));
                }
                Command::Index(job) => job.outcome = Some(Ok(self.index_some(connection, draft).await?)),
                Command::Commit(job) => job.outcome = Some(Ok(())),
            }
        }
        registrations::insert(script, draft, &fresh, now)
    }

    /// Makes the documents of a few servers that have none.
    async fn index_some(
        &self,
        connection: &mut SqliteConnection,
        draft: &mut Draft<'_>,
    ) -> Result<(), StoreError> {
        const BITE: i64 = 8;
        let Some(after) = self.unindexed else { return Ok(()) };
        // Those that a transaction has found which was rolled back.
        search_text::remove_edited(&mut *connection).await?;
        let servers = search_text::missing(connection, after, BITE).await?;
        let mut made = Vec::with_capacity(servers.len());
        for server in &servers {
            search_text::remove(connection, *server).await?;
            // What somebody has edited into what is no record is not found.
            if let Some(text) = Text::of_stored(connection, *server, |_| false).await? {
                made.push((*server, text));
            }
        }
        let mut script = Script::new();
        search_text::insert(&mut script, made.iter().map(|(server, text)| (*server, text)));
        if servers.is_empty() {
            search_text::mark_complete(connection).await?;
        }
        draft.effects.indexed = Some(servers.last().map_or(Indexed::All, |last| Indexed::UpTo(*last)));
        draft.effects.searched.extend(servers);
        if made.is_empty() { Ok(()) } else { script.run(connection).await }
    }
}

/// What is asked as a transaction begins.
struct Begun {
    data_version: i64,
    next_server: i64,
}

pub(in crate::store) const BEGIN: &str = "BEGIN IMMEDIATE; PRAGMA data_version; \
    SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'servers'), 0) + 1";

async fn begin(connection: &mut SqliteConnection) -> Result<Begun, StoreError> {
    let rows: Vec<i64> = sqlx::query_scalar(BEGIN).fetch_all(connection).await?;
    match rows[..] {
        [data_version, next_server] => Ok(Begun { data_version, next_server }),
        _ => Err(sqlx::Error::RowNotFound.into()),
    }
}

/// All refreshes of a batch.
async fn refresh_all(
    connection: &mut SqliteConnection,
    draft: &mut Draft<'_>,
    batch: &mut [Command],
    now: Moment,
) -> Result<(), StoreError> {
    let refreshing = leases::resolve(&draft.live().read(), asked(batch), now);
    if !refreshing.numbers.is_empty() {
        if !leases::refresh(connection, &refreshing.numbers, now).await? {
            return Err(sqlx::Error::RowNotFound.into());
        }
        draft.effects.refreshed.extend(&refreshing.numbers);
        leases::revive(connection, draft, refreshing.revived, now).await?;
    }
    tell(batch, refreshing.outcomes);
    Ok(())
}
