//! The index of all that is registered, kept up to date.
//!
//! It is a cache of what the tables hold. A commit notes which servers it has changed, and the next search reads those
//! before it begins: whoever has been answered is found. The first search after a start reads everything.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use sqlx::SqliteConnection;

use crate::model::Match;
use crate::search::{Digest, Index, Part, Query, Ranked, Ranking};
use crate::store::error::StoreError;
use crate::store::write::search_text;

/// See the [module](self).
#[derive(Default)]
pub(crate) struct Search {
    index: RwLock<Index>,
    stale: Mutex<Stale>,
    /// Held by who brings the index up to date.
    pub(in crate::store) syncing: tokio::sync::Mutex<()>,
    /// One for each core: more rankings at once would only hold up everything else.
    ranking: Places,
}

/// See [`Search::ranking`].
struct Places(tokio::sync::Semaphore);

impl Default for Places {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self(tokio::sync::Semaphore::new(cores))
    }
}

/// What is not in the index as it is in the tables, each with when it was last noted.
#[derive(Debug)]
struct Stale {
    now: u64,
    everything: Option<u64>,
    servers: HashMap<i64, u64>,
}

impl Default for Stale {
    fn default() -> Self {
        Self { now: 1, everything: Some(1), servers: HashMap::new() }
    }
}

/// How many servers are read at once.
const AT_ONCE: usize = 256;

/// Which servers may be in a result.
#[derive(Debug, Clone)]
pub(in crate::store) enum Allowed {
    All,
    These(HashSet<i64, foldhash::fast::RandomState>),
}

impl Allowed {
    fn has(&self, server: i64) -> bool {
        match self {
            Self::All => true,
            Self::These(servers) => servers.contains(&server),
        }
    }
}

/// What is searched for, and among what.
pub(in crate::store) struct Question {
    pub(in crate::store) query: Query,
    pub(in crate::store) matching: Match,
    pub(in crate::store) allowed: Allowed,
}

impl Search {
    /// Notes that these servers have come, gone or changed.
    pub(in crate::store) fn note(&self, servers: &[i64]) {
        if servers.is_empty() {
            return;
        }
        let mut stale = self.stale.lock().unwrap_or_else(PoisonError::into_inner);
        stale.now += 1;
        let now = stale.now;
        stale.servers.extend(servers.iter().map(|server| (*server, now)));
    }

    /// Notes that anything may have changed.
    pub(in crate::store) fn note_all(&self) {
        let mut stale = self.stale.lock().unwrap_or_else(PoisonError::into_inner);
        stale.now += 1;
        stale.everything = Some(stale.now);
        stale.servers.clear();
    }

    fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether some server has a text, so that it is stored. An index that is behind the tables does not know.
    pub(in crate::store) fn uses(&self, digest: &Digest) -> bool {
        self.is_current() && self.index().uses(digest)
    }

    /// Whether the index is as the tables are.
    pub(in crate::store) fn is_current(&self) -> bool {
        let stale = self.stale.lock().unwrap_or_else(PoisonError::into_inner);
        stale.everything.is_none() && stale.servers.is_empty()
    }

    /// Brings the index up to date. What is noted meanwhile stays noted.
    pub(in crate::store) async fn sync(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        let (now, everything, servers) = {
            let stale = self.stale.lock().unwrap_or_else(PoisonError::into_inner);
            (stale.now, stale.everything.is_some(), stale.servers.keys().copied().collect::<Vec<_>>())
        };
        let wanted = (!everything).then_some(&servers[..]);
        let entries = search_text::entries(connection, wanted).await?;
        let known: Vec<i64> = if everything { self.index().servers().collect() } else { servers };
        let there: HashSet<i64> = entries.iter().map(|(server, _)| *server).collect();
        for some in entries.chunks(AT_ONCE) {
            self.take_in(connection, some).await?;
        }
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        known.into_iter().filter(|server| !there.contains(server)).for_each(|server| index.remove(server));
        index.compact();
        if everything {
            index.shrink();
        }
        drop(index);
        let mut stale = self.stale.lock().unwrap_or_else(PoisonError::into_inner);
        stale.everything = stale.everything.filter(|noted| *noted > now);
        stale.servers.retain(|_, noted| *noted > now);
        Ok(())
    }

    /// Takes some servers into the index.
    async fn take_in(
        &self,
        connection: &mut SqliteConnection,
        servers: &[(i64, Option<Digest>)],
    ) -> Result<(), StoreError> {
        let digests = servers.iter().filter_map(|(_, digest)| *digest);
        let mut new: Vec<Digest> = digests.filter(|digest| !self.index().holds(digest)).collect();
        new.sort_unstable();
        new.dedup();
        let stored = search_text::stored(connection, &new).await?;
        let missing: Vec<i64> = {
            let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
            let mut put = |server: i64, digest: Option<Digest>| {
                digest.is_some_and(|digest| index.put(server, digest, stored.get(&digest).map(Vec::as_slice)))
            };
            let servers = servers.iter().filter(|(server, digest)| !put(*server, *digest));
            servers.map(|(server, _)| *server).collect()
        };
        // From an older version, or edited by somebody: the writer makes it anew, and it is made here meanwhile.
        for server in missing {
            let text =
                search_text::Text::of_stored(connection, server, |digest| self.index().holds(digest)).await?;
            let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
            let is_in = text.is_some_and(|text| index.put(server, text.digest, text.documents.as_deref()));
            if !is_in {
                tracing::warn!(server, "what search finds this server by cannot be made: register it again");
                index.remove(server);
            }
        }
        Ok(())
    }

    /// The tools that are found, each name once, best first; of one name alone, if it is given.
    pub(in crate::store) async fn tools(
        self: &Arc<Self>,
        question: Question,
        only: Option<String>,
        part: Part<Arc<str>>,
    ) -> Result<Vec<Ranked<Arc<str>>>, StoreError> {
        self.ranked(move |index| {
            let Question { query, matching, allowed } = &question;
            Ranking::new(index, query, *matching).tools(|server| allowed.has(server), only.as_deref(), &part)
        })
        .await
    }

    /// The servers that are found, best first.
    pub(in crate::store) async fn servers(
        self: &Arc<Self>,
        question: Question,
        part: Part<i64>,
    ) -> Result<Vec<Ranked<i64>>, StoreError> {
        self.ranked(move |index| {
            let Question { query, matching, allowed } = &question;
            Ranking::new(index, query, *matching).servers(|server| allowed.has(server), &part)
        })
        .await
    }

    /// Ranks aside: it takes milliseconds in a large registry, and heartbeats are not to wait for it.
    async fn ranked<T: Send + 'static>(
        self: &Arc<Self>,
        rank: impl FnOnce(&Index) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        // An error would mean that the places are closed, and nothing closes them.
        let _place = self.ranking.0.acquire().await;
        let search = Arc::clone(self);
        let ranked = tokio::task::spawn_blocking(move || rank(&search.index())).await;
        ranked.map_err(|error| StoreError::Failed(sqlx::Error::Io(std::io::Error::other(error))))
    }
}
