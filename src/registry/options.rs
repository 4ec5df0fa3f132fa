//! Options for opening a registry.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{RwLock, watch};

use super::counters::Counters;
use super::lease_clock::LeaseClock;
use super::queue::command_queue;
use super::wal_monitor::WalMonitor;
use super::writer_task::{TaskContext, WriterTask};
use super::{Inner, Registry, recovery};
use crate::clock::{Clock, SystemClock};
use crate::store::{self, ChangeRetention, InitialState, LeaseFile, Location, OpenError, Writer};

/// The default maximum size of the response cache.
pub(crate) const DEFAULT_CACHE_BYTES: u64 = 32 * 1024 * 1024;

/// Options for opening a registry.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), paulina::OpenError> {
/// use std::time::Duration;
///
/// let registry = paulina::Options::new().retention(Duration::from_secs(60)).open(":memory:").await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Options {
    prune_interval: Duration,
    retention: Duration,
    pub(super) cache_bytes: u64,
    change_retention: ChangeRetention,
    pub(super) primary: Option<String>,
    clock: Option<Arc<dyn Clock>>,
}

/// The default history for watchers that resume: 10,000 changes, 64 MiB of summaries, a week.
pub(crate) const DEFAULT_CHANGE_RETENTION: ChangeRetention =
    ChangeRetention { rows: 10_000, bytes: 64 * 1024 * 1024, age: 7 * 24 * 60 * 60 * 1_000 };

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    /// Creates the default options: pruned every second, no retention, the system's clock.
    #[must_use]
    pub fn new() -> Self {
        Self {
            prune_interval: Duration::from_secs(1),
            retention: Duration::ZERO,
            cache_bytes: DEFAULT_CACHE_BYTES,
            change_retention: DEFAULT_CHANGE_RETENTION,
            primary: None,
            clock: None,
        }
    }

    /// Sets how often expired servers are pruned: every second by default, and at most every 250 milliseconds.
    #[must_use]
    pub fn prune_interval(mut self, interval: Duration) -> Self {
        self.prune_interval = interval;
        self
    }

    /// Sets how long an unhealthy server is retained before it is deleted; zero by default.
    #[must_use]
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// Sets the maximum size of the response cache in bytes; 32 MiB by default. 0 disables it.
    #[must_use]
    pub fn cache_bytes(mut self, bytes: u64) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// Sets the maximum number of changes in the history; 10,000 by default. Watchers that need older changes to resume get a
    /// snapshot.
    #[must_use]
    pub fn history_max_changes(mut self, rows: u64) -> Self {
        self.change_retention.rows = rows;
        self
    }

    /// Sets the maximum size of the summaries in the history in bytes; 64 MiB by default.
    #[must_use]
    pub fn history_max_bytes(mut self, bytes: u64) -> Self {
        self.change_retention.bytes = bytes;
        self
    }

    /// Sets the maximum age of changes in the history, applied once a minute; a week by default.
    #[must_use]
    pub fn history_max_age(mut self, age: Duration) -> Self {
        self.change_retention.age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// Sets the URL of the primary, which a [standby](Options::standby) names when it rejects a write.
    #[must_use]
    pub fn primary(mut self, url: impl Into<String>) -> Self {
        self.primary = Some(url.into());
        self
    }

    /// Sets the clock; the system's clock by default.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Opens the registry in a file, which is created if it does not exist; `:memory:` opens one in memory.
    ///
    /// # Errors
    /// If the file is not a Paulina database, is served by another process or cannot be written, see [`OpenError`]. The file
    /// is then unchanged.
    pub async fn open(self, path: impl AsRef<Path>) -> Result<Registry, OpenError> {
        let path = path.as_ref();
        let (registry, task) = self.prepare(path).await?;
        tokio::spawn(task.run());
        registry
            .check_writable()
            .await
            .map_err(|error| OpenError::Migration { path: path.to_owned(), detail: error.to_string() })?;
        Ok(registry)
    }

    /// Opens a registry and returns it with the task that has to run for it.
    pub(super) async fn prepare(self, path: &Path) -> Result<(Registry, WriterTask), OpenError> {
        let location = Location::of(path)?;
        let mut opened = store::open(&location, InitialState::New(self.cache_bytes)).await?;
        let clock = self.clock_or_system();
        let wall = clock.wall().timestamp_millis();
        let has_leases = opened.writer.opened_with_leases();
        let lease = recovery::recover_lease_time(&mut opened.writer, opened.lease_file.as_mut(), wall).await;
        let lease = lease.map_err(|error| recovery::recovery_error(&location, &error))?;
        let (sender, receiver) = command_queue();
        let (closed_sender, closed) = watch::channel(false);
        let inner = Arc::new(Inner {
            lease_clock: LeaseClock::new(Arc::clone(&clock), lease, has_leases),
            counters: Counters::default(),
            state: opened.writer.state(),
            database: location.file().map(Path::to_owned).map_or_else(OnceLock::new, OnceLock::from),
            readers: RwLock::new(Some(opened.readers)),
            standby: false.into(),
            primary: None,
            closing: watch::Sender::new(false),
            closed,
        });
        let registry =
            Registry { commands: sender, inner: Arc::clone(&inner), retention: self.retention_ms() };
        let closing = inner.closing.subscribe();
        let context = TaskContext { inner, clock, commands: receiver, closing, closed: closed_sender };
        Ok((registry, self.writer_task(context, opened.writer, opened.lease_file)))
    }

    pub(super) fn clock_or_system(&self) -> Arc<dyn Clock> {
        self.clock.clone().unwrap_or_else(|| Arc::new(SystemClock::new()))
    }

    /// Returns the retention in milliseconds.
    pub(super) fn retention_ms(&self) -> i64 {
        i64::try_from(self.retention.as_millis()).unwrap_or(i64::MAX)
    }

    /// Creates the task of a primary.
    pub(super) fn writer_task(
        self,
        context: TaskContext,
        writer: Writer,
        lease_file: Option<LeaseFile>,
    ) -> WriterTask {
        let retention = self.retention_ms();
        let TaskContext { inner, clock, commands, closing, closed } = context;
        WriterTask {
            inner,
            clock,
            commands,
            writer,
            lease_file,
            prune_interval: self.prune_interval,
            retention,
            change_retention: self.change_retention,
            wal_monitor: WalMonitor::default(),
            closing,
            closed,
        }
    }
}
