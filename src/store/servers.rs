//! Registrations: written whole, replaced whole, read back whole.

use serde_json::json;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::changes::Ledger;
use super::{Moment, StoreError, children, rows, time};
use crate::model::{
    Capabilities, ChangeKind, Health, LeaseId, Registered, Registration, Server, Transport,
    ValidRegistration, View,
};

/// A stored server, with what the record does not show.
pub(super) struct Stored {
    pub(super) number: i64,
    pub(super) server: Server,
    /// Whether the change `expired` is recorded for it.
    pub(super) expired: bool,
}

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
    now: Moment,
) -> Result<Option<Stored>, StoreError> {
    use sqlx::Row;
    let mut sql = QueryBuilder::<Sqlite>::new("SELECT l.expired, ");
    for columns in rows::columns(view) {
        sql.push(columns);
    }
    sql.push(" FROM servers s JOIN leases l ON l.server = s.number WHERE ");
    match key {
        Key::Id(id) => sql.push("s.id = ").push_bind(id.to_owned()),
        Key::Number(number) => sql.push("s.number = ").push_bind(number),
    };
    let Some(row) = sql.build().fetch_optional(connection).await? else { return Ok(None) };
    Ok(Some(Stored {
        number: row.try_get("number")?,
        server: rows::server(&row, view, now)?,
        expired: row.try_get("expired")?,
    }))
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

/// Registers: inserts, replaces, or only renews the lease when nothing else is new. Nothing if the id is taken and only
/// a new one is wanted.
pub(super) async fn register(
    connection: &mut SqliteConnection,
    ledger: &mut Ledger,
    put: &Put,
    now: Moment,
) -> Result<Option<Registered>, StoreError> {
    let lease = LeaseId::random();
    let stored = load(connection, Key::Id(&put.id), View::Full, now).await?;
    if stored.is_some() && put.only_new {
        return Ok(None);
    }
    let mut server = record(put.registration.get(), put.id.clone(), now);
    let Some(stored) = stored else {
        let number = insert(connection, &server).await?;
        children::insert(connection, number, &server).await?;
        insert_lease(connection, number, lease, &server, now).await?;
        ledger.record(connection, ChangeKind::Registered, None, Some(&server), now).await?;
        return Ok(Some(Registered { server, lease, created: true }));
    };

    server.registered_at = stored.server.registered_at;
    server.updated_at = stored.server.updated_at;
    server.owner.clone_from(&stored.server.owner);
    let same = same_registration(&server, &stored.server);
    if !same {
        server.updated_at = time(now.wall);
        update(connection, stored.number, &server).await?;
        children::insert(connection, stored.number, &server).await?;
    }
    renew_lease(connection, stored.number, lease, &server, now).await?;
    if stored.expired {
        ledger.record(connection, ChangeKind::Registered, None, Some(&server), now).await?;
    } else if !same {
        ledger.record(connection, ChangeKind::Updated, Some(&stored.server), Some(&server), now).await?;
    }
    Ok(Some(Registered { server, lease, created: false }))
}

/// The record of a registration made now.
fn record(registration: &Registration, id: String, now: Moment) -> Server {
    let capabilities = &registration.capabilities;
    Server {
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
        health: Health::Healthy,
        registered_at: time(now.wall),
        updated_at: time(now.wall),
        refreshed_at: time(now.wall),
        expires_at: now.wall_of(expiry(registration.ttl, now)),
    }
}

pub(super) fn expiry(ttl: u32, now: Moment) -> i64 {
    now.lease + i64::from(ttl) * 1000
}

/// Whether two records say the same but for their leases.
fn same_registration(new: &Server, stored: &Server) -> bool {
    let leaseless = Server {
        health: new.health,
        refreshed_at: new.refreshed_at,
        expires_at: new.expires_at,
        ..stored.clone()
    };
    *new == leaseless
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

async fn insert(connection: &mut SqliteConnection, server: &Server) -> Result<i64, StoreError> {
    let Columns { transport, command, environment, headers } = columns(&server.transport);
    let url = server.transport.url();
    let (registered_at, updated_at) =
        (server.registered_at.timestamp_millis(), server.updated_at.timestamp_millis());
    let done = sqlx::query!(
        "INSERT INTO servers (id, name, title, version, description, transport, command, url, environment, headers, \
         owner, registered_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        server.id,
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
        registered_at,
        updated_at
    )
    .execute(connection)
    .await?;
    Ok(done.last_insert_rowid())
}

/// Writes over a server's row, and takes its children away.
async fn update(connection: &mut SqliteConnection, number: i64, server: &Server) -> Result<(), StoreError> {
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

async fn insert_lease(
    connection: &mut SqliteConnection,
    number: i64,
    lease: LeaseId,
    server: &Server,
    now: Moment,
) -> Result<(), StoreError> {
    let expires_at = expiry(server.ttl, now);
    let lease = &lease.as_bytes()[..];
    sqlx::query!(
        "INSERT INTO leases (server, lease, ttl, expires_at, refreshed_at) VALUES (?, ?, ?, ?, ?)",
        number,
        lease,
        server.ttl,
        expires_at,
        now.wall
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn renew_lease(
    connection: &mut SqliteConnection,
    number: i64,
    lease: LeaseId,
    server: &Server,
    now: Moment,
) -> Result<(), StoreError> {
    let expires_at = expiry(server.ttl, now);
    let lease = &lease.as_bytes()[..];
    sqlx::query!(
        "UPDATE leases SET lease = ?, ttl = ?, expires_at = ?, refreshed_at = ?, expired = 0 WHERE server = ?",
        lease,
        server.ttl,
        expires_at,
        now.wall,
        number
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Deletes a server; what belongs to it goes with it.
pub(super) async fn delete(connection: &mut SqliteConnection, number: i64) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM servers WHERE number = ?", number).execute(connection).await?;
    Ok(())
}
