//! The registry in process: a handle that is cheap to clone, over one task that writes and a few connections that read.
//!
//! Writing goes through a queue to the task, and is answered when it is committed. Reading goes straight to SQLite.

mod counters;
mod error;
#[cfg(all(test, feature = "shuttle"))]
mod interleaving_tests;
mod lease_clock;
mod options;
mod queue;
mod recovery;
mod standby;
mod tokens;
mod wal_monitor;
mod watch;
mod write;
mod writer_task;

pub use error::Error;
pub use options::Options;
pub use standby::Standby;
#[cfg(feature = "server")]
pub(crate) use watch::Item;
pub use watch::Watch;

#[cfg(feature = "cli")]
pub(crate) use options::{ANSWER_BYTES, KEPT};
#[cfg(feature = "cli")]
pub(crate) use wal_monitor::bytes as wal_bytes;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::{RwLock, RwLockReadGuard, watch as watch_channel};

use crate::model::{Filter, FilterError, LeaseState, Page, Position, Server, Stats, ToolPage};
use crate::store::{Command, Entry, Found, Job, Live, Moment, OpenError, Readers, Tools};
use counters::Counts;
use lease_clock::LeaseClock;
use queue::{Queue, answer};

/// A registry of MCP servers, in this process.
///
/// Cloning gives another handle to the same registry. When the last handle is dropped, or one of them is
/// [closed](Self::close), the task behind it stops and leaves the file clean.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use paulina::{Filter, Registration, Registry};
///
/// let registry = Registry::in_memory().await?;
/// let registered = registry
///     .register(Registration::stdio("filesystem", ["/usr/local/bin/mcp-filesystem"]).tool("read_file").tag("local"))
///     .await?;
/// registry.refresh(&registered).await?;
///
/// let page = registry.find(Filter::new().tool("read_file")).await?;
/// assert_eq!(page.servers[0].name, "filesystem");
/// registry.close().await;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Registry {
    queue: Queue,
    inner: Arc<Inner>,
    retention: i64,
}

/// What the handles and the task share.
struct Inner {
    lease_clock: LeaseClock,
    counts: Counts,
    live: Arc<Live>,
    readers: RwLock<Option<Readers>>,
    /// The file; none in memory, nor of a standby.
    database: OnceLock<PathBuf>,
    standby: AtomicBool,
    /// Where those are to go who want to write to a standby.
    primary: Option<String>,
    closing: watch_channel::Sender<bool>,
    closed: watch_channel::Receiver<bool>,
}

impl Inner {
    fn wal_bytes(&self) -> u64 {
        self.database.get().map_or(0, |database| wal_monitor::bytes(database))
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Inner").field("lease_clock", &self.lease_clock).finish_non_exhaustive()
    }
}

