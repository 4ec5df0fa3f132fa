//! New and replaced registrations.
//!
//! The new servers of a batch are inserted together at its end, see [`insert`]. A registered server is compared and
//! replaced individually.

use std::sync::{Arc, LazyLock};

use sqlx::SqliteConnection;

use super::definitions::{self, ServerRow};
use super::multi_statement::MultiStatement;
use super::pending::PendingChanges;
use super::prepared::{PreparedRegistration, summary};
use super::search_text;
use crate::model::{ChangeKind, Health, LeaseId, Record, Registered, Server, View};
use crate::store::cache::lease_table::Lease;
use crate::store::cache::state::expiry;
use crate::store::error::StoreError;
use crate::store::moment::{Moment, time};
use crate::store::read::lookup::{ServerKey, load};
use crate::store::record::{self, Entry, LeaseTimes, RecordTimes, bind_columns};

/// The outcome of a registration.
#[derive(Debug)]
pub(crate) enum RegisterOutcome {
    /// The server is registered.
    Done(Registered),
    /// The id is registered, and only a new server was to be registered.
    Taken,
    /// The id belongs to another token.
    Forbidden,
}

/// A server that is new in its batch.
pub(in crate::store) struct NewServer<'a> {
    number: i64,
    lease: LeaseId,
    prepared: &'a PreparedRegistration,
}

impl<'a> NewServer<'a> {
    pub(in crate::store) fn new(number: i64, prepared: &'a mut PreparedRegistration, now: Moment) -> Self {
        prepared.times.registered_at = time(now.wall);
        prepared.times.updated_at = time(now.wall);
        Self { number, lease: LeaseId::random(), prepared }
    }

    pub(in crate::store) fn id(&self) -> &'a str {
        self.prepared.id()
    }

    pub(in crate::store) fn registered(&self, now: Moment) -> RegisterOutcome {
        let server = server_of(self.prepared, now);
        RegisterOutcome::Done(Registered { server, lease: self.lease, created: true })
    }
}

