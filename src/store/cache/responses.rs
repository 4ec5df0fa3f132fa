//! Cached responses.
//!
//! A response is cached without what a refresh changes: it contains the servers, but not their lease times. Whether it is
//! still valid is decided when it is used, see [`CommittedState`](super::state::CommittedState). Responses that have not
//! been used for a while are evicted.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{Equivalent, Weighter};

use super::invalidation::Slot;
use crate::model::{Cursor, Filter, Health, Page, Revision, Score, Stats, ToolPage};
use crate::store::error::StoreError;
use crate::store::moment::Moment;
use crate::store::record::{Entry, LeaseTimes, Rendered};

/// The query that a response answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::store) enum CacheKey {
    /// A page of servers.
    Servers(Filter),
    /// A page of tools.
    Tools(Filter),
    /// A server, by id.
    Server(String),
    /// The statistics.
    Stats,
}

/// A borrowed [`CacheKey`], for lookups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::store) enum CacheKeyRef<'a> {
    Servers(&'a Filter),
    Tools(&'a Filter),
    Server(&'a str),
    Stats,
}

impl Equivalent<CacheKey> for CacheKeyRef<'_> {
    fn equivalent(&self, key: &CacheKey) -> bool {
        match (self, key) {
            (Self::Servers(key), CacheKey::Servers(filter)) | (Self::Tools(key), CacheKey::Tools(filter)) => {
                *key == filter
            }
            (Self::Server(key), CacheKey::Server(id)) => key == id,
            (Self::Stats, CacheKey::Stats) => true,
            _ => false,
        }
    }
}

/// The cached part of a response.
#[derive(Debug)]
pub(in crate::store) enum CachedValue {
    Servers {
        servers: Vec<Arc<Rendered>>,
        /// The score of each server, for a search.
        scores: Vec<Score>,
        next_cursor: Option<Cursor>,
        /// The number of the server after the page, if there is one.
        next_number: Option<i64>,
        /// Whether it is valid only while all these servers are healthy.
        requires_healthy: bool,
        rendered: Mutex<Option<Arc<RenderedPage>>>,
    },
    Tools {
        tools: Arc<ToolsResult>,
        /// The health of each server in it, and of the servers that offer the tool after the page.
        health: Vec<(i64, Health)>,
    },
    Server(Arc<Rendered>),
    /// Its health counts are not reused.
    Stats(Stats),
}

/// A cached response and what it depends on.
#[derive(Debug)]
pub(in crate::store) struct CacheEntry {
    pub(in crate::store) version: u64,
    pub(in crate::store) keys: Vec<Slot>,
    pub(in crate::store) value: CachedValue,
}

/// A page of servers, for an in-process caller or the HTTP API.
#[derive(Debug)]
pub(crate) struct FindResult {
    pub(crate) rows: Vec<Entry>,
    /// The score of each server, for a search.
    pub(crate) scores: Vec<Score>,
    pub(crate) next_cursor: Option<Cursor>,
    pub(crate) revision: Revision,
    pub(crate) now: Moment,
    /// The cache entry that it was created from, if any.
    pub(in crate::store) cached: Option<Arc<CacheEntry>>,
}

/// JSON, and a hash of everything that determines it.
#[derive(Debug, Clone)]
pub(crate) struct JsonWithEtag {
    pub(crate) json: Bytes,
    pub(crate) fingerprint: u64,
}

/// The JSON of a page, and the state that it shows.
#[derive(Debug)]
pub(in crate::store) struct RenderedPage {
    page: JsonWithEtag,
    lease_states: Vec<(LeaseTimes, Health)>,
    revision: Revision,
    offset: i64,
}

impl FindResult {
    /// Returns the page as JSON. It is reused if nothing has changed since, including lease times, and rendered otherwise.
    pub(crate) fn json(&self, render: impl FnOnce() -> JsonWithEtag) -> JsonWithEtag {
        let Some(CachedValue::Servers { rendered, .. }) = self.cached.as_ref().map(|entry| &entry.value)
        else {
            return render();
        };
        let state_of = |row: &Entry| (row.lease, row.lease.health(self.now));
        let cached = rendered.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(cached) = cached
            && cached.offset == self.now.offset
            && cached.revision == self.revision
            && cached.lease_states.iter().copied().eq(self.rows.iter().map(state_of))
        {
            return cached.page.clone();
        }
        let page = render();
        let lease_states = self.rows.iter().map(state_of).collect();
        let new_page = RenderedPage {
            page: page.clone(),
            lease_states,
            revision: self.revision.clone(),
            offset: self.now.offset,
        };
        *rendered.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(new_page));
        page
    }

    /// Returns the page for an in-process caller.
    pub(crate) fn page(self) -> Result<Page, StoreError> {
        let mut scores = self.scores.iter().copied();
        let server = |row: &Entry| Ok(row.server(self.now)?.with_score(scores.next()));
        let servers = self.rows.iter().map(server).collect::<Result<_, StoreError>>()?;
        Ok(Page { servers, next_cursor: self.next_cursor, revision: self.revision })
    }
}

