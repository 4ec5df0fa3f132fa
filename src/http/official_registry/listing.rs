//! All that is registered, in the official registry's words. It is put together when somebody asks, and kept for as long as
//! nothing has changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::entry::Entry;
use super::naming;
use crate::model::{Filter, HealthFilter, PAGE_LIMITS, Server};
use crate::registry::{Error, Registry};

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Catalogue {
    /// By name, and in it by age.
    entries: Vec<Arc<Entry>>,
}

/// What it depends on: how often something has changed, whoever has done it, and how many are alive and how many are not. That
/// a lease has run out is known before it is a change.
type State = (u64, u64, u64);

/// One, and the state that it was put together at.
type Last = Mutex<Option<(State, Arc<Catalogue>)>>;

/// Those that were put together last, with what is deleted and without, and at which state. Whoever asks while one is put together
/// waits for it.
#[derive(Debug)]
pub(in crate::http) struct Kept {
    namespace: String,
    last: [Last; 2],
}

impl Kept {
    /// Names that have no namespace get this one.
    pub(in crate::http) fn new(namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), last: Default::default() }
    }

    pub(super) async fn catalogue(
        &self,
        registry: &Registry,
        include_deleted: bool,
    ) -> Result<Arc<Catalogue>, Error> {
        let [alive, any] = &self.last;
        let mut last = if include_deleted { any } else { alive }.lock().await;
        let version = registry.version();
        let totals = registry.stats().await?;
        let count = |health: &str| totals.servers.by_health.get(health).copied().unwrap_or_default();
        let state = (version, count("healthy"), count("unhealthy"));
        if let Some((_, catalogue)) = last.as_ref().filter(|(known, _)| *known == state) {
            return Ok(Arc::clone(catalogue));
        }
        let servers = all(registry, include_deleted).await?;
        let catalogue = Arc::new(Catalogue::new(servers, &self.namespace));
        // It may already have more than this state, never less.
        *last = Some((state, Arc::clone(&catalogue)));
        Ok(catalogue)
    }
}

async fn all(registry: &Registry, include_deleted: bool) -> Result<Vec<Server>, Error> {
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

impl Catalogue {
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
            let mut of_name: Vec<Entry> = Vec::new();
            for (version, servers) in versions {
                of_name.extend(Entry::new(name.clone(), version, &servers));
            }
            of_name.sort_by(|one, other| {
                (one.published_at, &one.version).cmp(&(other.published_at, &other.version))
            });
            let latest = latest(&of_name);
            for (place, mut entry) in of_name.into_iter().enumerate() {
                entry.place(Some(place) == latest);
                entries.push(Arc::new(entry));
            }
        }
        Self { entries }
    }

    pub(super) fn entries(&self) -> &[Arc<Entry>] {
        &self.entries
    }

    /// Newest first.
    pub(super) fn versions_of(&self, name: &str) -> impl Iterator<Item = Arc<Entry>> {
        self.entries.iter().rev().filter(move |entry| entry.name == name).cloned()
    }
}

/// The place of the newest of a name's versions: the highest, where all are semantic (<https://semver.org>), else the one that
/// came last. What is alive goes before what is not.
fn latest(entries: &[Entry]) -> Option<usize> {
    let alive = entries.iter().any(|entry| !entry.deleted);
    let candidates = || entries.iter().enumerate().filter(move |(_, entry)| !alive || !entry.deleted);
    let semantic: Result<Vec<_>, _> = candidates()
        .map(|(place, entry)| Ok::<_, semver::Error>((semver::Version::parse(&entry.version)?, place)))
        .collect();
    match semantic {
        Ok(versions) => versions.into_iter().max().map(|(_, place)| place),
        Err(_) => candidates().next_back().map(|(place, _)| place),
    }
}
