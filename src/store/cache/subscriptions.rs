//! Watch subscriptions and their undelivered events.
//!
//! A watcher is registered under one key of its filter. A change is delivered only to watchers under one of its server's
//! keys, so all others cost nothing, however many there are. Each watcher has a bounded mailbox. On overflow it is cleared,
//! and the watcher catches up from the table `changes`, so a slow watcher does not delay others and takes no memory.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::Notify;

use super::invalidation::Slot;
use crate::model::{ChangeKind, Filter, Server};

/// The maximum number of events in a mailbox, and their maximum size in bytes.
const MAILBOX_CAPACITY: usize = 256;
const MAILBOX_BYTES: usize = 1024 * 1024;

/// A row of the table `changes`, shared by all watchers.
#[derive(Debug)]
pub(crate) struct ChangeEvent {
    pub(crate) revision: u64,
    pub(crate) kind: ChangeKind,
    /// The wall time, in milliseconds.
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

    /// Returns the server, parsed once; none if it was edited into something invalid.
    pub(crate) fn server(&self) -> Option<&Server> {
        self.server.get_or_init(|| serde_json::from_str(&self.json).ok()).as_ref()
    }

    fn matches(&self, filter: &Filter) -> bool {
        filter.has_no_conditions() || self.server().is_some_and(|server| filter.matches(server.record()))
    }
}

impl ChangeEvent {
    fn bytes(&self) -> usize {
        self.before.iter().chain(&self.after).map(|side| side.json.len()).sum()
    }

    /// Returns the server before or after the change.
    pub(crate) fn side(&self, which: EventSide) -> Option<&Side> {
        match which {
            EventSide::Before => self.before.as_ref(),
            EventSide::After => self.after.as_ref(),
        }
    }

    /// Returns what a change is for a watcher with this filter, and which side of it to report; none if it is irrelevant. An
    /// update is reported by whether the filter matched the server before, and whether it matches it now:
    ///
    /// | before  | now | reported as    | side   |
    /// | ------- | --- | -------------- | ------ |
    /// | yes     | yes | `updated`      | after  |
    /// | no      | yes | `registered`   | after  |
    /// | unknown | yes | `registered`   | after  |
    /// | yes     | no  | `deregistered` | before |
    /// | unknown | no  | `deregistered` | after  |
    /// | no      | no  | nothing        |        |
    pub(crate) fn project_for(&self, filter: &Filter) -> Option<(ChangeKind, EventSide)> {
        let matching = |side: &'_ Side| side.matches(filter);
        let before = self.before.as_ref();
        match (self.kind, &self.after) {
            // A server that was edited by hand is unknown before: report it twice rather than never.
            (ChangeKind::Updated, Some(after)) => match (before.is_none_or(matching), matching(after)) {
                (true, true) if before.is_some() => Some((ChangeKind::Updated, EventSide::After)),
                (_, true) => Some((ChangeKind::Registered, EventSide::After)),
                (true, false) if before.is_some() => Some((ChangeKind::Deregistered, EventSide::Before)),
                (true, false) => Some((ChangeKind::Deregistered, EventSide::After)),
                (false, false) => None,
            },
            (kind, Some(after)) => matching(after).then_some((kind, EventSide::After)),
            (kind, None) => before.is_some_and(matching).then_some((kind, EventSide::Before)),
        }
    }
}

/// A side of a change.
#[derive(Debug, Clone, Copy)]
pub(crate) enum EventSide {
    Before,
    After,
}

/// All watchers, by the key that they are registered under.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    by_slot: Mutex<HashMap<Slot, Vec<Arc<Watcher>>>>,
    count: AtomicUsize,
}

/// A watcher.
#[derive(Debug)]
struct Watcher {
    slot: Slot,
    mailbox: Mutex<Mailbox>,
    notify: Notify,
}

/// The undelivered events of a watcher.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    events: VecDeque<Arc<ChangeEvent>>,
    bytes: usize,
    /// Events were dropped; the table `changes` contains them.
    pub(crate) overflowed: bool,
    /// The database was edited or replaced, so what the watcher knows may be wrong.
    pub(crate) outdated: bool,
}

impl Mailbox {
    pub(crate) fn take(&mut self) -> VecDeque<Arc<ChangeEvent>> {
        self.bytes = 0;
        std::mem::take(&mut self.events)
    }
}

impl Watchers {
    fn lock(&self) -> MutexGuard<'_, HashMap<Slot, Vec<Arc<Watcher>>>> {
        self.by_slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::store) fn has_subscribers(&self) -> bool {
        self.count.load(Ordering::SeqCst) > 0
    }

    /// Subscribes to the events of one key.
    pub(in crate::store) fn subscribe(self: &Arc<Self>, slot: Slot) -> Subscription {
        let watcher = Arc::new(Watcher { slot, mailbox: Mutex::default(), notify: Notify::new() });
        self.count.fetch_add(1, Ordering::SeqCst);
        self.lock().entry(slot).or_default().push(Arc::clone(&watcher));
        Subscription { watcher, watchers: Arc::clone(self) }
    }

    /// Delivers events to the watchers of these keys, or to all.
    pub(in crate::store) fn publish(&self, events: &[Arc<ChangeEvent>], slots: &mut Vec<Slot>, to_all: bool) {
        slots.sort_unstable();
        slots.dedup();
        let by_slot = self.lock();
        if to_all {
            by_slot.values().flatten().for_each(|watcher| watcher.deliver(events));
        } else {
            let concerned = slots.iter().filter_map(|slot| by_slot.get(slot));
            concerned.flatten().for_each(|watcher| watcher.deliver(events));
        }
    }

    /// Has all watchers read the table `changes`.
    pub(in crate::store) fn mark_overflowed(&self) {
        for watcher in self.lock().values().flatten() {
            watcher.mailbox().overflowed = true;
            watcher.notify.notify_one();
        }
    }

    /// Has all watchers begin again with a snapshot.
    pub(in crate::store) fn mark_outdated(&self) {
        for watcher in self.lock().values().flatten() {
            watcher.mailbox().outdated = true;
            watcher.notify.notify_one();
        }
    }
}

impl Watcher {
    fn mailbox(&self) -> MutexGuard<'_, Mailbox> {
        self.mailbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn deliver(&self, events: &[Arc<ChangeEvent>]) {
        let mut mailbox = self.mailbox();
        mailbox.bytes += events.iter().map(|event| event.bytes()).sum::<usize>();
        if mailbox.events.len() + events.len() > MAILBOX_CAPACITY || mailbox.bytes > MAILBOX_BYTES {
            mailbox.take();
            mailbox.overflowed = true;
        } else if !mailbox.overflowed {
            mailbox.events.extend(events.iter().cloned());
        }
        drop(mailbox);
        self.notify.notify_one();
    }
}

/// A subscription, which ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Subscription {
    watcher: Arc<Watcher>,
    watchers: Arc<Watchers>,
}

impl Subscription {
    /// Returns the undelivered events.
    pub(crate) fn mailbox(&self) -> MutexGuard<'_, Mailbox> {
        self.watcher.mailbox()
    }

    /// Waits until there may be new events.
    pub(crate) async fn notified(&self) {
        self.watcher.notify.notified().await;
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut by_slot = self.watchers.lock();
        if let Some(watchers) = by_slot.get_mut(&self.watcher.slot) {
            watchers.retain(|watcher| !Arc::ptr_eq(watcher, &self.watcher));
            if watchers.is_empty() {
                by_slot.remove(&self.watcher.slot);
            }
        }
        self.watchers.count.fetch_sub(1, Ordering::SeqCst);
    }
}
