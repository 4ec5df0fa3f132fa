//! Registrations: written whole, replaced whole, read back whole.
//!
//! What is new in a batch is written together at its end, see [`insert`]; what was there before is compared and replaced
//! by itself.

use std::sync::Arc;

use serde_json::json;
use sqlx::SqliteConnection;

use super::definitions::{self, Parent};
use super::multi_statement::Script;
use super::pending::Draft;
use super::prepared::{PreparedRegistration, summary};
use super::search_text;
use crate::model::{ChangeKind, Health, Input, LeaseId, Record, Registered, Server, Transport, View};
use crate::store::cache::lease_table::Lease;
use crate::store::cache::state::expiry;
use crate::store::error::StoreError;
use crate::store::moment::{Moment, time};
use crate::store::read::lookup::{Key, load};
use crate::store::record::{Entry, Times};

/// What became of a registration.
#[derive(Debug)]
pub(crate) enum Registering {
    /// It is there.
    Done(Registered),
    /// The id is taken, and only a new one was wanted.
    Taken,
    /// The id belongs to another token.
    Forbidden,
}

fn entry(prepared: &PreparedRegistration, number: i64, now: Moment) -> Result<Entry, StoreError> {
    Entry::of(number, &prepared.record, &prepared.summary, times(prepared.record.ttl, now))
}

/// A server that is new in this batch.
pub(in crate::store) struct Fresh<'a> {
    number: i64,
    lease: LeaseId,
    put: &'a PreparedRegistration,
}

impl<'a> Fresh<'a> {
    pub(in crate::store) fn new(number: i64, put: &'a mut PreparedRegistration, now: Moment) -> Self {
        let record = Arc::make_mut(&mut put.record);
        record.registered_at = time(now.wall);
        record.updated_at = time(now.wall);
        Self { number, lease: LeaseId::random(), put }
    }

    pub(in crate::store) fn id(&self) -> &'a str {
        self.put.id()
    }

    pub(in crate::store) fn registered(&self, now: Moment) -> Registering {
        Registering::Done(Registered {
            server: healthy(&self.put.record, now),
            lease: self.lease,
            created: true,
        })
    }
}

