//! Watching: a snapshot, and then every change in its order, with no gap and no repeat.
//!
//! A watcher subscribes first and reads then, so that nothing falls in between; what it has read already is left out by its
//! number. It reads the table `changes` to resume, and when it was too slow for its box of news; where that does not reach
//! back far enough, or belongs to another history, it begins with a snapshot again.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::watch;

use super::{Error, Registry};
use crate::model::{Change, ChangeKind, Filter, Revision, Snapshot, Watched};
use crate::store::{Entry, Event, Moment, Side, Subscription, Which, time};

/// A watcher of a registry, see [`Registry::watch`].
///
/// It holds the registry as any other handle does.
#[derive(Debug)]
pub struct Watch {
    registry: Registry,
    filter: Filter,
    subscription: Subscription,
    closing: watch::Receiver<bool>,
    place: Place,
    /// The number of the change that it has come to, and the history that this belongs to.
    reached: Revision,
    ready: VecDeque<Arc<Event>>,
}

/// Where a watcher goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// With a snapshot.
    Snapshot,
    /// In the table.
    Table,
    /// With what it is told.
    News,
}

/// One thing that a watcher is told, not parsed.
pub(crate) enum Item {
    Snapshot { servers: Vec<Entry>, revision: Revision, now: Moment },
    Change { kind: ChangeKind, which: Which, event: Arc<Event> },
}

impl Registry {
    /// Tells of the servers that match a filter: all of them first, and then every change of them, in its order.
    ///
    /// Servers in it are alive. `expired` comes when a lease runs out, `registered` also when a late refresh revives it;
    /// refreshes and the later deletion are no change. A slow watcher holds nobody up.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use paulina::{Filter, Registration, Registry, Watched};
    ///
    /// let registry = Registry::in_memory().await?;
    /// let mut watch = registry.watch(Filter::new().tool("read_file"))?;
    /// let Watched::Snapshot(snapshot) = watch.next().await? else { unreachable!() };
    /// assert!(snapshot.servers.is_empty());
    /// registry.register(Registration::stdio("files", ["mcp-files"]).tool("read_file")).await?;
    /// let Watched::Change(change) = watch.next().await? else { unreachable!() };
    /// assert_eq!(change.server.name, "files");
    /// # registry.close().await;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidFilter`] for what cannot be watched: `q`, a cursor, definitions in full, what is unhealthy.
    pub fn watch(&self, filter: Filter) -> Result<Watch, Error> {
        self.watch_from(filter, None)
    }

    /// As [`watch`](Self::watch), going on right after a revision that was told before, of whichever run of this registry.
    /// Where that cannot be, since it is too long ago or belongs to another history, it begins with a snapshot.
    ///
    /// # Errors
    /// As [`watch`](Self::watch).
    pub fn watch_since(&self, filter: Filter, since: Revision) -> Result<Watch, Error> {
        self.watch_from(filter, Some(since))
    }

    /// The revision of what was written last.
    pub(crate) fn newest(&self) -> Revision {
        self.inner.live.revision()
    }

    pub(crate) fn watch_from(&self, filter: Filter, since: Option<Revision>) -> Result<Watch, Error> {
        filter.check_watch()?;
        self.check_open()?;
        let subscription = self.inner.live.subscribe(&filter);
        let here = self.newest();
        let known = since.filter(|since| since.epoch == here.epoch && since.number <= here.number);
        let place = if known.is_some() { Place::Table } else { Place::Snapshot };
        Ok(Watch {
            registry: self.clone(),
            filter,
            subscription,
            closing: self.inner.closing.subscribe(),
            place,
            reached: known.unwrap_or(here),
            ready: VecDeque::new(),
        })
    }
}

impl Watch {
    /// Waits for the next thing to tell. Nothing is lost when this is dropped before it is done.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::Storage`].
    pub async fn next(&mut self) -> Result<Watched, Error> {
        loop {
            match self.next_item().await? {
                Item::Snapshot { servers, revision, now } => {
                    let servers = servers.iter().map(|entry| entry.server(now)).collect::<Result<_, _>>()?;
                    return Ok(Watched::Snapshot(Snapshot { servers, revision }));
                }
                Item::Change { kind, which, event } => {
                    let Some(server) = event.side(which).and_then(Side::server).cloned() else { continue };
                    let revision = Revision { number: event.revision, ..self.reached.clone() };
                    return Ok(Watched::Change(Change { revision, kind, at: time(event.at), server }));
                }
            }
        }
    }

    /// As [`next`](Self::next), not parsed.
    pub(crate) async fn next_item(&mut self) -> Result<Item, Error> {
        loop {
            self.registry.check_open()?;
            while let Some(event) = self.ready.pop_front() {
                if event.revision <= self.reached.number {
                    continue;
                }
                self.reached.number = event.revision;
                if let Some((kind, which)) = event.seen_by(&self.filter) {
                    return Ok(Item::Change { kind, which, event });
                }
            }
            match self.place {
                Place::Snapshot => return self.snapshot().await,
                Place::Table => self.read_on().await?,
                Place::News => self.listen().await,
            }
        }
    }

    /// Whether the next thing is a snapshot, which is there at once.
    #[cfg(feature = "server")]
    pub(crate) fn begins_anew(&self) -> bool {
        self.place == Place::Snapshot
    }

    /// How far it has come.
    #[cfg(feature = "server")]
    pub(crate) fn reached(&self) -> &Revision {
        &self.reached
    }

    async fn snapshot(&mut self) -> Result<Item, Error> {
        {
            // What is told from here on is newer than what is read then, or the same.
            let mut news = self.subscription.news();
            news.take();
            (news.overflowed, news.outdated) = (false, false);
        }
        let now = self.registry.now();
        let (servers, revision) = self.registry.readers().await?.snapshot(&self.filter, now).await?;
        self.reached = revision.clone();
        self.place = Place::News;
        Ok(Item::Snapshot { servers, revision, now })
    }

    /// Reads the table on from where it has come to.
    async fn read_on(&mut self) -> Result<(), Error> {
        let passage = self.registry.readers().await?.changes_after(self.reached.number).await?;
        let same = passage.reached.epoch == self.reached.epoch;
        let next = passage.events.first().map(|event| event.revision);
        let whole =
            passage.events.windows(2).all(|two| matches!(two, [a, b] if a.revision + 1 == b.revision));
        match next {
            _ if !same || passage.reached.number < self.reached.number => self.place = Place::Snapshot,
            None if passage.reached.number == self.reached.number => self.place = Place::News,
            Some(number) if whole && number == self.reached.number + 1 => self.ready.extend(passage.events),
            // What came in between is no longer kept.
            _ => self.place = Place::Snapshot,
        }
        Ok(())
    }

    /// Waits until it is told something, or the registry closes.
    async fn listen(&mut self) {
        {
            let mut news = self.subscription.news();
            if std::mem::take(&mut news.outdated) {
                self.place = Place::Snapshot;
            } else if std::mem::take(&mut news.overflowed) {
                self.place = Place::Table;
            } else {
                self.ready = news.take();
            }
        }
        if self.place == Place::News && self.ready.is_empty() {
            tokio::select! {
                () = self.subscription.told() => {}
                _ = self.closing.wait_for(|closing| *closing) => {}
            }
        }
    }
}