impl Registry {
    /// Opens the registry in a file, and creates the file if there is none. The path `:memory:` means
    /// [`in_memory`](Self::in_memory).
    ///
    /// # Errors
    /// When the file is no database of Paulina's, is served by another process, or cannot be written; see
    /// [`OpenError`]. The file is then as it was.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Options::new().open(path).await
    }

    /// A registry that is gone with the process.
    ///
    /// # Errors
    /// When SQLite cannot make a database in memory.
    pub async fn in_memory() -> Result<Self, OpenError> {
        Options::new().open(":memory:").await
    }

    /// Whether it only answers, see [`Standby`].
    #[must_use]
    pub fn is_standby(&self) -> bool {
        self.inner.standby.load(Ordering::SeqCst)
    }

    pub(crate) fn now(&self) -> Moment {
        self.inner.lease_clock.now()
    }

    async fn ask<I, O>(&self, input: I, command: impl FnOnce(Job<I, O>) -> Command) -> Result<O, Error> {
        if self.is_standby() {
            return Err(Error::Standby { primary: self.inner.primary.clone() });
        }
        let (job, receiver) = Job::new(input);
        self.queue.send(command(job)).await?;
        answer(receiver).await
    }

    /// One server with all that it registered; none if the id is not registered.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::Storage`].
    pub async fn get(&self, id: &str) -> Result<Option<Server>, Error> {
        let now = self.now();
        Ok(self.row(id, now).await?.map(|row| row.server(now)).transpose()?)
    }

    /// As [`get`](Self::get), not parsed.
    pub(crate) async fn row(&self, id: &str, now: Moment) -> Result<Option<Entry>, Error> {
        self.check_open()?;
        match self.inner.counts.asked(self.inner.live.server(id)) {
            Some(row) => Ok(Some(row)),
            None => Ok(self.readers().await?.server(id, now).await?),
        }
    }

    /// The servers that match a filter, a page of them.
    ///
    /// # Errors
    /// [`Error::InvalidFilter`], [`Error::Closed`], [`Error::Storage`].
    pub async fn find(&self, filter: Filter) -> Result<Page, Error> {
        Ok(self.found(filter).await?.page()?)
    }

    /// As [`find`](Self::find), not parsed.
    pub(crate) async fn found(&self, filter: Filter) -> Result<Found, Error> {
        filter.check()?;
        check_position(&filter, |position| match position {
            Position::Server(_) => filter.words.is_none(),
            Position::RankedServer(..) => filter.words.is_some(),
            Position::Tool(_) | Position::RankedTool(..) => false,
        })?;
        self.check_open()?;
        let now = self.now();
        match self.inner.counts.asked(self.inner.live.servers(&filter, now)) {
            Some(found) => Ok(found),
            None => Ok(self.readers().await?.servers(filter, now).await?),
        }
    }

    /// The tools that match a filter, each once, with the servers that offer it. Here the filters `tool` and `q` choose
    /// tools, and all others choose servers.
    ///
    /// # Errors
    /// [`Error::InvalidFilter`], [`Error::Closed`], [`Error::Storage`].
    pub async fn tools(&self, filter: Filter) -> Result<Arc<ToolPage>, Error> {
        Ok(Arc::clone(&self.tools_found(filter).await?.page))
    }

    /// As [`tools`](Self::tools), with its JSON.
    pub(crate) async fn tools_found(&self, filter: Filter) -> Result<Arc<Tools>, Error> {
        filter.check()?;
        check_position(&filter, |position| match position {
            Position::Tool(_) => filter.words.is_none(),
            Position::RankedTool(..) => filter.words.is_some(),
            Position::Server(_) | Position::RankedServer(..) => false,
        })?;
        self.check_open()?;
        let now = self.now();
        match self.inner.counts.asked(self.inner.live.tools(&filter, now)) {
            Some(tools) => Ok(tools),
            None => Ok(self.readers().await?.tools(filter, now).await?),
        }
    }

    /// Whether a server is alive, and what is left of its lease; none if the id is not registered.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn health(&self, id: &str) -> Result<Option<LeaseState>, Error> {
        self.check_open()?;
        Ok(self.inner.live.health(id, self.now()))
    }

    /// Totals of all that is registered.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::Storage`].
    pub async fn stats(&self) -> Result<Stats, Error> {
        self.check_open()?;
        let now = self.now();
        match self.inner.counts.asked(self.inner.live.stats(now)) {
            Some(stats) => Ok(stats),
            None => Ok(self.readers().await?.stats(now).await?),
        }
    }

    /// The reading connections, while there are any.
    async fn readers(&self) -> Result<RwLockReadGuard<'_, Readers>, Error> {
        let readers = self.inner.readers.read().await;
        RwLockReadGuard::try_map(readers, Option::as_ref).map_err(|_| Error::Closed)
    }

    fn check_open(&self) -> Result<(), Error> {
        if *self.inner.closed.borrow() { Err(Error::Closed) } else { Ok(()) }
    }

    /// Deletes now what has expired, instead of at the next turn of the pruner.
    ///
    /// # Errors
    /// [`Error::StorageFull`] and the like.
    pub async fn prune(&self) -> Result<(), Error> {
        while writer_task::tell(&self.ask(self.retention, Command::Prune).await?) {}
        Ok(())
    }

    /// Commits nothing, to see that the database takes writes.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn check_writable(&self) -> Result<(), Error> {
        self.ask((), Command::Commit).await
    }

    /// A number that is another one once something has changed that answers depend on, but for time.
    #[cfg(feature = "server")]
    pub(crate) fn version(&self) -> u64 {
        self.inner.live.version()
    }

    /// What metrics tell of the registry.
    #[cfg(feature = "server")]
    pub(crate) fn vitals(&self) -> Vitals {
        Vitals {
            servers: self.inner.live.servers_held(),
            standby: self.is_standby(),
            wal_bytes: self.inner.wal_bytes(),
            paused: !self.is_standby() && self.inner.lease_clock.is_paused(),
            waiting: self.queue.waiting(),
        }
    }

    /// What it has done since it was opened.
    #[cfg(feature = "server")]
    pub(crate) fn counts(&self) -> &Counts {
        &self.inner.counts
    }

    /// Finishes what was asked, stops the task and closes the file. Every handle is closed then.
    pub async fn close(&self) {
        self.inner.closing.send_replace(true);
        let mut closed = self.inner.closed.clone();
        // An error means that the task is gone, and with it the connections.
        let _ = closed.wait_for(|closed| *closed).await;
    }
}

/// See [`Registry::vitals`].
#[cfg(feature = "server")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vitals {
    /// Registered servers.
    pub(crate) servers: usize,
    /// Whether it only answers.
    pub(crate) standby: bool,
    /// The size of the write-ahead log.
    pub(crate) wal_bytes: u64,
    /// Whether lease time stands still because nothing can be committed.
    pub(crate) paused: bool,
    /// Commands that wait for the writer.
    pub(crate) waiting: usize,
}

/// A cursor belongs to one kind of question.
fn check_position(filter: &Filter, fits: impl FnOnce(&Position) -> bool) -> Result<(), FilterError> {
    if filter.after.as_ref().is_none_or(fits) {
        return Ok(());
    }
    let detail = "belongs to another kind of query; begin again without one".to_owned();
    Err(FilterError { parameter: "cursor".to_owned(), detail })
}