/// A page of tools, and its JSON once it was requested.
#[derive(Debug)]
pub(crate) struct ToolsResult {
    pub(crate) page: Arc<ToolPage>,
    json: OnceLock<JsonWithEtag>,
}

impl ToolsResult {
    pub(in crate::store) fn new(page: ToolPage) -> Self {
        Self { page: Arc::new(page), json: OnceLock::new() }
    }

    /// Returns the page as JSON, and its fingerprint.
    pub(crate) fn json(&self, fingerprint: fn(&String) -> u64) -> serde_json::Result<JsonWithEtag> {
        if let Some(json) = self.json.get() {
            return Ok(json.clone());
        }
        let json = serde_json::to_string(&*self.page)?;
        let fingerprint = fingerprint(&json);
        Ok(self.json.get_or_init(|| JsonWithEtag { json: json.into(), fingerprint }).clone())
    }
}

/// Weighs an entry by its approximate size in bytes, including the parsed records of in-process callers.
#[derive(Debug, Clone)]
struct EntryWeight;

/// The size of the maps, vectors and pointers of an entry.
const ENTRY_OVERHEAD: usize = 512;

impl Weighter<CacheKey, Arc<CacheEntry>> for EntryWeight {
    fn weight(&self, _: &CacheKey, entry: &Arc<CacheEntry>) -> u64 {
        let value = match &entry.value {
            // And once more in the JSON of the page.
            CachedValue::Servers { servers, .. } => {
                servers.iter().map(|server| server.cached_bytes() + server.bytes()).sum()
            }
            CachedValue::Server(server) => server.cached_bytes(),
            CachedValue::Tools { tools, health } => {
                // Once as values, and once as JSON.
                let text = |tool: &crate::model::ToolEntry| {
                    let servers = tool.servers.iter().map(|server| server.id.len() + server.name.len() + 64);
                    let title = tool.title.as_ref().map_or(0, String::len);
                    tool.name.len()
                        + title
                        + tool.description.as_ref().map_or(0, String::len)
                        + servers.sum::<usize>()
                };
                tools.page.tools.iter().map(text).sum::<usize>() * 2 + health.len() * 16
            }
            CachedValue::Stats(stats) => {
                let groups = &stats.servers;
                let maps = [&groups.by_transport, &groups.by_name, &groups.by_tag, &groups.by_capability];
                maps.into_iter().flatten().map(|(name, _)| name.len() + 64).sum()
            }
        };
        (value + ENTRY_OVERHEAD + entry.keys.len() * size_of::<Slot>()) as u64
    }
}

/// A cache with a maximum size in bytes.
pub(in crate::store) struct ResponseCache(
    Option<Cache<CacheKey, Arc<CacheEntry>, EntryWeight, foldhash::fast::RandomState>>,
);

/// The number of entries that the first table has room for.
const EXPECTED_ENTRIES: usize = 1_024;

impl ResponseCache {
    /// Creates a cache. A size of 0 disables it.
    pub(in crate::store) fn new(bytes: u64) -> Self {
        let hasher = foldhash::fast::RandomState::default();
        let cache = || Cache::with(EXPECTED_ENTRIES, bytes, EntryWeight, hasher, DefaultLifecycle::default());
        Self((bytes > 0).then(cache))
    }

    pub(in crate::store) fn get(&self, key: CacheKeyRef<'_>) -> Option<Arc<CacheEntry>> {
        self.0.as_ref()?.get(&key)
    }

    pub(in crate::store) fn is_enabled(&self) -> bool {
        self.0.is_some()
    }

    pub(in crate::store) fn insert(&self, key: CacheKey, entry: CacheEntry) {
        if let Some(cache) = &self.0 {
            cache.insert(key, Arc::new(entry));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::View;
    use crate::store::record::RecordTimes;

    #[test]
    fn the_cache_evicts_entries_to_stay_within_its_size() {
        let bytes = 64 * 1024;
        let cache = ResponseCache::new(bytes);
        let times = RecordTimes { ttl: 30, registered_at: <_>::default(), updated_at: <_>::default() };
        for number in 0..1_000 {
            let head = format!("{{\"id\":\"{number}\",\"name\":\"{}\"}}", "x".repeat(1_000));
            let server = Rendered::new(number, View::Full, &head, times).unwrap();
            let value = CachedValue::Server(Arc::new(server));
            cache.insert(
                CacheKey::Server(number.to_string()),
                CacheEntry { version: 0, keys: Vec::new(), value },
            );
        }
        let cache = cache.0.as_ref().unwrap();
        assert!(cache.weight() <= bytes && cache.weight() > bytes / 2, "{} bytes", cache.weight());
        assert!(cache.len() > 5, "{} entries", cache.len());
    }
}
