//! The in-process registry: a cheaply cloned handle to one writing task and a pool of reading connections.
//!
//! Writes go through a queue to the task and return once they are committed. Reads go directly to the response cache or to
//! SQLite.

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
pub use watch::Watch;
#[cfg(feature = "server")]
pub(crate) use watch::WatchItem;

#[cfg(feature = "cli")]
pub(crate) use options::{DEFAULT_CACHE_BYTES, DEFAULT_CHANGE_RETENTION};
#[cfg(feature = "cli")]
pub(crate) use wal_monitor::wal_bytes;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::{RwLock, RwLockReadGuard, watch as watch_channel};

use crate::model::{Filter, FilterError, LeaseState, Page, Position, Server, Stats, ToolPage};
use crate::store::{
    CommittedState, Entry, FindResult, Job, Moment, OpenError, Readers, ToolsResult, WriteCommand,
};
use counters::Counters;
use lease_clock::LeaseClock;
use queue::{CommandSender, receive_outcome};

/// A registry of MCP servers in this process.
///
/// A clone is another handle to the same registry. When the last handle is dropped, or any of them is
/// [closed](Self::close), the writing task stops and closes the database cleanly.
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
    commands: CommandSender,
    inner: Arc<Inner>,
    retention: i64,
}

/// The state that handles and the task share.
struct Inner {
    lease_clock: LeaseClock,
    counters: Counters,
    state: Arc<CommittedState>,
    readers: RwLock<Option<Readers>>,
    /// The path of the database; not set in memory or for a standby.
    database: OnceLock<PathBuf>,
    standby: AtomicBool,
    /// The URL of the primary, for callers that try to write to a standby.
    primary: Option<String>,
    closing: watch_channel::Sender<bool>,
    closed: watch_channel::Receiver<bool>,
}

impl Inner {
    fn wal_bytes(&self) -> u64 {
        self.database.get().map_or(0, |database| wal_monitor::wal_bytes(database))
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Inner").field("lease_clock", &self.lease_clock).finish_non_exhaustive()
    }
}