/// Writes servers that are new, numbered in a row.
pub(in crate::store) fn insert(
    script: &mut Script,
    draft: &mut Draft<'_>,
    fresh: &[Fresh<'_>],
    now: Moment,
) -> Result<(), StoreError> {
    let into = "servers (number, id, name, title, version, description, transport, command, url, environment, headers, \
                owner, registered_at, updated_at)";
    script.insert(into, fresh, "", |row, Fresh { number, put, .. }| {
        let record = &put.record;
        let Columns { transport, command, environment, headers } = columns(&record.transport);
        row.push_bind(*number)
            .push_bind(&record.id)
            .push_bind(&record.name)
            .push_bind(&record.title)
            .push_bind(&record.version)
            .push_bind(&record.description)
            .push_bind(transport)
            .push_bind(command)
            .push_bind(record.transport.url())
            .push_bind(environment)
            .push_bind(headers)
            .push_bind(&record.owner)
            .push_bind(record.registered_at.timestamp_millis())
            .push_bind(record.updated_at.timestamp_millis());
    });
    let into = "leases (server, lease, ttl, expires_at, refreshed_at)";
    script.insert(into, fresh, "", |row, Fresh { number, lease, put }| {
        let ttl = put.record.ttl;
        row.push_bind(*number)
            .push_bind(lease.as_bytes().to_vec())
            .push_bind(ttl)
            .push_bind(expiry(ttl, now))
            .push_bind(now.wall);
    });
    let parents: Vec<_> =
        fresh.iter().map(|Fresh { number, put, .. }| Parent { number: *number, put }).collect();
    definitions::insert(script, &parents);
    for Fresh { number, lease, put } in fresh {
        let after = entry(put, *number, now)?.json(now);
        draft.ledger.record(ChangeKind::Registered, put.id(), None, Some(after));
        draft.touch(&put.record);
        draft.put(held(*number, *lease, &put.record, now));
        draft.effects.searched.push(*number);
    }
    Ok(())
}

/// Replaces a server that was there before, or only renews its lease when nothing else is new.
pub(in crate::store) async fn replace(
    connection: &mut SqliteConnection,
    draft: &mut Draft<'_>,
    before: &Lease,
    put: &mut PreparedRegistration,
    now: Moment,
) -> Result<Registering, StoreError> {
    if put.only_new {
        return Ok(Registering::Taken);
    }
    if !put.actor.may_change(before.owner.as_deref()) {
        return Ok(Registering::Forbidden);
    }
    let owner = put.actor.owner(before.owner.as_deref());
    let stored = load(connection, Key::Number(before.number), View::Full).await?;
    let stored = stored.ok_or(sqlx::Error::RowNotFound)?;
    // Nothing, if somebody has edited it into what is no record: then it is replaced by this one.
    let old = stored.rendered.record().ok();
    let record = Arc::make_mut(&mut put.record);
    record.registered_at = stored.rendered.rest.registered_at;
    record.updated_at = stored.rendered.rest.updated_at;
    let other_owner = record.owner != owner;
    record.owner = owner;
    let same = old.as_ref().is_some_and(|old| **old == *record);
    if !same {
        record.updated_at = time(now.wall);
    }
    if other_owner {
        put.summary = summary(record)?;
    }
    let lease = LeaseId::random();
    let after = entry(put, before.number, now)?;
    let record = &put.record;
    if !same {
        // What filters have found it by: where somebody has edited the tables, not what its definitions say.
        if let Some(listed) = load(connection, Key::Number(before.number), View::Summary).await? {
            draft.touch_stored(&listed.rendered);
        }
        update(connection, before.number, record).await?;
        let parent = Parent { number: before.number, put };
        let mut script = Script::new();
        definitions::insert(&mut script, &[parent]);
        script.run(connection).await?;
        draft.effects.searched.push(before.number);
        draft.touch_stored(&stored.rendered);
    }
    if !same || before.times.health(now) == Health::Unhealthy {
        draft.touch(record);
    }
    renew_lease(connection, before.number, lease, record.ttl, now).await?;
    if before.expired {
        draft.ledger.record(ChangeKind::Registered, put.id(), None, Some(after.json(now)));
    } else if !same {
        let summary = |old: &Arc<Record>| Entry::of(before.number, old, &summary(old)?, stored.times);
        let before = old.as_ref().map(summary).transpose()?.map(|entry| entry.json(now));
        draft.ledger.record(ChangeKind::Updated, put.id(), before, Some(after.json(now)));
    }
    draft.put(held(before.number, lease, record, now));
    Ok(Registering::Done(Registered { server: healthy(record, now), lease, created: false }))
}

fn times(ttl: u32, now: Moment) -> Times {
    Times { expires_at: expiry(ttl, now), refreshed_at: now.wall }
}

/// A record whose lease begins now.
fn healthy(record: &Arc<Record>, now: Moment) -> Server {
    let Times { expires_at, refreshed_at } = times(record.ttl, now);
    Server::new(Arc::clone(record), Health::Healthy, time(refreshed_at), now.wall_of(expires_at))
}

/// The lease that a registration has from now on.
fn held(number: i64, lease: LeaseId, record: &Record, now: Moment) -> Lease {
    Lease {
        number,
        id: record.id.as_str().into(),
        name: record.name.as_str().into(),
        owner: record.owner.as_deref().map(Into::into),
        holder: lease,
        ttl: record.ttl,
        times: times(record.ttl, now),
        expired: false,
    }
}

/// The columns of a server that hold JSON.
struct Columns {
    transport: &'static str,
    command: Option<String>,
    environment: String,
    headers: String,
}

fn columns(transport: &Transport) -> Columns {
    // Members in the order of the record's JSON. Text makes JSON without fail.
    let text = |inputs: &[Input]| serde_json::to_string(inputs).unwrap_or_default();
    Columns {
        transport: transport.kind().as_str(),
        command: transport.command().map(|words| json!(words).to_string()),
        environment: text(transport.environment()),
        headers: text(transport.headers()),
    }
}

/// Writes over a server's row, and takes its children away.
async fn update(connection: &mut SqliteConnection, number: i64, server: &Record) -> Result<(), StoreError> {
    let Columns { transport, command, environment, headers } = columns(&server.transport);
    let url = server.transport.url();
    let updated_at = server.updated_at.timestamp_millis();
    sqlx::query!(
        "UPDATE servers SET name = ?, title = ?, version = ?, description = ?, transport = ?, command = ?, url = ?, \
         environment = ?, headers = ?, owner = ?, updated_at = ? WHERE number = ?",
        server.name,
        server.title,
        server.version,
        server.description,
        transport,
        command,
        url,
        environment,
        headers,
        server.owner,
        updated_at,
        number
    )
    .execute(&mut *connection)
    .await?;
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
