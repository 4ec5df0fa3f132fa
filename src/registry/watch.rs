//! Watching the catalog: a snapshot, and then every change in order, without gaps or duplicates.
//!
//! A watcher subscribes before it reads, so that it misses no change; changes that it has already read are skipped by their
//! number. It reads the table `changes` to resume, and to catch up after its mailbox has overflowed. If the table does not
//! reach back far enough or belongs to another epoch, the watcher starts again with a snapshot.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::watch;

use super::{Error, Registry};
use crate::model::{Change, ChangeKind, Filter, Revision, Snapshot, WatchEvent};
use crate::store::{ChangeEvent, Entry, EventSide, Moment, Side, Subscription, time};

/// A watcher of a registry, see [`Registry::watch`].
///
/// It keeps the registry open like any other handle.
#[derive(Debug)]
pub struct Watch {
    registry: Registry,
    filter: Filter,
    subscription: Subscription,
    closing: watch::Receiver<bool>,
    state: WatchState,
    /// The last change that was returned or skipped.
    revision: Revision,
    pending: VecDeque<Arc<ChangeEvent>>,
}

/// How a watcher continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WatchState {
    /// With a snapshot.
    Snapshot,
    /// With changes from the table.
    CatchUp,
    /// With changes from its mailbox.
    Live,
}

/// An event of a watcher, not parsed.
pub(crate) enum WatchItem {
    Snapshot { servers: Vec<Entry>, revision: Revision, now: Moment },
    Change { kind: ChangeKind, which: EventSide, event: Arc<ChangeEvent> },
}

impl Registry {
    /// Watches the servers that match a filter: first a snapshot of all of them, and then each change, in order.
    ///
    /// The snapshot contains healthy servers. `expired` is reported when a lease expires, and `registered` also when a late
    /// refresh revives it. Refreshes and the later deletion are not reported. A slow watcher does not delay others.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use paulina::{Filter, Registration, Registry, WatchEvent};
    ///
    /// let registry = Registry::in_memory().await?;
    /// let mut watch = registry.watch(Filter::new().tool("read_file"))?;
    /// let WatchEvent::Snapshot(snapshot) = watch.next().await? else { unreachable!() };
    /// assert!(snapshot.servers.is_empty());
    /// registry.register(Registration::stdio("files", ["mcp-files"]).tool("read_file")).await?;
    /// let WatchEvent::Change(change) = watch.next().await? else { unreachable!() };
    /// assert_eq!(change.server.name, "files");
    /// # registry.close().await;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidFilter`] if the filter cannot be watched: it has a search, a cursor or the full view, or selects
    /// unhealthy servers. [`Error::Closed`] if the registry is closed.
    pub fn watch(&self, filter: Filter) -> Result<Watch, Error> {
        self.watch_from(filter, None)
    }

    /// Like [`watch`](Self::watch), but resumes after a revision that was reported before, even before a restart of the
    /// registry. If that is not possible, since the revision is too old or of another epoch, it starts with a snapshot.
    ///
    /// # Errors
    /// See [`watch`](Self::watch).
    pub fn watch_since(&self, filter: Filter, since: Revision) -> Result<Watch, Error> {
        self.watch_from(filter, Some(since))
    }

    /// Returns the revision of the last change.
    pub(crate) fn revision(&self) -> Revision {
        self.inner.state.revision()
    }

    pub(crate) fn watch_from(&self, filter: Filter, since: Option<Revision>) -> Result<Watch, Error> {
        filter.check_watch()?;
        self.check_open()?;
        let subscription = self.inner.state.subscribe(&filter);
        let current = self.revision();
        let known = since.filter(|since| since.epoch == current.epoch && since.number <= current.number);
        let state = if known.is_some() { WatchState::CatchUp } else { WatchState::Snapshot };
        Ok(Watch {
            registry: self.clone(),
            filter,
            subscription,
            closing: self.inner.closing.subscribe(),
            state,
            revision: known.unwrap_or(current),
            pending: VecDeque::new(),
        })
    }
}

