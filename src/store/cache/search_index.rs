//! The search index, kept up to date with the tables.
//!
//! It is a cache. A commit marks the servers that it has changed as stale, and the next search reads them before it begins,
//! so that a search finds every server whose registration was answered. The first search after a start reads all servers.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use sqlx::SqliteConnection;

use crate::model::Match;
use crate::search::{Digest, Index, PageBounds, Query, Ranked, Ranking};
use crate::store::error::StoreError;
use crate::store::write::search_text;

/// See the [module](self).
#[derive(Default)]
pub(crate) struct Search {
    index: RwLock<Index>,
    stale: Mutex<Stale>,
    /// Held by the task that brings the index up to date.
    pub(in crate::store) sync_lock: tokio::sync::Mutex<()>,
    /// One permit per core: more rankings at once would only delay everything else.
    permits: RankingPermits,
}

/// See [`Search::permits`].
struct RankingPermits(tokio::sync::Semaphore);

impl Default for RankingPermits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self(tokio::sync::Semaphore::new(cores))
    }
}

/// What differs between the index and the tables, with the times at which it was marked.
#[derive(Debug)]
struct Stale {
    generation: u64,
    everything: Option<u64>,
    servers: HashMap<i64, u64>,
}

impl Default for Stale {
    fn default() -> Self {
        Self { generation: 1, everything: Some(1), servers: HashMap::new() }
    }
}

/// The number of servers that are read at once.
const SYNC_BATCH_SIZE: usize = 256;

/// The servers that a result may contain.
#[derive(Debug, Clone)]
pub(in crate::store) enum Allowed {
    All,
    Only(HashSet<i64, foldhash::fast::RandomState>),
}

impl Allowed {
    fn contains(&self, server: i64) -> bool {
        match self {
            Self::All => true,
            Self::Only(servers) => servers.contains(&server),
        }
    }
}

/// A search, and the servers that it is limited to.
pub(in crate::store) struct SearchRequest {
    pub(in crate::store) query: Query,
    pub(in crate::store) matching: Match,
    pub(in crate::store) allowed: Allowed,
}

impl Search {
    /// Marks servers that were added, removed or changed.
    pub(in crate::store) fn mark_stale(&self, servers: &[i64]) {
        if servers.is_empty() {
            return;
        }
        let mut stale = self.stale.lock().unwrap_or_else(PoisonError::into_inner);
        stale.generation += 1;
        let generation = stale.generation;
        stale.servers.extend(servers.iter().map(|server| (*server, generation)));
    }

    /// Marks all servers.
    pub(in crate::store) fn mark_all_stale(&self) {
        let mut stale = self.stale.lock().unwrap_or_else(PoisonError::into_inner);
        stale.generation += 1;
        stale.everything = Some(stale.generation);
        stale.servers.clear();
    }

    fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether a server uses a text, so that it is stored. A stale index does not know.
    pub(in crate::store) fn uses(&self, digest: &Digest) -> bool {
        self.is_current() && self.index().is_in_use(digest)
    }

    /// Returns whether the index matches the tables.
    pub(in crate::store) fn is_current(&self) -> bool {
        let stale = self.stale.lock().unwrap_or_else(PoisonError::into_inner);
        stale.everything.is_none() && stale.servers.is_empty()
    }

    /// Brings the index up to date. Servers that are marked meanwhile stay marked.
    pub(in crate::store) async fn sync(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        let (generation, everything, servers) = {
            let stale = self.stale.lock().unwrap_or_else(PoisonError::into_inner);
            (stale.generation, stale.everything.is_some(), stale.servers.keys().copied().collect::<Vec<_>>())
        };
        let listed = (!everything).then_some(&servers[..]);
        let entries = search_text::entries(connection, listed).await?;
        let candidates: Vec<i64> = if everything { self.index().servers().collect() } else { servers };
        let existing: HashSet<i64> = entries.iter().map(|(server, _)| *server).collect();
        for batch in entries.chunks(SYNC_BATCH_SIZE) {
            self.index_servers(connection, batch).await?;
        }
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        candidates
            .into_iter()
            .filter(|server| !existing.contains(server))
            .for_each(|server| index.remove(server));
        index.compact();
        if everything {
            index.shrink();
        }
        drop(index);
        let mut stale = self.stale.lock().unwrap_or_else(PoisonError::into_inner);
        stale.everything = stale.everything.filter(|marked_at| *marked_at > generation);
        stale.servers.retain(|_, marked_at| *marked_at > generation);
        Ok(())
    }

    /// Adds servers to the index.
    async fn index_servers(
        &self,
        connection: &mut SqliteConnection,
        servers: &[(i64, Option<Digest>)],
    ) -> Result<(), StoreError> {
        let digests = servers.iter().filter_map(|(_, digest)| *digest);
        let mut new: Vec<Digest> = digests.filter(|digest| !self.index().contains(digest)).collect();
        new.sort_unstable();
        new.dedup();
        let stored = search_text::stored(connection, &new).await?;
        let missing: Vec<i64> = {
            let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
            let mut insert = |server: i64, digest: Option<Digest>| {
                digest.is_some_and(|digest| index.put(server, digest, stored.get(&digest).map(Vec::as_slice)))
            };
            let servers = servers.iter().filter(|(server, digest)| !insert(*server, *digest));
            servers.map(|(server, _)| *server).collect()
        };
        // The text comes from an older version, or the server was edited. The writer will store it; this creates it for the
        // index.
        for server in missing {
            let text =
                search_text::Text::of_stored(connection, server, |digest| self.index().contains(digest))
                    .await?;
            let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
            let is_in = text.is_some_and(|text| index.put(server, text.digest, text.documents.as_deref()));
            if !is_in {
                tracing::warn!(server, "cannot index this server for searches; register it again");
                index.remove(server);
            }
        }
        Ok(())
    }

    /// Returns the matching tools, each name once, best first; only those of one name, if it is given.
    pub(in crate::store) async fn tools(
        self: &Arc<Self>,
        request: SearchRequest,
        name: Option<String>,
        part: PageBounds<Arc<str>>,
    ) -> Result<Vec<Ranked<Arc<str>>>, StoreError> {
        self.run_ranking(move |index| {
            let SearchRequest { query, matching, allowed } = &request;
            Ranking::new(index, query, *matching).tools(
                |server| allowed.contains(server),
                name.as_deref(),
                &part,
            )
        })
        .await
    }

    /// Returns the matching servers, best first.
    pub(in crate::store) async fn servers(
        self: &Arc<Self>,
        request: SearchRequest,
        part: PageBounds<i64>,
    ) -> Result<Vec<Ranked<i64>>, StoreError> {
        self.run_ranking(move |index| {
            let SearchRequest { query, matching, allowed } = &request;
            Ranking::new(index, query, *matching).servers(|server| allowed.contains(server), &part)
        })
        .await
    }

    /// Ranks on a blocking thread: this takes milliseconds in a large registry, and must not delay heartbeats.
    async fn run_ranking<T: Send + 'static>(
        self: &Arc<Self>,
        rank: impl FnOnce(&Index) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        // An error would mean that the semaphore is closed, and nothing closes it.
        let _permit = self.permits.0.acquire().await;
        let search = Arc::clone(self);
        let ranked = tokio::task::spawn_blocking(move || rank(&search.index())).await;
        ranked.map_err(|error| StoreError::Failed(sqlx::Error::Io(std::io::Error::other(error))))
    }
}
