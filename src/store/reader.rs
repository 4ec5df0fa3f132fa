//! Questions. Each is one statement, and so one snapshot; a few read-only connections answer them side by side.
//!
//! The connections are dedicated rather than pooled: a pool pings at every release, which is as dear as the question.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, Row};
use tokio::sync::OwnedMutexGuard;

use super::open::Shared;
use super::servers::{self, Key};
use super::{Moment, StoreError, filter, rows};
use crate::model::{
    Cursor, Filter, Health, LeaseState, Page, Position, Revision, Server, ServerStats, Stats, ToolEntry,
    ToolPage, ToolServer, View,
};

/// The reading connections.
pub(crate) struct Readers {
    connections: Vec<Shared>,
    next: AtomicUsize,
}

impl Readers {
    pub(super) fn new(connections: Vec<Shared>) -> Self {
        Self { connections, next: AtomicUsize::new(0) }
    }

    /// A free connection, or the next one in turn when all are taken.
    async fn take(&self) -> Result<OwnedMutexGuard<sqlx::SqliteConnection>, StoreError> {
        for connection in &self.connections {
            if let Ok(free) = Arc::clone(connection).try_lock_owned() {
                return Ok(free);
            }
        }
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let connection = self.connections.get(turn % self.connections.len().max(1));
        let connection = connection.ok_or_else(|| StoreError::Failed(sqlx::Error::PoolClosed))?;
        Ok(Arc::clone(connection).lock_owned().await)
    }

    /// One record, definitions included.
    pub(crate) async fn get(&self, id: &str, now: Moment) -> Result<Option<Server>, StoreError> {
        let stored = servers::load(&mut *self.take().await?, Key::Id(id), View::Full, now).await?;
        Ok(stored.map(|stored| stored.server))
    }