impl Registry {
    /// Opens the registry in a file, which is created if it does not exist. The path `:memory:` opens one
    /// [in memory](Self::in_memory).
    ///
    /// # Errors
    /// If the file is not a Paulina database, is served by another process or cannot be written, see [`OpenError`]. The file
    /// is then unchanged.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Options::new().open(path).await
    }

    /// Opens a registry in memory, which is lost when it is closed.
    ///
    /// # Errors
    /// If SQLite cannot create a database in memory.
    pub async fn in_memory() -> Result<Self, OpenError> {
        Options::new().open(":memory:").await
    }

    /// Returns whether the registry is a read-only [`Standby`].
    #[must_use]
    pub fn is_standby(&self) -> bool {
        self.inner.standby.load(Ordering::SeqCst)
    }

    pub(crate) fn now(&self) -> Moment {
        self.inner.lease_clock.now()
    }

    async fn execute<I, O>(
        &self,
        input: I,
        command: impl FnOnce(Job<I, O>) -> WriteCommand,
    ) -> Result<O, Error> {
        if self.is_standby() {
            return Err(Error::Standby { primary: self.inner.primary.clone() });
        }
        let (job, receiver) = Job::new(input);
        self.commands.send(command(job)).await?;
        receive_outcome(receiver).await
    }

    /// Returns a server with its whole record, or `None` if the id is not registered.
    ///
    /// # Errors
    /// [`Error::Closed`] if the registry is closed, and [`Error::Storage`] if the database fails.
    pub async fn get(&self, id: &str) -> Result<Option<Server>, Error> {
        let now = self.now();
        Ok(self.get_entry(id, now).await?.map(|entry| entry.server(now)).transpose()?)
    }

    /// Like [`get`](Self::get), but does not parse the record.
    pub(crate) async fn get_entry(&self, id: &str, now: Moment) -> Result<Option<Entry>, Error> {
        self.check_open()?;
        match self.inner.counters.record_cache_lookup(self.inner.state.server(id)) {
            Some(entry) => Ok(Some(entry)),
            None => Ok(self.readers().await?.server(id, now).await?),
        }
    }

    /// Returns a page of the servers that match a filter.
    ///
    /// # Errors
    /// [`Error::InvalidFilter`] if the filter is not valid, [`Error::Closed`] if the registry is closed, and
    /// [`Error::Storage`] if the database fails.
    pub async fn find(&self, filter: Filter) -> Result<Page, Error> {
        Ok(self.find_entries(filter).await?.page()?)
    }

    /// Like [`find`](Self::find), but does not parse the records.
    pub(crate) async fn find_entries(&self, filter: Filter) -> Result<FindResult, Error> {
        filter.check()?;
        check_position(&filter, |position| match position {
            Position::Server(_) => filter.search.is_none(),
            Position::RankedServer(..) => filter.search.is_some(),
            Position::Tool(_) | Position::RankedTool(..) => false,
        })?;
        self.check_open()?;
        let now = self.now();
        match self.inner.counters.record_cache_lookup(self.inner.state.servers(&filter, now)) {
            Some(result) => Ok(result),
            None => Ok(self.readers().await?.servers(filter, now).await?),
        }
    }

    /// Returns a page of the tools that match a filter: each name once, with the servers that offer it. Here
    /// [`Filter::tool`] and [`Filter::search`] select tools; all other filters select servers.
    ///
    /// # Errors
    /// [`Error::InvalidFilter`] if the filter is not valid, [`Error::Closed`] if the registry is closed, and
    /// [`Error::Storage`] if the database fails.
    pub async fn tools(&self, filter: Filter) -> Result<Arc<ToolPage>, Error> {
        Ok(Arc::clone(&self.find_tools(filter).await?.page))
    }

    /// Like [`tools`](Self::tools), with the JSON of the page.
    pub(crate) async fn find_tools(&self, filter: Filter) -> Result<Arc<ToolsResult>, Error> {
        filter.check()?;
        check_position(&filter, |position| match position {
            Position::Tool(_) => filter.search.is_none(),
            Position::RankedTool(..) => filter.search.is_some(),
            Position::Server(_) | Position::RankedServer(..) => false,
        })?;
        self.check_open()?;
        let now = self.now();
        match self.inner.counters.record_cache_lookup(self.inner.state.tools(&filter, now)) {
            Some(tools) => Ok(tools),
            None => Ok(self.readers().await?.tools(filter, now).await?),
        }
    }

    /// Returns a server's health and lease, or `None` if the id is not registered.
    ///
    /// # Errors
    /// [`Error::Closed`] if the registry is closed.
    pub fn health(&self, id: &str) -> Result<Option<LeaseState>, Error> {
        self.check_open()?;
        Ok(self.inner.state.health(id, self.now()))
    }

    /// Returns totals of the registered servers, tools, resources and prompts.
    ///
    /// # Errors
    /// [`Error::Closed`] if the registry is closed, and [`Error::Storage`] if the database fails.
    pub async fn stats(&self) -> Result<Stats, Error> {
        self.check_open()?;
        let now = self.now();
        match self.inner.counters.record_cache_lookup(self.inner.state.stats(now)) {
            Some(stats) => Ok(stats),
            None => Ok(self.readers().await?.stats(now).await?),
        }
    }

    /// Returns the reading connections, while the registry is open.
    async fn readers(&self) -> Result<RwLockReadGuard<'_, Readers>, Error> {
        let readers = self.inner.readers.read().await;
        RwLockReadGuard::try_map(readers, Option::as_ref).map_err(|_| Error::Closed)
    }

    fn check_open(&self) -> Result<(), Error> {
        if *self.inner.closed.borrow() { Err(Error::Closed) } else { Ok(()) }
    }

    /// Prunes expired servers now instead of at the next prune interval.
    ///
    /// # Errors
    /// If the write fails: [`Error::StorageFull`], [`Error::Overloaded`], [`Error::Standby`], [`Error::Closed`],
    /// [`Error::Storage`].
    pub async fn prune(&self) -> Result<(), Error> {
        while writer_task::log_expired(&self.execute(self.retention, WriteCommand::Prune).await?) {}
        Ok(())
    }

    /// Checks that the database is writable, with an empty commit.
    ///
    /// # Errors
    /// If it is not: [`Error::StorageFull`], [`Error::Overloaded`], [`Error::Standby`], [`Error::Closed`],
    /// [`Error::Storage`].
    pub async fn check_writable(&self) -> Result<(), Error> {
        self.execute((), WriteCommand::Commit).await
    }

    /// Returns a number that changes with everything that responses depend on, except time.
    #[cfg(feature = "server")]
    pub(crate) fn version(&self) -> u64 {
        self.inner.state.version()
    }

    /// Returns the current state of the registry, for metrics.
    #[cfg(feature = "server")]
    pub(crate) fn registry_stats(&self) -> RegistryStats {
        RegistryStats {
            servers: self.inner.state.server_count(),
            standby: self.is_standby(),
            wal_bytes: self.inner.wal_bytes(),
            paused: !self.is_standby() && self.inner.lease_clock.is_paused(),
            queue_length: self.commands.queue_length(),
        }
    }

    /// Returns the counters since the registry was opened, for metrics.
    #[cfg(feature = "server")]
    pub(crate) fn counters(&self) -> &Counters {
        &self.inner.counters
    }

    /// Executes all queued commands, stops the task and closes the database. This closes all handles.
    pub async fn close(&self) {
        self.inner.closing.send_replace(true);
        let mut closed = self.inner.closed.clone();
        // An error means that the task has ended, and its connections are closed.
        let _ = closed.wait_for(|closed| *closed).await;
    }
}

/// The current state of a registry, see [`Registry::registry_stats`].
#[cfg(feature = "server")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct RegistryStats {
    /// Registered servers.
    pub(crate) servers: usize,
    /// Whether it is a read-only standby.
    pub(crate) standby: bool,
    /// The size of the write-ahead log in bytes.
    pub(crate) wal_bytes: u64,
    /// Whether leases are paused because nothing can be committed.
    pub(crate) paused: bool,
    /// Commands that wait for the writer.
    pub(crate) queue_length: usize,
}

/// Checks that a cursor belongs to this kind of query.
fn check_position(filter: &Filter, is_valid: impl FnOnce(&Position) -> bool) -> Result<(), FilterError> {
    if filter.after.as_ref().is_none_or(is_valid) {
        return Ok(());
    }
    let detail = "belongs to another kind of query; start without a cursor".to_owned();
    Err(FilterError { parameter: "cursor".to_owned(), detail })
}
