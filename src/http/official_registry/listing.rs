//! The listing of all servers in the official registry's format. It is built on request, and cached until something changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::entry::ListingEntry;
use super::naming;
use crate::model::{Filter, HealthFilter, PAGE_LIMITS, Server};
use crate::registry::{Error, Registry};

/// All entries at one state of the registry.
#[derive(Debug)]
pub(super) struct Listing {
    /// In order of name, then of age.
    entries: Vec<Arc<ListingEntry>>,
}

/// The state that a listing depends on: the version of the data, and the numbers of healthy and unhealthy servers. An expired
/// lease affects those numbers before it is a change of the data.
type StateKey = (u64, u64, u64);

/// The last listing, and the state that it was built from.
type CachedListing = Mutex<Option<(StateKey, Arc<Listing>)>>;

/// The last listings, with and without deleted entries. Requests that come while one is built wait for it.
#[derive(Debug)]
pub(in crate::http) struct ListingCache {
    namespace: String,
    healthy: CachedListing,
    with_deleted: CachedListing,
}

impl ListingCache {
    /// Returns an empty cache. Names without a namespace get the given one.
    pub(in crate::http) fn new(namespace: String) -> Self {
        Self { namespace, healthy: Mutex::default(), with_deleted: Mutex::default() }
    }

    /// Returns the current listing.
    pub(super) async fn listing(
        &self,
        registry: &Registry,
        include_deleted: bool,
    ) -> Result<Arc<Listing>, Error> {
        let cached = if include_deleted { &self.with_deleted } else { &self.healthy };
        let mut cached = cached.lock().await;
        let version = registry.version();
        let stats = registry.stats().await?;
        let count = |health: &str| stats.servers.by_health.get(health).copied().unwrap_or_default();
        let current = (version, count("healthy"), count("unhealthy"));
        if let Some((_, listing)) = cached.as_ref().filter(|(known, _)| *known == current) {
            return Ok(Arc::clone(listing));
        }
        let servers = find_all(registry, include_deleted).await?;
        let listing = Arc::new(Listing::new(servers, &self.namespace));
        // The servers may already be newer than this version, never older.
        *cached = Some((current, Arc::clone(&listing)));
        Ok(listing)
    }
}

async fn find_all(registry: &Registry, include_deleted: bool) -> Result<Vec<Server>, Error> {
    let health = if include_deleted { HealthFilter::Any } else { HealthFilter::Healthy };
    let (mut servers, mut filter) = (Vec::new(), Filter::new().health(health).limit(*PAGE_LIMITS.end()));
    loop {
        let page = registry.find(filter.clone()).await?;
        servers.extend(page.servers);
        match page.next_cursor {
            Some(cursor) => filter = filter.after(&cursor),
            None => return Ok(servers),
        }
    }
}

impl Listing {
    fn new(servers: Vec<Server>, namespace: &str) -> Self {
        let mut by_name: BTreeMap<String, Vec<(String, Vec<Server>)>> = BTreeMap::new();
        for server in servers {
            let versions = by_name.entry(naming::name(&server, namespace)).or_default();
            let version = naming::version(&server);
            match versions.iter_mut().find(|(known, _)| *known == version) {
                Some((_, servers)) => servers.push(server),
                None => versions.push((version, vec![server])),
            }
        }
        let mut entries = Vec::new();
        for (name, versions) in by_name {
            let mut of_name: Vec<ListingEntry> = Vec::new();
            for (version, servers) in versions {
                of_name.extend(ListingEntry::new(name.clone(), version, &servers));
            }
            of_name.sort_by(|one, other| {
                (one.published_at, &one.version).cmp(&(other.published_at, &other.version))
            });
            let latest = latest(&of_name);
            for (index, mut entry) in of_name.into_iter().enumerate() {
                entry.set_latest(Some(index) == latest);
                entries.push(Arc::new(entry));
            }
        }
        Self { entries }
    }

    pub(super) fn entries(&self) -> &[Arc<ListingEntry>] {
        &self.entries
    }

    /// Returns the versions of a name, newest first.
    pub(super) fn versions_of(&self, name: &str) -> impl Iterator<Item = Arc<ListingEntry>> {
        self.entries.iter().rev().filter(move |entry| entry.name == name).cloned()
    }
}

/// Returns the index of the latest version of a name: the highest if all are semantic versions (<https://semver.org>), else the
/// one registered last. Deleted versions count only if all are deleted.
fn latest(entries: &[ListingEntry]) -> Option<usize> {
    let any_active = entries.iter().any(|entry| !entry.deleted);
    let candidates = || entries.iter().enumerate().filter(move |(_, entry)| !any_active || !entry.deleted);
    let semantic: Result<Vec<_>, _> = candidates()
        .map(|(index, entry)| Ok::<_, semver::Error>((semver::Version::parse(&entry.version)?, index)))
        .collect();
    match semantic {
        Ok(versions) => versions.into_iter().max().map(|(_, index)| index),
        Err(_) => candidates().next_back().map(|(index, _)| index),
    }
}
