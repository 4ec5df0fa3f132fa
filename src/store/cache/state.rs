//! The committed state in memory: leases, the revision, tokens, and cached responses.
//!
//! The writer applies the effects of a commit under one lock, after the commit and before any command is answered. A
//! repeated query takes the same lock to check whether its cached response is valid, and to read lease times and the
//! revision, all of the same state.
//!
//! A new response gets the version from before SQLite was asked. A commit in between invalidates its keys, so it is never
//! used.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use tokio::sync::watch;

use super::invalidation::{InvalidationTable, Slot};
use super::lease_table::{Lease, LeaseTable};
use super::responses::{
    CacheEntry, CacheKey, CacheKeyRef, CachedValue, FindResult, ResponseCache, ToolsResult,
};
use super::search_index::Search;
use super::subscriptions::{Subscription, Watchers};
use crate::model::{Filter, Health, LeaseState, Record, Revision, Stats, Tokens};
use crate::store::moment::Moment;
use crate::store::record::{Entry, LeaseTimes};
use crate::sync::{AtomicI64, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The state that a database is opened with.
pub(crate) enum InitialState {
    /// A new state, with a response cache of this size in bytes.
    New(u64),
    /// The state of an earlier copy, which this database replaces.
    Existing(Arc<CommittedState>),
}

/// See the [module](self).
pub(crate) struct CommittedState {
    state: RwLock<GuardedState>,
    responses: ResponseCache,
    /// The latest lease time of a query.
    latest_query_at: AtomicI64,
    /// The number of the revision, for tasks that wait for it.
    revision_number: watch::Sender<u64>,
    watchers: Arc<Watchers>,
    search: Arc<Search>,
}

/// The part of the state that the lock guards.
pub(in crate::store) struct GuardedState {
    pub(in crate::store) leases: LeaseTable,
    pub(in crate::store) revision: Revision,
    pub(in crate::store) tokens: Arc<Tokens>,
    invalidation: InvalidationTable,
}

/// What a commit has changed.
#[derive(Debug, Default)]
pub(in crate::store) struct CommitEffects {
    /// The leases that were refreshed.
    pub(in crate::store) refreshed: Vec<i64>,
    /// Other changes of leases, in order.
    pub(in crate::store) leases: Vec<LeaseChange>,
    /// The keys of all servers that were added, removed, changed or revived.
    pub(in crate::store) invalidated: Vec<Slot>,
    /// Whether one of them has unknown keys.
    pub(in crate::store) invalidate_all: bool,
    /// The keys of servers whose watchers are notified although no response has changed.
    pub(in crate::store) notified: Vec<Slot>,
    /// The tokens, if they have changed.
    pub(in crate::store) tokens: Option<Tokens>,
    /// The servers that the search index has to read again.
    pub(in crate::store) reindex: Vec<i64>,
    /// How far search texts were created for servers without one.
    pub(in crate::store) indexed: Option<Indexed>,
}

/// See [`CommitEffects::indexed`].
#[derive(Debug, Clone, Copy)]
pub(in crate::store) enum Indexed {
    UpTo(i64),
    All,
}

/// A change of a lease other than a refresh.
#[derive(Debug)]
pub(in crate::store) enum LeaseChange {
    Set(Lease),
    MarkExpired(i64),
    Remove(i64),
}

impl GuardedState {
    /// Applies changes of leases. Returns whether a query may have seen a lease as expired that this commit renewed: a
    /// query that began after the batch uses a later time. Its response lacks a healthy server, although none of its keys
    /// was invalidated.
    fn apply_leases(
        &mut self,
        refreshed: Vec<i64>,
        changes: Vec<LeaseChange>,
        latest_query_at: i64,
        now: Moment,
    ) -> bool {
        let mut revived = false;
        let mut renew = |times: LeaseTimes| {
            revived |= times.expires_at > now.lease && times.expires_at <= latest_query_at;
        };
        for number in refreshed {
            if let Some(lease) = self.leases.by_number_mut(number) {
                renew(lease.times);
                lease.times = LeaseTimes { expires_at: expiry(lease.ttl, now), refreshed_at: now.wall };
                lease.expired = false;
            }
        }
        for change in changes {
            match change {
                LeaseChange::Set(lease) => {
                    if let Some(before) = self.leases.by_number(lease.number) {
                        renew(before.times);
                    }
                    self.leases.insert(lease);
                }
                LeaseChange::MarkExpired(number) => {
                    if let Some(lease) = self.leases.by_number_mut(number) {
                        lease.expired = true;
                    }
                }
                LeaseChange::Remove(number) => self.leases.remove(number),
            }
        }
        revived
    }
}

impl CommittedState {
    pub(in crate::store) fn new(
        leases: LeaseTable,
        revision: Revision,
        tokens: Tokens,
        cache_bytes: u64,
    ) -> Self {
        let revision_number = watch::Sender::new(revision.number);
        let state = GuardedState {
            leases,
            revision,
            tokens: Arc::new(tokens),
            invalidation: InvalidationTable::default(),
        };
        Self {
            state: RwLock::new(state),
            responses: ResponseCache::new(cache_bytes),
            latest_query_at: AtomicI64::new(i64::MIN),
            revision_number,
            watchers: Arc::default(),
            search: Arc::default(),
        }
    }

    /// Returns the search index.
    pub(crate) fn search(&self) -> &Arc<Search> {
        &self.search
    }

    /// Returns all watchers.
    pub(crate) fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    /// Subscribes to what is committed from now on.
    pub(crate) fn subscribe(&self, filter: &Filter) -> Subscription {
        let slot = self.read().invalidation.keys_of_filter(filter).first().copied().unwrap_or_default();
        self.watchers.subscribe(slot)
    }

    pub(in crate::store) fn read(&self) -> RwLockReadGuard<'_, GuardedState> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, GuardedState> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the current revision.
    pub(crate) fn revision(&self) -> Revision {
        self.read().revision.clone()
    }

    /// Returns a number that changes whenever a response may have changed, except through the passage of time.
    #[cfg(feature = "server")]
    pub(crate) fn version(&self) -> u64 {
        self.read().invalidation.version()
    }

    /// Returns the number of registered servers.
    #[cfg(feature = "server")]
    pub(crate) fn server_count(&self) -> usize {
        self.read().leases.len()
    }

    /// Returns whether the change `expired` is recorded for a server.
    #[cfg(all(test, feature = "shuttle"))]
    pub(crate) fn is_expiry_recorded(&self, id: &str) -> Option<bool> {
        Some(self.read().leases.get(id)?.expired)
    }

    /// Returns the tokens.
    pub(crate) fn tokens(&self) -> Arc<Tokens> {
        Arc::clone(&self.read().tokens)
    }

    /// Applies a commit.
    pub(in crate::store) fn apply(&self, effects: CommitEffects, revision: Option<i64>, now: Moment) {
        // Before any client can know of the commit.
        self.search.mark_stale(&effects.reindex);
        let mut state = self.write();
        let latest_query_at = self.latest_query_at.load(Ordering::SeqCst);
        let revived = state.apply_leases(effects.refreshed, effects.leases, latest_query_at, now);
        if let Some(tokens) = effects.tokens {
            state.tokens = Arc::new(tokens);
        }
        if revived || effects.invalidate_all {
            state.invalidation.invalidate_all();
        } else if !effects.invalidated.is_empty() {
            state.invalidation.invalidate(&effects.invalidated);
        }
        if let Some(number) = revision.and_then(|number| u64::try_from(number).ok()) {
            state.revision.number = number;
            self.revision_number.send_replace(number);
        }
    }

    /// Begins a new epoch. Watchers know the previous history, so they are outdated.
    pub(in crate::store) fn begin_epoch(&self, epoch: String) {
        self.write().revision.epoch = epoch;
        self.watchers.mark_outdated();
    }

    /// Replaces the whole state, because another program has written to the database.
    pub(in crate::store) fn reload(&self, leases: LeaseTable, revision: Revision, tokens: Tokens) {
        self.install(leases, revision, tokens);
        self.watchers.mark_outdated();
    }

    /// Replaces the whole state by that of a newer copy. Watchers read the changes in between from the table `changes`,
    /// unless the copy has another history or an older state.
    pub(in crate::store) fn advance_to(&self, leases: LeaseTable, revision: Revision, tokens: Tokens) {
        let before = self.revision();
        let continues = before.epoch == revision.epoch && before.number <= revision.number;
        let changed = before != revision;
        self.install(leases, revision, tokens);
        match (continues, changed) {
            (false, _) => self.watchers.mark_outdated(),
            (true, true) => self.watchers.mark_overflowed(),
            (true, false) => {}
        }
    }

    fn install(&self, leases: LeaseTable, revision: Revision, tokens: Tokens) {
        self.search.mark_all_stale();
        let mut state = self.write();
        state.tokens = Arc::new(tokens);
        state.leases = leases;
        self.revision_number.send_replace(revision.number);
        state.revision = revision;
        state.invalidation.invalidate_all();
    }

    /// Returns all keys of a server.
    pub(in crate::store) fn keys_of_record(&self, record: &Record) -> Vec<Slot> {
        self.read().invalidation.keys_of_record(record)
    }

    /// Returns the health of a server; none if it is not registered.
    pub(crate) fn health(&self, id: &str, now: Moment) -> Option<LeaseState> {
        let state = self.read();
        let lease = state.leases.get(id)?;
        let LeaseTimes { expires_at, .. } = lease.times;
        Some(LeaseState {
            id: id.to_owned(),
            name: lease.name.to_string(),
            health: lease.times.health(now),
            ttl: lease.ttl,
            expires_at: now.wall_of(expires_at),
            expires_in_ms: u64::try_from(expires_at.saturating_sub(now.lease)).unwrap_or_default(),
        })
    }

    /// Begins a query, and returns the version of its response.
    pub(in crate::store) fn begin_query(&self, now: Moment) -> u64 {
        self.latest_query_at.fetch_max(now.lease, Ordering::SeqCst);
        self.read().invalidation.version()
    }

    /// Waits until the state in memory has reached the revision of a result, a moment after the commit, so that the next
    /// query does not return an older revision.
    pub(in crate::store) async fn wait_for_revision(&self, revision: &Revision) {
        let mut numbers = self.revision_number.subscribe();
        // The sender lives as long as `self`.
        let _ = numbers.wait_for(|number| *number >= revision.number).await;
    }

    /// Returns whether responses are cached.
    pub(in crate::store) fn caches_responses(&self) -> bool {
        self.responses.is_enabled()
    }

    /// Caches a response to a query that began at a version.
    pub(in crate::store) fn cache(&self, key: CacheKey, version: u64, value: CachedValue) {
        if !self.caches_responses() {
            return;
        }
        let keys = {
            let state = self.read();
            match &key {
                CacheKey::Servers(filter) | CacheKey::Tools(filter) => {
                    state.invalidation.keys_of_filter(filter)
                }
                CacheKey::Server(id) => state.invalidation.keys_of_id(id),
                CacheKey::Stats => state.invalidation.any_key(),
            }
        };
        self.responses.insert(key, CacheEntry { version, keys, value });
    }

    /// Returns a valid cached response, and the state.
    fn valid_entry(
        &self,
        key: CacheKeyRef<'_>,
    ) -> Option<(Arc<CacheEntry>, RwLockReadGuard<'_, GuardedState>)> {
        let entry = self.responses.get(key)?;
        let state = self.read();
        state.invalidation.is_valid(entry.version, &entry.keys).then_some((entry, state))
    }

    /// Returns a page of servers from the cache.
    pub(crate) fn servers(&self, filter: &Filter, now: Moment) -> Option<FindResult> {
        let (entry, state) = self.valid_entry(CacheKeyRef::Servers(filter))?;
        let CachedValue::Servers { servers, scores, next_cursor, next_number, requires_healthy, .. } =
            &entry.value
        else {
            return None;
        };
        if let Some(number) = next_number.filter(|_| *requires_healthy)
            && state.leases.by_number(number)?.times.health(now) == Health::Unhealthy
        {
            return None;
        }
        let mut rows = Vec::with_capacity(servers.len());
        for server in servers {
            let times = state.leases.by_number(server.number)?.times;
            if *requires_healthy && times.health(now) == Health::Unhealthy {
                return None;
            }
            rows.push(Entry { rendered: Arc::clone(server), lease: times });
        }
        let (scores, next_cursor) = (scores.clone(), next_cursor.clone());
        let revision = state.revision.clone();
        drop(state);
        Some(FindResult { rows, scores, next_cursor, revision, now, cached: Some(entry) })
    }

    /// Returns a page of tools from the cache.
    pub(crate) fn tools(&self, filter: &Filter, now: Moment) -> Option<Arc<ToolsResult>> {
        let (entry, state) = self.valid_entry(CacheKeyRef::Tools(filter))?;
        let CachedValue::Tools { tools, health } = &entry.value else { return None };
        let same = |(number, health): &(i64, Health)| {
            state.leases.by_number(*number).is_some_and(|lease| lease.times.health(now) == *health)
        };
        health.iter().all(same).then(|| Arc::clone(tools))
    }

    /// Returns a server from the cache.
    pub(crate) fn server(&self, id: &str) -> Option<Entry> {
        let (entry, state) = self.valid_entry(CacheKeyRef::Server(id))?;
        let CachedValue::Server(server) = &entry.value else { return None };
        let times = state.leases.by_number(server.number)?.times;
        Some(Entry { rendered: Arc::clone(server), lease: times })
    }

    /// Returns the statistics from the cache.
    pub(crate) fn stats(&self, now: Moment) -> Option<Stats> {
        let (entry, state) = self.valid_entry(CacheKeyRef::Stats)?;
        let CachedValue::Stats(cached) = &entry.value else { return None };
        let mut totals = cached.clone();
        let healthy = state.leases.iter().filter(|lease| lease.times.health(now) == Health::Healthy).count();
        let all = state.leases.len();
        totals.servers.total = all as u64;
        let by_health = [(Health::Healthy, healthy), (Health::Unhealthy, all - healthy)];
        totals.servers.by_health =
            by_health.map(|(health, count)| (health.as_str().to_owned(), count as u64)).into();
        totals.revision = state.revision.clone();
        Some(totals)
    }

    /// Returns the servers whose expiry is not recorded yet, or that expired longer ago than the retention.
    pub(in crate::store) fn prunable(&self, retention: i64, now: Moment) -> Vec<i64> {
        let prunable = |lease: &&Lease| {
            let expires_at = lease.times.expires_at;
            expires_at <= now.lease && (!lease.expired || expires_at <= now.lease.saturating_sub(retention))
        };
        self.read().leases.iter().filter(prunable).map(|lease| lease.number).collect()
    }
}

/// Returns when a lease expires that is refreshed now.
pub(in crate::store) fn expiry(ttl: u32, now: Moment) -> i64 {
    now.lease + i64::from(ttl) * 1_000
}
