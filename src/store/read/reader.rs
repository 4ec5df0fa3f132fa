//! Queries. Each is one statement, and so one snapshot; a few read-only connections run them concurrently. Responses are
//! cached, see [`CommittedState`].
//!
//! The connections are dedicated rather than pooled: a pool pings a connection at every release, which costs as much as a
//! query.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, Row as _};
use tokio::sync::OwnedMutexGuard;

use super::lookup::{self, ServerKey};
use super::page::{self, PageRows};
use super::query;
use crate::model::{
    Filter, FilterField, Health, HealthFilter, PAGE_LIMITS, Position, Revision, Score, SearchText,
    ServerStats, Stats, ToolEntry, ToolPage, ToolServer, TransportKind, View,
};
use crate::search::{PageBounds, Query, Ranked};
use crate::store::cache::responses::{CacheKey, CachedValue, FindResult, ToolsResult};
use crate::store::cache::search_index::{self, Allowed};
use crate::store::cache::state::CommittedState;
use crate::store::database::connect::SharedConnection;
use crate::store::error::StoreError;
use crate::store::moment::Moment;
use crate::store::record::Entry;
use crate::store::write::changelog;
use crate::store::write::changelog::ChangePage;

/// The read-only connections.
pub(crate) struct Readers {
    state: Arc<CommittedState>,
    connections: Vec<SharedConnection>,
    next: AtomicUsize,
}

impl Readers {
    pub(in crate::store) fn new(connections: Vec<SharedConnection>, state: Arc<CommittedState>) -> Self {
        Self { state, connections, next: AtomicUsize::new(0) }
    }

    /// Returns a free connection, or the next one in turn if all are in use.
    async fn acquire(&self) -> Result<OwnedMutexGuard<sqlx::SqliteConnection>, StoreError> {
        for connection in &self.connections {
            if let Ok(free) = Arc::clone(connection).try_lock_owned() {
                return Ok(free);
            }
        }
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        let connection = self.connections.get(index % self.connections.len().max(1));
        let connection = connection.ok_or_else(|| StoreError::Failed(sqlx::Error::PoolClosed))?;
        Ok(Arc::clone(connection).lock_owned().await)
    }

    /// Returns a record with its definitions.
    pub(crate) async fn server(&self, id: &str, now: Moment) -> Result<Option<Entry>, StoreError> {
        let version = self.state.begin_query(now);
        let row = lookup::load(&mut *self.acquire().await?, ServerKey::Id(id), View::Full).await?;
        if let Some(row) = &row {
            let value = CachedValue::Server(Arc::clone(&row.rendered));
            self.state.cache(CacheKey::Server(id.to_owned()), version, value);
        }
        Ok(row)
    }

    /// Returns a page of servers.
    pub(crate) async fn servers(&self, filter: Filter, now: Moment) -> Result<FindResult, StoreError> {
        let version = self.state.begin_query(now);
        let limit = filter.limit as usize;
        let ranked = match &filter.search {
            Some(search) => Some(self.ranked_servers(search, &filter, now).await?),
            None => None,
        };
        let numbers = ranked.as_ref().map(|ranked| ranked.iter().map(|found| found.item).collect::<Vec<_>>());
        let numbers = numbers.map(|numbers| serde_json::json!(numbers).to_string());
        let mut connection = self.acquire().await?;
        let page = match filter.view {
            View::Summary => page::fetch_joined(&mut connection, &filter, numbers.as_deref(), now).await?,
            View::Full => None,
        };
        let page = match page {
            Some(page) => page,
            None => page::fetch_streamed(&mut connection, &filter, numbers.as_deref(), now).await?,
        };
        drop(connection);
        let PageRows { rows, mut next_number, revision } = page;
        self.state.wait_for_revision(&revision).await;
        let ranked = ranked.unwrap_or_default();
        let score_of: HashMap<i64, f64> = ranked.iter().map(|found| (found.item, found.score)).collect();
        // The last server that was found was removed before the page was read, and the next page continues after it.
        if next_number.is_none() {
            next_number = ranked.get(limit).map(|found| found.item);
        }
        let last = rows.last().map(|last| last.rendered.number);
        let last = last.or_else(|| ranked.get(limit.saturating_sub(1)).map(|found| found.item));
        let next_cursor = last.filter(|_| next_number.is_some()).map(|number| {
            let position = match score_of.get(&number) {
                Some(score) => Position::RankedServer(score.to_bits(), number),
                None => Position::Server(number),
            };
            filter.cursor(position)
        });
        let score = |row: &Entry| score_of.get(&row.rendered.number).copied().map(Score::new);
        let scores = rows.iter().filter_map(score).collect();
        let found = FindResult { rows, scores, next_cursor, revision, now, cached: None };
        if self.state.caches_responses() && filter.health != HealthFilter::Unhealthy {
            let value = CachedValue::Servers {
                servers: found.rows.iter().map(|row| Arc::clone(&row.rendered)).collect(),
                scores: found.scores.clone(),
                next_cursor: found.next_cursor.clone(),
                next_number,
                requires_healthy: filter.health == HealthFilter::Healthy,
                rendered: Mutex::default(),
            };
            self.state.cache(CacheKey::Servers(filter), version, value);
        }
        Ok(found)
    }