    /// A page of servers.
    pub(crate) async fn find(
        &self,
        filter: &Filter,
        expression: Option<&str>,
        now: Moment,
    ) -> Result<Page, StoreError> {
        let mut statement = filter::servers(filter, expression, now);
        let rows = statement.build().fetch_all(&mut *self.take().await?).await?;
        let revision = match rows.first() {
            Some(row) => revision(row)?,
            None => return Err(StoreError::Failed(sqlx::Error::RowNotFound)),
        };
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            let Some(number) = row.try_get::<Option<i64>, _>("number")? else { continue };
            found.push((row.try_get::<f64, _>("score")?, number, rows::server(row, filter.view, now)?));
        }
        found.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let limit = filter.limit as usize;
        let more = found.len() > limit;
        found.truncate(limit);
        let last = found.last().filter(|_| more).map(|(score, number, _)| match expression {
            Some(_) => Position::RankedServer(score.to_bits(), *number),
            None => Position::Server(*number),
        });
        Ok(Page {
            servers: found.into_iter().map(|(_, _, server)| server).collect(),
            next_cursor: last.map(|position| Cursor::new(filter, position)),
            revision,
        })
    }

    /// A page of tools.
    pub(crate) async fn tools(
        &self,
        filter: &Filter,
        expression: Option<&str>,
        now: Moment,
    ) -> Result<ToolPage, StoreError> {
        let mut statement = filter::tools(filter, expression, now);
        let rows = statement.build().fetch_all(&mut *self.take().await?).await?;
        let limit = filter.limit as usize;
        let tools: Vec<ToolEntry> =
            rows.iter().take(limit).map(|row| tool(row, now)).collect::<Result<_, sqlx::Error>>()?;
        let next_cursor = match (rows.len() > limit, rows.get(limit.saturating_sub(1)), tools.last()) {
            (true, Some(row), Some(last)) => {
                let score: f64 = row.try_get("score")?;
                let position = match expression {
                    Some(_) => Position::RankedTool(score.to_bits(), last.name.clone()),
                    None => Position::Tool(last.name.clone()),
                };
                Some(Cursor::new(filter, position))
            }
            _ => None,
        };
        Ok(ToolPage { tools, next_cursor })
    }

    /// The state of one lease.
    pub(crate) async fn health(&self, id: &str, now: Moment) -> Result<Option<LeaseState>, StoreError> {
        let row = sqlx::query!(
            r#"SELECT s.name, l.ttl AS "ttl: u32", l.expires_at
               FROM servers s JOIN leases l ON l.server = s.number WHERE s.id = ?"#,
            id
        )
        .fetch_optional(&mut *self.take().await?)
        .await?;
        Ok(row.map(|row| LeaseState {
            id: id.to_owned(),
            name: row.name,
            health: rows::health(row.expires_at, now),
            ttl: row.ttl,
            expires_at: now.wall_of(row.expires_at),
            expires_in_ms: u64::try_from(row.expires_at - now.lease).unwrap_or_default(),
        }))
    }

    /// Totals.
    pub(crate) async fn stats(&self, now: Moment) -> Result<Stats, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT 'revision' AS "kind!: String", epoch AS "key!: String", revision AS "count!: i64" FROM settings
               UNION ALL SELECT 'health', CASE WHEN expires_at > ?1 THEN 'healthy' ELSE 'unhealthy' END, count(*)
                 FROM leases GROUP BY 2
               UNION ALL SELECT 'transport', transport, count(*) FROM servers GROUP BY transport
               UNION ALL SELECT 'name', name, count(*) FROM servers GROUP BY name
               UNION ALL SELECT 'tag', tag, count(*) FROM tags GROUP BY tag
               UNION ALL SELECT 'capability', name, count(*) FROM capabilities WHERE options <> 'false' GROUP BY name
               UNION ALL SELECT 'tools', '', count(*) FROM tools
               UNION ALL SELECT 'resources', '', count(*) FROM resources
               UNION ALL SELECT 'prompts', '', count(*) FROM prompts"#,
            now.lease
        )
        .fetch_all(&mut *self.take().await?)
        .await?;
        let both = ["healthy", "unhealthy"].map(|health| (health.to_owned(), 0));
        let mut servers = ServerStats { by_health: both.into(), ..ServerStats::default() };
        let (mut tools, mut resources, mut prompts) = (0, 0, 0);
        let mut revision = Revision { epoch: String::new(), number: 0 };
        for row in rows {
            let count = u64::try_from(row.count).unwrap_or_default();
            let group = match row.kind.as_str() {
                "health" => &mut servers.by_health,
                "transport" => &mut servers.by_transport,
                "name" => &mut servers.by_name,
                "tag" => &mut servers.by_tag,
                "capability" => &mut servers.by_capability,
                "tools" => {
                    tools = count;
                    continue;
                }
                "resources" => {
                    resources = count;
                    continue;
                }
                "prompts" => {
                    prompts = count;
                    continue;
                }
                _ => {
                    revision = Revision { epoch: row.key, number: count };
                    continue;
                }
            };
            group.insert(row.key, count);
        }
        servers.total = servers.by_health.values().sum();
        Ok(Stats { servers, tools, resources, prompts, revision })
    }

    /// Closes the connections as soon as nobody reads.
    pub(crate) async fn close(self) {
        for connection in self.connections {
            if let Ok(connection) = Arc::try_unwrap(connection)
                && let Err(error) = connection.into_inner().close().await
            {
                tracing::warn!(%error, "a reading connection was not closed in order");
            }
        }
    }
}

fn revision(row: &SqliteRow) -> Result<Revision, sqlx::Error> {
    let number: i64 = row.try_get("revision")?;
    Ok(Revision { epoch: row.try_get("epoch")?, number: u64::try_from(number).unwrap_or_default() })
}

fn tool(row: &SqliteRow, now: Moment) -> Result<ToolEntry, sqlx::Error> {
    let name: String = row.try_get("name")?;
    let text: String = row.try_get("servers")?;
    let servers: Vec<(String, String, String, i64)> =
        serde_json::from_str(&text).map_err(|error| sqlx::Error::Decode(error.into()))?;
    let server = |(id, name, transport, expires_at): (String, String, String, i64)| {
        let transport = transport.parse().map_err(|_| super::error::odd_row(&id, "transport"))?;
        let health: Health = rows::health(expires_at, now);
        Ok(ToolServer { id, name, transport, health })
    };
    let definitions: i64 = row.try_get("definitions")?;
    Ok(ToolEntry {
        name,
        title: row.try_get("title")?,
        description: row.try_get("description")?,
        definitions: u64::try_from(definitions).unwrap_or_default(),
        servers: servers.into_iter().map(server).collect::<Result<_, sqlx::Error>>()?,
    })
}
