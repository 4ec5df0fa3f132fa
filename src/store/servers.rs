//! Registrations: written whole, replaced whole, read back whole.
//!
//! What is new in a batch is written together at its end, see [`insert`]; what was there before is compared and replaced
//! by itself.

use std::sync::Arc;

use serde_json::json;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection};

use super::children::{self, Parent};
use super::draft::Draft;
use super::live::expiry;
use super::mirror::Lease;
use super::rows::{self, Entry, Times};
use super::{Moment, StoreError, time};
use crate::model::{
    Capabilities, ChangeKind, Health, LeaseId, Record, Registered, Registration, Server, Transport,
    ValidRegistration, View,
};

/// Which server to load.
pub(super) enum Key<'a> {
    Id(&'a str),
    Number(i64),
}

/// Reads one server.
pub(super) async fn load(
    connection: &mut SqliteConnection,
    key: Key<'_>,
    view: View,
) -> Result<Option<Entry>, StoreError> {
    let mut sql = QueryBuilder::<Sqlite>::new("SELECT ");
    sql.push(rows::columns(view));
    sql.push(
        " FROM servers s JOIN leases l ON l.server = s.number JOIN summaries c ON c.server = s.number WHERE ",
    );
    match key {
        Key::Id(id) => sql.push("s.id = ").push_bind(id),
        Key::Number(number) => sql.push("s.number = ").push_bind(number),
    };
    let Some(row) = sql.build().fetch_optional(connection).await? else { return Ok(None) };
    Entry::parse(row.try_get(0)?, view).map(Some)
}

/// A registration on its way into the tables.
pub(crate) struct Put {
    /// The id that it names, or one made for it.
    pub(crate) id: String,
    /// What the server says of itself.
    pub(crate) registration: Box<ValidRegistration>,
    /// Whether an id that is taken is to be left alone.
    pub(crate) only_new: bool,
}

/// A server that is new in this batch.
pub(super) struct Fresh {
    pub(super) number: i64,
    lease: LeaseId,
    record: Arc<Record>,
    summary: Entry,
}

impl Fresh {
    pub(super) fn new(number: i64, put: &Put, now: Moment) -> Result<Self, StoreError> {
        let record = record(put.registration.get(), put.id.clone(), now);
        let summary = Entry::of(number, &record.summary(), times(record.ttl, now))?;
        Ok(Self { number, lease: LeaseId::random(), record: Arc::new(record), summary })
    }

    pub(super) fn id(&self) -> &str {
        &self.record.id
    }

    pub(super) fn registered(&self, now: Moment) -> Registered {
        Registered { server: healthy(&self.record, now), lease: self.lease, created: true }
    }
}

/// Writes servers that are new, numbered in a row.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    draft: &mut Draft<'_>,
    fresh: &[Fresh],
    now: Moment,
) -> Result<(), StoreError> {
    let into = "servers (number, id, name, title, version, description, transport, command, url, environment, headers, \
                owner, registered_at, updated_at)";
    children::insert_rows(connection, into, fresh, "", |row, Fresh { number, record, .. }| {
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
    })
    .await?;
    let into = "leases (server, lease, ttl, expires_at, refreshed_at)";
    children::insert_rows(connection, into, fresh, "", |row, Fresh { number, lease, record, .. }| {
        row.push_bind(*number)
            .push_bind(lease.as_bytes().to_vec())
            .push_bind(record.ttl)
            .push_bind(expiry(record.ttl, now))
            .push_bind(now.wall);
    })
    .await?;
    let parents: Vec<_> = fresh
        .iter()
        .map(|Fresh { number, record, summary, .. }| Parent {
            number: *number,
            record,
            summary: summary.rendered.head(),
        })
        .collect();
    draft.next_tool = children::insert(connection, &parents, draft.next_tool).await?;
    for Fresh { number, lease, record, summary } in fresh {
        draft.ledger.record(ChangeKind::Registered, &record.id, None, Some(summary.json(now)));
        draft.touch(record);
        draft.put(held(*number, *lease, record, now));
    }
    Ok(())
}

/// Replaces a server that was there before, or only renews its lease when nothing else is new. Nothing if only a new
/// one is wanted.
pub(super) async fn replace(
    connection: &mut SqliteConnection,
    draft: &mut Draft<'_>,
    before: &Lease,
    put: &Put,
    now: Moment,
) -> Result<Option<Registered>, StoreError> {
    if put.only_new {
        return Ok(None);
    }
    let stored = load(connection, Key::Number(before.number), View::Full).await?;
    let stored = stored.ok_or(sqlx::Error::RowNotFound)?;
    let old = stored.rendered.record()?;
    let mut record = record(put.registration.get(), put.id.clone(), now);
    record.registered_at = old.registered_at;
    record.updated_at = old.updated_at;
    record.owner.clone_from(&old.owner);
    let same = record == *old;
    if !same {
        record.updated_at = time(now.wall);
    }
    let lease = LeaseId::random();
    let summary = Entry::of(before.number, &record.summary(), times(record.ttl, now))?;
    if !same {
        update(connection, before.number, &record).await?;
        let parent = Parent { number: before.number, record: &record, summary: summary.rendered.head() };
        draft.next_tool = children::insert(connection, &[parent], draft.next_tool).await?;
        draft.touch(&old);
    }
    if !same || before.times.health(now) == Health::Unhealthy {
        draft.touch(&record);
    }
    renew_lease(connection, before.number, lease, record.ttl, now).await?;
    if before.expired {
        draft.ledger.record(ChangeKind::Registered, &record.id, None, Some(summary.json(now)));
    } else if !same {
        let old = Entry::of(before.number, &old.summary(), stored.times)?;
        let after = Some(summary.json(now));
        draft.ledger.record(ChangeKind::Updated, &record.id, Some(old.json(now)), after);
    }
    draft.put(held(before.number, lease, &record, now));
    Ok(Some(Registered { server: healthy(&Arc::new(record), now), lease, created: false }))
}

/// The record of a registration made now.
fn record(registration: &Registration, id: String, now: Moment) -> Record {
    let capabilities = &registration.capabilities;
    Record {
        id,
        name: registration.name.clone(),
        title: registration.title.clone(),
        version: registration.version.clone(),
        description: registration.description.clone(),
        transport: registration.transport.clone(),
        capabilities: Capabilities {
            tools: capabilities.tools.iter().map(crate::model::Tool::complete).collect(),
            resources: capabilities.resources.iter().map(crate::model::Resource::complete).collect(),
            prompts: capabilities.prompts.iter().map(crate::model::Prompt::complete).collect(),
            flags: capabilities.flags.clone(),
        },
        tags: registration.tags.clone(),
        metadata: registration.metadata.clone(),
        owner: None,
        ttl: registration.ttl,
        registered_at: time(now.wall),
        updated_at: time(now.wall),
    }
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
    Columns {
        transport: transport.kind().as_str(),
        command: transport.command().map(|words| json!(words).to_string()),
        environment: json!(transport.environment()).to_string(),
        headers: json!(transport.headers()).to_string(),
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
    sqlx::query!("DELETE FROM server_text WHERE rowid = ?", number).execute(&mut *connection).await?;
    Ok(())
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