    /// Ranks the servers that a search finds, one more than fit on the page.
    async fn ranked_servers(
        &self,
        search: &SearchText,
        filter: &Filter,
        now: Moment,
    ) -> Result<Vec<Ranked<i64>>, StoreError> {
        let request = self.search_request(search, filter, query::ToolFilter::SelectsServers, now).await?;
        let after = match &filter.after {
            Some(Position::RankedServer(score, number)) => Some((f64::from_bits(*score), *number)),
            _ => None,
        };
        self.state.search().servers(request, PageBounds { after, limit: filter.limit as usize + 1 }).await
    }

    /// Returns what to search for and among which servers, after bringing the index up to date.
    async fn search_request(
        &self,
        search: &SearchText,
        filter: &Filter,
        tools: query::ToolFilter,
        now: Moment,
    ) -> Result<search_index::SearchRequest, StoreError> {
        let index = self.state.search();
        if !index.is_current() {
            let _guard = index.sync_lock.lock().await;
            if !index.is_current() {
                index.sync(&mut *self.acquire().await?).await?;
            }
        }
        let by_tool = |(field, _): &(FilterField, String)| {
            *field == FilterField::Tool && tools == query::ToolFilter::SelectsTools
        };
        let selects_servers = !filter.metadata.is_empty() || !filter.fields.iter().all(by_tool);
        let allowed = if selects_servers {
            let mut statement = query::matching_numbers(filter, tools, now);
            let numbers: Option<String> =
                statement.build_query_scalar().fetch_one(&mut *self.acquire().await?).await?;
            let numbers = numbers.unwrap_or_default();
            Allowed::Only(numbers.split(' ').filter_map(|number| number.parse().ok()).collect())
        } else {
            let wanted = match filter.health {
                HealthFilter::Any => None,
                HealthFilter::Healthy => Some(Health::Healthy),
                HealthFilter::Unhealthy => Some(Health::Unhealthy),
            };
            let of_health = |wanted| {
                let state = self.state.read();
                let servers = state.leases.iter().filter(|lease| lease.times.health(now) == wanted);
                Allowed::Only(servers.map(|lease| lease.number).collect())
            };
            wanted.map_or(Allowed::All, of_health)
        };
        Ok(search_index::SearchRequest { query: Query::new(search), matching: filter.matching, allowed })
    }

    /// Returns all matching servers whose expiry is not recorded, and the current revision: the beginning of a watch.
    pub(crate) async fn snapshot(
        &self,
        filter: &Filter,
        now: Moment,
    ) -> Result<(Vec<Entry>, Revision), StoreError> {
        let mut filter =
            Filter { expiry_not_recorded: true, limit: *PAGE_LIMITS.end(), after: None, ..filter.clone() };
        let mut connection = self.acquire().await?;
        // Rolled back if the caller has gone away, so that the connection does not keep an old snapshot.
        let mut snapshot = connection.begin().await?;
        let mut all = Vec::new();
        let revision = loop {
            let page = match page::fetch_joined(&mut snapshot, &filter, None, now).await? {
                Some(page) => page,
                None => page::fetch_streamed(&mut snapshot, &filter, None, now).await?,
            };
            all.extend(page.rows);
            match page.next_number.and(all.last()) {
                Some(last) => filter.after = Some(Position::Server(last.rendered.number)),
                None => break page.revision,
            }
        };
        snapshot.commit().await?;
        drop(connection);
        self.state.wait_for_revision(&revision).await;
        Ok((all, revision))
    }

    /// Returns a few changes after a revision.
    pub(crate) async fn changes_after(&self, revision: u64) -> Result<ChangePage, StoreError> {
        changelog::after(&mut *self.acquire().await?, revision).await
    }