impl Watch {
    /// Waits for the next event. It is cancel safe: if the future is dropped, no event is lost.
    ///
    /// # Errors
    /// [`Error::Closed`] if the registry is closed, and [`Error::Storage`] if the database fails.
    pub async fn next(&mut self) -> Result<WatchEvent, Error> {
        loop {
            match self.next_item().await? {
                WatchItem::Snapshot { servers, revision, now } => {
                    let servers = servers.iter().map(|entry| entry.server(now)).collect::<Result<_, _>>()?;
                    return Ok(WatchEvent::Snapshot(Snapshot { servers, revision }));
                }
                WatchItem::Change { kind, which, event } => {
                    let Some(server) = event.side(which).and_then(Side::server).cloned() else { continue };
                    let revision = Revision { number: event.revision, ..self.revision.clone() };
                    return Ok(WatchEvent::Change(Change { revision, kind, at: time(event.at), server }));
                }
            }
        }
    }

    /// Like [`next`](Self::next), but does not parse the event.
    pub(crate) async fn next_item(&mut self) -> Result<WatchItem, Error> {
        loop {
            self.registry.check_open()?;
            while let Some(event) = self.pending.pop_front() {
                if event.revision <= self.revision.number {
                    continue;
                }
                self.revision.number = event.revision;
                if let Some((kind, which)) = event.project_for(&self.filter) {
                    return Ok(WatchItem::Change { kind, which, event });
                }
            }
            match self.state {
                WatchState::Snapshot => return self.snapshot().await,
                WatchState::CatchUp => self.read_changes().await?,
                WatchState::Live => self.listen().await,
            }
        }
    }

    /// Returns whether the next event is a snapshot, which is available without waiting.
    #[cfg(feature = "server")]
    pub(crate) fn is_snapshot_next(&self) -> bool {
        self.state == WatchState::Snapshot
    }

    /// Returns the revision of the last event.
    #[cfg(feature = "server")]
    pub(crate) fn revision(&self) -> &Revision {
        &self.revision
    }

    async fn snapshot(&mut self) -> Result<WatchItem, Error> {
        {
            // Changes that arrive from here on are in the snapshot, or newer.
            let mut mailbox = self.subscription.mailbox();
            mailbox.take();
            (mailbox.overflowed, mailbox.outdated) = (false, false);
        }
        let now = self.registry.now();
        let (servers, revision) = self.registry.readers().await?.snapshot(&self.filter, now).await?;
        self.revision = revision.clone();
        self.state = WatchState::Live;
        Ok(WatchItem::Snapshot { servers, revision, now })
    }

    /// Reads the next changes from the table.
    async fn read_changes(&mut self) -> Result<(), Error> {
        let page = self.registry.readers().await?.changes_after(self.revision.number).await?;
        if !is_continuation(&self.revision, &page.events, &page.revision) {
            self.state = WatchState::Snapshot;
        } else if page.events.is_empty() {
            self.state = WatchState::Live;
        } else {
            self.pending.extend(page.events);
        }
        Ok(())
    }

    /// Waits for changes in the mailbox or until the registry closes.
    async fn listen(&mut self) {
        {
            let mut mailbox = self.subscription.mailbox();
            if std::mem::take(&mut mailbox.outdated) {
                self.state = WatchState::Snapshot;
            } else if std::mem::take(&mut mailbox.overflowed) {
                self.state = WatchState::CatchUp;
            } else {
                self.pending = mailbox.take();
            }
        }
        if self.state == WatchState::Live && self.pending.is_empty() {
            tokio::select! {
                () = self.subscription.notified() => {}
                _ = self.closing.wait_for(|closing| *closing) => {}
            }
        }
    }
}

/// Returns whether changes continue right after a revision: they are of the same epoch, and none is missing.
fn is_continuation(after: &Revision, events: &[Arc<ChangeEvent>], current: &Revision) -> bool {
    let is_gapless = (after.number + 1..).zip(events).all(|(number, event)| event.revision == number);
    let is_complete =
        if events.is_empty() { current.number == after.number } else { current.number >= after.number };
    current.epoch == after.epoch && is_gapless && is_complete
}
