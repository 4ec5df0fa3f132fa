//! Questions to SQLite. Each is one statement, and so one snapshot; a few read-only connections answer them side by side.
//! What they answer is kept, see [`Live`].
//!
//! The connections are dedicated rather than pooled: a pool pings at every release, which is as dear as the question.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, Row as _};
use tokio::sync::OwnedMutexGuard;

use super::lookup::{self, Key};
use super::page::{self, Page};
use super::query;
use crate::model::{
    Cursor, Filter, Health, HealthFilter, PAGE_LIMITS, Position, Revision, Score, ServerStats, Stats, Term,
    ToolEntry, ToolPage, ToolServer, TransportKind, View,
};
use crate::search::{Part, Query, Ranked};
use crate::store::cache::responses::{Content, Found, Question, Tools};
use crate::store::cache::search_index::{self, Allowed};
use crate::store::cache::state::Live;
use crate::store::database::connect::Shared;
use crate::store::error::StoreError;
use crate::store::moment::Moment;
use crate::store::record::Entry;
use crate::store::write::changelog;
use crate::store::write::changelog::Passage;

/// The reading connections.
pub(crate) struct Readers {
    live: Arc<Live>,
    connections: Vec<Shared>,
    next: AtomicUsize,
}

impl Readers {
    pub(in crate::store) fn new(connections: Vec<Shared>, live: Arc<Live>) -> Self {
        Self { live, connections, next: AtomicUsize::new(0) }
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
    pub(crate) async fn server(&self, id: &str, now: Moment) -> Result<Option<Entry>, StoreError> {
        let version = self.live.asking(now);
        let row = lookup::load(&mut *self.take().await?, Key::Id(id), View::Full).await?;
        if let Some(row) = &row {
            let content = Content::Server(Arc::clone(&row.rendered));
            self.live.keep(Question::Server(id.to_owned()), version, content);
        }
        Ok(row)
    }

    /// A page of servers.
    pub(crate) async fn servers(&self, filter: Filter, now: Moment) -> Result<Found, StoreError> {
        let version = self.live.asking(now);
        let limit = filter.limit as usize;
        let ranked = match &filter.words {
            Some(words) => Some(self.ranked_servers(words, &filter, now).await?),
            None => None,
        };
        let numbers = ranked.as_ref().map(|ranked| ranked.iter().map(|found| found.item).collect::<Vec<_>>());
        let numbers = numbers.map(|numbers| serde_json::json!(numbers).to_string());
        let mut connection = self.take().await?;
        let page = match filter.view {
            View::Summary => page::in_one(&mut connection, &filter, numbers.as_deref(), now).await?,
            View::Full => None,
        };
        let page = match page {
            Some(page) => page,
            None => page::in_rows(&mut connection, &filter, numbers.as_deref(), now).await?,
        };
        drop(connection);
        let Page { rows, mut beyond, revision } = page;
        self.live.catch_up(&revision).await;
        let ranked = ranked.unwrap_or_default();
        let score_of: HashMap<i64, f64> = ranked.iter().map(|found| (found.item, found.score)).collect();
        // Found, and gone before the page was read: what comes behind it is still to be asked for.
        if beyond.is_none() {
            beyond = ranked.get(limit).map(|found| found.item);
        }
        let last = rows.last().map(|last| last.rendered.number);
        let last = last.or_else(|| ranked.get(limit.saturating_sub(1)).map(|found| found.item));
        let next_cursor = last.filter(|_| beyond.is_some()).map(|number| {
            let position = match score_of.get(&number) {
                Some(score) => Position::RankedServer(score.to_bits(), number),
                None => Position::Server(number),
            };
            Cursor::new(&filter, position)
        });
        let score = |row: &Entry| score_of.get(&row.rendered.number).copied().map(Score::new);
        let scores = rows.iter().filter_map(score).collect();
        let found = Found { rows, scores, next_cursor, revision, now, answer: None };
        if self.live.keeps() && filter.health != HealthFilter::Unhealthy {
            let content = Content::Servers {
                servers: found.rows.iter().map(|row| Arc::clone(&row.rendered)).collect(),
                scores: found.scores.clone(),
                next_cursor: found.next_cursor.clone(),
                beyond,
                healthy: filter.health == HealthFilter::Healthy,
                kept: Mutex::default(),
            };
            self.live.keep(Question::Servers(filter), version, content);
        }
        Ok(found)
    }

    /// The servers that are found by a text, one more than fit on the page.
    async fn ranked_servers(
        &self,
        words: &str,
        filter: &Filter,
        now: Moment,
    ) -> Result<Vec<Ranked<i64>>, StoreError> {
        let question = self.question(words, filter, query::Tools::ChooseServers, now).await?;
        let after = match &filter.after {
            Some(Position::RankedServer(score, number)) => Some((f64::from_bits(*score), *number)),
            _ => None,
        };
        self.live.search().servers(question, Part { after, limit: filter.limit as usize + 1 }).await
    }

    /// What to search for, and among which servers, in an index that is up to date.
    async fn question(
        &self,
        words: &str,
        filter: &Filter,
        tools: query::Tools,
        now: Moment,
    ) -> Result<search_index::Question, StoreError> {
        let search = self.live.search();
        if !search.is_current() {
            let _syncing = search.syncing.lock().await;
            if !search.is_current() {
                search.sync(&mut *self.take().await?).await?;
            }
        }
        let by_tool = |(term, _): &(Term, String)| *term == Term::Tool && tools == query::Tools::AreChosen;
        let chooses = !filter.metadata.is_empty() || !filter.terms.iter().all(by_tool);
        let allowed = if chooses {
            let mut statement = query::chosen(filter, tools, now);
            let numbers: Option<String> =
                statement.build_query_scalar().fetch_one(&mut *self.take().await?).await?;
            let numbers = numbers.unwrap_or_default();
            Allowed::These(numbers.split(' ').filter_map(|number| number.parse().ok()).collect())
        } else {
            let wanted = match filter.health {
                HealthFilter::Any => None,
                HealthFilter::Healthy => Some(Health::Healthy),
                HealthFilter::Unhealthy => Some(Health::Unhealthy),
            };
            let of_health = |wanted| {
                let state = self.live.read();
                let servers = state.mirror.iter().filter(|lease| lease.times.health(now) == wanted);
                Allowed::These(servers.map(|lease| lease.number).collect())
            };
            wanted.map_or(Allowed::All, of_health)
        };
        Ok(search_index::Question { query: Query::new(words), matching: filter.matching, allowed })
    }

    /// All servers that match and that watchers were not told the end of, and how far the catalogue had come: what a watcher
    /// begins with.
    pub(crate) async fn snapshot(
        &self,
        filter: &Filter,
        now: Moment,
    ) -> Result<(Vec<Entry>, Revision), StoreError> {
        let mut filter = Filter { told: true, limit: *PAGE_LIMITS.end(), after: None, ..filter.clone() };
        let mut connection = self.take().await?;
        // Rolled back if nobody waits for it any more: the connection must not be left in the past.
        let mut moment = connection.begin().await?;
        let mut all = Vec::new();
        let revision = loop {
            let page = match page::in_one(&mut moment, &filter, None, now).await? {
                Some(page) => page,
                None => page::in_rows(&mut moment, &filter, None, now).await?,
            };
            all.extend(page.rows);
            match page.beyond.and(all.last()) {
                Some(last) => filter.after = Some(Position::Server(last.rendered.number)),
                None => break page.revision,
            }
        };
        moment.commit().await?;
        drop(connection);
        self.live.catch_up(&revision).await;
        Ok((all, revision))
    }

    /// Changes after a revision, a handful of them.
    pub(crate) async fn changes_after(&self, revision: u64) -> Result<Passage, StoreError> {
        changelog::after(&mut *self.take().await?, revision).await
    }

    /// A page of tools.
    pub(crate) async fn tools(&self, filter: Filter, now: Moment) -> Result<Arc<Tools>, StoreError> {
        let version = self.live.asking(now);
        let limit = filter.limit as usize;
        let ranked = match &filter.words {
            Some(words) => Some(self.ranked_tools(words, &filter, now).await?),
            None => None,
        };
        let names = ranked.as_ref().map(|ranked| ranked.iter().map(|found| &*found.item).collect::<Vec<_>>());
        let names = names.map(|names| serde_json::json!(names).to_string());
        let mut statement = query::tools(&filter, names.as_deref(), now);
        let rows = statement.build().fetch_all(&mut *self.take().await?).await?;
        let mut health = HashMap::new();
        let page = rows.iter().map(|row| tool(row, now, &mut health));
        let mut tools: Vec<ToolEntry> = page.collect::<Result<_, sqlx::Error>>()?;
        let is_last = ranked.as_ref().map_or(tools.len(), Vec::len) <= limit;
        // Of those that were found and are there no more, none is in the rows.
        let end = ranked.as_ref().and_then(|ranked| ranked.get(limit)).map(|found| Arc::clone(&found.item));
        match end {
            Some(beyond) => tools.retain(|tool| *tool.name != *beyond),
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
        let next_cursor = last.filter(|_| !is_last).map(|last| Cursor::new(&filter, last));
        let tools = Arc::new(Tools::new(ToolPage { tools, next_cursor }));
        if filter.health != HealthFilter::Unhealthy {
            let content = Content::Tools { tools: Arc::clone(&tools), health: health.into_iter().collect() };
            self.live.keep(Question::Tools(filter), version, content);
        }
        Ok(tools)
    }

    /// The tools that are found by a text, one more than fit on the page.
    async fn ranked_tools(
        &self,
        words: &str,
        filter: &Filter,
        now: Moment,
    ) -> Result<Vec<Ranked<Arc<str>>>, StoreError> {
        let question = self.question(words, filter, query::Tools::AreChosen, now).await?;
        let mut wanted =
            filter.terms.iter().filter(|(term, _)| *term == Term::Tool).map(|(_, name)| name.clone());
        // A tool has one name: of two different ones it has none.
        let only =
            wanted.next().map(|first| if wanted.all(|name| name == first) { first } else { String::new() });
        let after = match &filter.after {
            Some(Position::RankedTool(score, name)) => Some((f64::from_bits(*score), name.as_str().into())),
            _ => None,
        };
        self.live.search().tools(question, only, Part { after, limit: filter.limit as usize + 1 }).await
    }

    /// Totals.
    pub(crate) async fn stats(&self, now: Moment) -> Result<Stats, StoreError> {
        let version = self.live.asking(now);
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
        self.live.catch_up(&revision).await;
        servers.total = servers.by_health.values().sum();
        let stats = Stats { servers, tools, resources, prompts, revision };
        self.live.keep(Question::Stats, version, Content::Stats(stats.clone()));
        Ok(stats)
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

fn tool(row: &SqliteRow, now: Moment, health: &mut HashMap<i64, Health>) -> Result<ToolEntry, sqlx::Error> {
    let name: String = row.try_get("name")?;
    let text: String = row.try_get("servers")?;
    let servers: Vec<(i64, String, String, TransportKind, i64)> =
        serde_json::from_str(&text).map_err(|error| sqlx::Error::Decode(error.into()))?;
    let server = |(number, id, name, transport, expires_at)| {
        let own = if expires_at > now.lease { Health::Healthy } else { Health::Unhealthy };
        health.insert(number, own);
        ToolServer { id, name, transport, health: own }
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