    /// Returns a page of tools.
    pub(crate) async fn tools(&self, filter: Filter, now: Moment) -> Result<Arc<ToolsResult>, StoreError> {
        let version = self.state.begin_query(now);
        let limit = filter.limit as usize;
        let ranked = match &filter.search {
            Some(search) => Some(self.ranked_tools(search, &filter, now).await?),
            None => None,
        };
        let names = ranked.as_ref().map(|ranked| ranked.iter().map(|found| &*found.item).collect::<Vec<_>>());
        let names = names.map(|names| serde_json::json!(names).to_string());
        let mut statement = query::tools(&filter, names.as_deref(), now);
        let rows = statement.build().fetch_all(&mut *self.acquire().await?).await?;
        let mut health = HashMap::new();
        let page = rows.iter().map(|row| tool(row, now, &mut health));
        let mut tools: Vec<ToolEntry> = page.collect::<Result<_, sqlx::Error>>()?;
        let is_last = ranked.as_ref().map_or(tools.len(), Vec::len) <= limit;
        // A tool that was found but removed meanwhile has no row.
        let end = ranked.as_ref().and_then(|ranked| ranked.get(limit)).map(|found| Arc::clone(&found.item));
        match end {
            Some(next_name) => tools.retain(|tool| *tool.name != *next_name),
            None => tools.truncate(limit),
        }
        if let Some(ranked) = &ranked {
            let scores: HashMap<&str, f64> = ranked.iter().map(|found| (&*found.item, found.score)).collect();
            for tool in &mut tools {
                tool.score = scores.get(tool.name.as_str()).copied().map(Score::new);
            }
        }
        let last = match &ranked {
            Some(ranked) => ranked
                .get(limit.saturating_sub(1))
                .map(|found| Position::RankedTool(found.score.to_bits(), found.item.to_string())),
            None => tools.last().map(|last| Position::Tool(last.name.clone())),
        };
        let next_cursor = last.filter(|_| !is_last).map(|last| filter.cursor(last));
        let tools = Arc::new(ToolsResult::new(ToolPage { tools, next_cursor }));
        if filter.health != HealthFilter::Unhealthy {
            let value =
                CachedValue::Tools { tools: Arc::clone(&tools), health: health.into_iter().collect() };
            self.state.cache(CacheKey::Tools(filter), version, value);
        }
        Ok(tools)
    }

    /// Ranks the tools that a search finds, one more than fit on the page.
    async fn ranked_tools(
        &self,
        search: &SearchText,
        filter: &Filter,
        now: Moment,
    ) -> Result<Vec<Ranked<Arc<str>>>, StoreError> {
        let request = self.search_request(search, filter, query::ToolFilter::SelectsTools, now).await?;
        let mut wanted = filter
            .fields
            .iter()
            .filter(|(field, _)| *field == FilterField::Tool)
            .map(|(_, name)| name.clone());
        // A tool has one name, so two different names match nothing.
        let name =
            wanted.next().map(|first| if wanted.all(|name| name == first) { first } else { String::new() });
        let after = match &filter.after {
            Some(Position::RankedTool(score, name)) => Some((f64::from_bits(*score), name.as_str().into())),
            _ => None,
        };
        self.state.search().tools(request, name, PageBounds { after, limit: filter.limit as usize + 1 }).await
    }

    /// Returns the statistics.
    pub(crate) async fn stats(&self, now: Moment) -> Result<Stats, StoreError> {
        let version = self.state.begin_query(now);
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
        .fetch_all(&mut *self.acquire().await?)
        .await?;
        let no_servers = ["healthy", "unhealthy"].map(|health| (health.to_owned(), 0));
        let mut servers = ServerStats { by_health: no_servers.into(), ..ServerStats::default() };
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
        self.state.wait_for_revision(&revision).await;
        servers.total = servers.by_health.values().sum();
        let stats = Stats { servers, tools, resources, prompts, revision };
        self.state.cache(CacheKey::Stats, version, CachedValue::Stats(stats.clone()));
        Ok(stats)
    }

    /// Closes the connections as soon as no query uses them.
    pub(crate) async fn close(self) {
        for connection in self.connections {
            if let Ok(connection) = Arc::try_unwrap(connection)
                && let Err(error) = connection.into_inner().close().await
            {
                tracing::warn!(%error, "cannot close a read-only connection cleanly");
            }
        }
    }
}

fn tool(row: &SqliteRow, now: Moment, health: &mut HashMap<i64, Health>) -> Result<ToolEntry, sqlx::Error> {
    let name: String = row.try_get("name")?;
    let text: String = row.try_get("servers")?;
    let servers: Vec<(i64, String, String, TransportKind, i64)> =
        serde_json::from_str(&text).map_err(|error| sqlx::Error::Decode(error.into()))?;
    let server = |(number, id, name, transport, expires_at)| {
        let server_health = if expires_at > now.lease { Health::Healthy } else { Health::Unhealthy };
        health.insert(number, server_health);
        ToolServer { id, name, transport, health: server_health }
    };
    let definitions: i64 = row.try_get("definitions")?;
    Ok(ToolEntry {
        name,
        title: row.try_get("title")?,
        description: row.try_get("description")?,
        definitions: u64::try_from(definitions).unwrap_or_default(),
        score: None,
        servers: servers.into_iter().map(server).collect(),
    })
}