/// Inserts new servers, with consecutive numbers.
pub(in crate::store) fn insert(
    statements: &mut MultiStatement,
    pending: &mut PendingChanges<'_>,
    servers: &[NewServer<'_>],
    now: Moment,
) -> Result<(), StoreError> {
    static INTO: LazyLock<String> = LazyLock::new(|| format!("servers (number, {})", *record::COLUMNS));
    statements.insert(&INTO, servers, "", |row, NewServer { number, prepared, .. }| {
        row.push_bind(*number);
        bind_columns(row, &prepared.record, prepared.times);
    });
    let into = "leases (server, lease, ttl, expires_at, refreshed_at)";
    statements.insert(into, servers, "", |row, NewServer { number, lease, prepared }| {
        let ttl = prepared.times.ttl;
        row.push_bind(*number)
            .push_bind(lease.as_bytes().to_vec())
            .push_bind(ttl)
            .push_bind(expiry(ttl, now))
            .push_bind(now.wall);
    });
    let rows: Vec<_> = servers
        .iter()
        .map(|NewServer { number, prepared, .. }| ServerRow { number: *number, prepared })
        .collect();
    definitions::insert(statements, &rows);
    for NewServer { number, lease, prepared } in servers {
        let after = entry(prepared, *number, now)?.json(now);
        pending.change_log.record(ChangeKind::Registered, prepared.id(), None, Some(after));
        pending.invalidate(&prepared.record);
        pending.set_lease(lease_of(*number, *lease, prepared, now));
        pending.effects.reindex.push(*number);
    }
    Ok(())
}

/// Replaces a registered server, or only renews its lease if the registration is unchanged.
pub(in crate::store) async fn replace(
    connection: &mut SqliteConnection,
    pending: &mut PendingChanges<'_>,
    before: &Lease,
    prepared: &mut PreparedRegistration,
    now: Moment,
) -> Result<RegisterOutcome, StoreError> {
    if prepared.only_new {
        return Ok(RegisterOutcome::Taken);
    }
    if !prepared.actor.may_change(before.owner.as_deref()) {
        return Ok(RegisterOutcome::Forbidden);
    }
    let stored = load(connection, ServerKey::Number(before.number), View::Full).await?;
    let stored = stored.ok_or(sqlx::Error::RowNotFound)?;
    // None if the row was edited so that it cannot be parsed any more. Then it is replaced.
    let old = stored.rendered.record().ok();
    let owner = prepared.actor.owner(before.owner.as_deref());
    let changed = prepared.inherit_from(&stored, old.as_deref(), owner, now)?;
    let lease = LeaseId::random();
    let after = entry(prepared, before.number, now)?;
    if changed {
        // The keys by which filters found it: after a manual edit, they may differ from those of its definitions.
        if let Some(summary_entry) = load(connection, ServerKey::Number(before.number), View::Summary).await?
        {
            pending.invalidate_stored(&summary_entry.rendered);
        }
        let mut statements = MultiStatement::new();
        statements.update("servers", &record::COLUMNS, before.number, |row| {
            bind_columns(row, &prepared.record, prepared.times);
        });
        statements.run(connection).await?;
        delete_definitions(connection, before.number).await?;
        definitions::insert(&mut statements, &[ServerRow { number: before.number, prepared }]);
        statements.run(connection).await?;
        pending.effects.reindex.push(before.number);
        pending.invalidate_stored(&stored.rendered);
    }
    if changed || before.times.health(now) == Health::Unhealthy {
        pending.invalidate(&prepared.record);
    }
    renew_lease(connection, before.number, lease, prepared.times.ttl, now).await?;
    if before.expired {
        pending.change_log.record(ChangeKind::Registered, prepared.id(), None, Some(after.json(now)));
    } else if changed {
        let before = old.map(|old| summary_json(&stored, &old, now)).transpose()?;
        pending.change_log.record(ChangeKind::Updated, prepared.id(), before, Some(after.json(now)));
    }
    pending.set_lease(lease_of(before.number, lease, prepared, now));
    Ok(RegisterOutcome::Done(Registered { server: server_of(prepared, now), lease, created: false }))
}

impl PreparedRegistration {
    /// Adopts what remains of the replaced registration: its registration time and owner. Returns whether anything else
    /// changes.
    fn inherit_from(
        &mut self,
        stored: &Entry,
        old: Option<&Record>,
        owner: Option<String>,
        now: Moment,
    ) -> Result<bool, StoreError> {
        let before = stored.rendered.times;
        self.times.registered_at = before.registered_at;
        self.times.updated_at = before.updated_at;
        if self.record.owner != owner {
            let record = Arc::make_mut(&mut self.record);
            record.owner = owner;
            self.summary = summary(record)?;
        }
        let changed = old != Some(&*self.record) || before.ttl != self.times.ttl;
        if changed {
            self.times.updated_at = time(now.wall);
        }
        Ok(changed)
    }
}

/// Returns the summary of a server that was read in full.
fn summary_json(stored: &Entry, record: &Record, now: Moment) -> Result<String, StoreError> {
    let Entry { rendered, lease } = stored;
    let entry = Entry::new(rendered.number, &record.id, &summary(record)?, rendered.times, *lease)?;
    Ok(entry.json(now))
}

fn entry(prepared: &PreparedRegistration, number: i64, now: Moment) -> Result<Entry, StoreError> {
    let PreparedRegistration { record, summary, times, .. } = prepared;
    Entry::new(number, &record.id, summary, *times, new_lease(*times, now))
}

/// Returns the times of a lease that begins now.
fn new_lease(times: RecordTimes, now: Moment) -> LeaseTimes {
    LeaseTimes { expires_at: expiry(times.ttl, now), refreshed_at: now.wall }
}

/// Returns the server as it is when its lease begins.
fn server_of(prepared: &PreparedRegistration, now: Moment) -> Server {
    let PreparedRegistration { record, times, .. } = prepared;
    Server::new(Arc::clone(record), times.state(new_lease(*times, now), now))
}

/// Returns the lease of a registration that begins now.
fn lease_of(number: i64, lease: LeaseId, prepared: &PreparedRegistration, now: Moment) -> Lease {
    let PreparedRegistration { record, times, .. } = prepared;
    Lease {
        number,
        id: record.id.as_str().into(),
        name: record.name.as_str().into(),
        owner: record.owner.as_deref().map(Into::into),
        holder: lease,
        ttl: times.ttl,
        times: new_lease(*times, now),
        expired: false,
    }
}

/// Deletes the rows that belong to a server.
async fn delete_definitions(connection: &mut SqliteConnection, number: i64) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM tools WHERE server = ?", number).execute(&mut *connection).await?;
    sqlx::query!("DELETE FROM resources WHERE server = ?", number).execute(&mut *connection).await?;
    sqlx::query!("DELETE FROM prompts WHERE server = ?", number).execute(&mut *connection).await?;
    sqlx::query!("DELETE FROM capabilities WHERE server = ?", number).execute(&mut *connection).await?;
    sqlx::query!("DELETE FROM tags WHERE server = ?", number).execute(&mut *connection).await?;
    sqlx::query!("DELETE FROM metadata WHERE server = ?", number).execute(&mut *connection).await?;
    search_text::remove(connection, number).await
}

async fn renew_lease(
    connection: &mut SqliteConnection,
    number: i64,
    lease: LeaseId,
    ttl: u32,
    now: Moment,
) -> Result<(), StoreError> {
    let expires_at = expiry(ttl, now);
    let lease = &lease.as_bytes()[..];
    sqlx::query!(
        "UPDATE leases SET lease = ?, ttl = ?, expires_at = ?, refreshed_at = ?, expired = 0 WHERE server = ?",
        lease,
        ttl,
        expires_at,
        now.wall,
        number
    )
    .execute(connection)
    .await?;
    Ok(())
}
