//! Who watches, and what each of them has not been told yet.
//!
//! A watcher stands under one key of its filter. A change touches all keys of its server, so it is brought to those alone
//! whom it may concern, and costs nothing for all others, however many there are. Each has a small box of what is new; when
//! that overflows it is emptied, and the watcher reads on in the table `changes`: a slow one holds nobody up and takes no
//! memory.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::Notify;

use super::invalidation::Slot;
use crate::model::{ChangeKind, Filter, Server};

/// How many changes wait in a box, and how many bytes of them.
const BOX: usize = 256;
const BOX_BYTES: usize = 1024 * 1024;

/// A change as it stands in the table, read by all who are told of it.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) revision: u64,
    pub(crate) kind: ChangeKind,
    /// By the wall clock, in milliseconds.
    pub(crate) at: i64,
    pub(crate) before: Option<Side>,
    pub(crate) after: Option<Side>,
}

/// A server's summary before or after a change.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) json: Box<str>,
    server: OnceLock<Option<Server>>,
}

impl Side {
    pub(in crate::store) fn new(json: String) -> Self {
        Self { json: json.into(), server: OnceLock::new() }
    }

    /// Parsed, once for all; nothing if somebody has edited it into what is no server.
    pub(crate) fn server(&self) -> Option<&Server> {
        self.server.get_or_init(|| serde_json::from_str(&self.json).ok()).as_ref()
    }

    fn matches(&self, filter: &Filter) -> bool {
        filter.is_for_all() || self.server().is_some_and(|server| filter.matches(server.record()))
    }
}

impl Event {
    fn bytes(&self) -> usize {
        self.before.iter().chain(&self.after).map(|side| side.json.len()).sum()
    }

    /// The server before or after it.
    pub(crate) fn side(&self, which: Which) -> Option<&Side> {
        match which {
            Which::Before => self.before.as_ref(),
            Which::After => self.after.as_ref(),
        }
    }

    /// What it is for who watches these servers, and which side of it to tell; nothing if it does not concern them. An update
    /// that takes a server in is told as its registration, one that takes it away as its end.
    pub(crate) fn seen_by(&self, filter: &Filter) -> Option<(ChangeKind, Which)> {
        let matching = |side: &'_ Side| side.matches(filter);
        let was = self.before.as_ref();
        match (self.kind, &self.after) {
            // What was there before is not known if somebody had edited it: then it is better told twice than never.
            (ChangeKind::Updated, Some(after)) => match (was.is_none_or(matching), matching(after)) {
                (true, true) if was.is_some() => Some((ChangeKind::Updated, Which::After)),
                (_, true) => Some((ChangeKind::Registered, Which::After)),
                (true, false) if was.is_some() => Some((ChangeKind::Deregistered, Which::Before)),
                (true, false) => Some((ChangeKind::Deregistered, Which::After)),
                (false, false) => None,
            },
            (kind, Some(after)) => matching(after).then_some((kind, Which::After)),
            (kind, None) => was.is_some_and(matching).then_some((kind, Which::Before)),
        }
    }
}

/// A side of a change.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which {
    Before,
    After,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    by_slot: Mutex<HashMap<Slot, Vec<Arc<Watcher>>>>,
    count: AtomicUsize,
}

/// One of them.
#[derive(Debug)]
struct Watcher {
    slot: Slot,
    news: Mutex<News>,
    told: Notify,
}

/// What one watcher has not been told yet.
#[derive(Debug, Default)]
pub(crate) struct News {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    /// There was more than the box holds: it stands in the table.
    pub(crate) overflowed: bool,
    /// Somebody has edited the database: what the watcher knows may be wrong.
    pub(crate) outdated: bool,
}

impl News {
    pub(crate) fn take(&mut self) -> VecDeque<Arc<Event>> {
        self.bytes = 0;
        std::mem::take(&mut self.events)
    }
}

impl Watchers {
    fn lock(&self) -> MutexGuard<'_, HashMap<Slot, Vec<Arc<Watcher>>>> {
        self.by_slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::store) fn are_any(&self) -> bool {
        self.count.load(Ordering::SeqCst) > 0
    }

    /// Has whoever stands under this key told of what is committed from now on.
    pub(in crate::store) fn subscribe(self: &Arc<Self>, slot: Slot) -> Subscription {
        let watcher = Arc::new(Watcher { slot, news: Mutex::default(), told: Notify::new() });
        self.count.fetch_add(1, Ordering::SeqCst);
        self.lock().entry(slot).or_default().push(Arc::clone(&watcher));
        Subscription { watcher, all: Arc::clone(self) }
    }

    /// Tells those under these keys, or all, of what was committed.
    pub(in crate::store) fn publish(&self, events: &[Arc<Event>], slots: &mut Vec<Slot>, everybody: bool) {
        slots.sort_unstable();
        slots.dedup();
        let by_slot = self.lock();
        if everybody {
            by_slot.values().flatten().for_each(|watcher| watcher.put(events));
        } else {
            let concerned = slots.iter().filter_map(|slot| by_slot.get(slot));
            concerned.flatten().for_each(|watcher| watcher.put(events));
        }
    }

    /// Tells everybody that there is news in the table.
    pub(in crate::store) fn send_to_the_table(&self) {
        for watcher in self.lock().values().flatten() {
            watcher.news().overflowed = true;
            watcher.told.notify_one();
        }
    }

    /// Tells everybody that what they know may be wrong.
    pub(in crate::store) fn outdate(&self) {
        for watcher in self.lock().values().flatten() {
            watcher.news().outdated = true;
            watcher.told.notify_one();
        }
    }
}

impl Watcher {
    fn news(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, events: &[Arc<Event>]) {
        let mut news = self.news();
        news.bytes += events.iter().map(|event| event.bytes()).sum::<usize>();
        if news.events.len() + events.len() > BOX || news.bytes > BOX_BYTES {
            news.take();
            news.overflowed = true;
        } else if !news.overflowed {
            news.events.extend(events.iter().cloned());
        }
        drop(news);
        self.told.notify_one();
    }
}

/// A watcher's place; given back when dropped.
#[derive(Debug)]
pub(crate) struct Subscription {
    watcher: Arc<Watcher>,
    all: Arc<Watchers>,
}

impl Subscription {
    /// What is new.
    pub(crate) fn news(&self) -> MutexGuard<'_, News> {
        self.watcher.news()
    }

    /// Waits until there may be something new.
    pub(crate) async fn told(&self) {
        self.watcher.told.notified().await;
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut by_slot = self.all.lock();
        if let Some(there) = by_slot.get_mut(&self.watcher.slot) {
            there.retain(|watcher| !Arc::ptr_eq(watcher, &self.watcher));
            if there.is_empty() {
                by_slot.remove(&self.watcher.slot);
            }
        }
        self.all.count.fetch_sub(1, Ordering::SeqCst);
    }
}
