//! How a registry is opened.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{RwLock, watch};

use super::counters::Counts;
use super::lease_clock::LeaseClock;
use super::queue::queue;
use super::wal_monitor::WalWatch;
use super::writer_task::{Seat, Task};
use super::{Inner, Registry, recovery};
use crate::clock::{Clock, SystemClock};
use crate::store::{self, Beside, Kept, Known, Location, OpenError, Writer};

/// How many bytes of answers are kept.
pub(crate) const ANSWER_BYTES: u64 = 32 * 1024 * 1024;

/// How a registry is opened.
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
    pub(super) answer_bytes: u64,
    kept: Kept,
    pub(super) primary: Option<String>,
    clock: Option<Arc<dyn Clock>>,
}

/// How much of the past is kept for watchers that resume: 10,000 changes, 64 MiB of summaries in them, a week.
pub(crate) const KEPT: Kept = Kept { rows: 10_000, bytes: 64 * 1024 * 1024, age: 7 * 24 * 60 * 60 * 1_000 };

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    /// Pruned every second, nothing retained, by the system's clock.
    #[must_use]
    pub fn new() -> Self {
        Self {
            prune_interval: Duration::from_secs(1),
            retention: Duration::ZERO,
            answer_bytes: ANSWER_BYTES,
            kept: KEPT,
            primary: None,
            clock: None,
        }
    }

    /// How often leases that have run out are looked for. At least a quarter of a second.
    #[must_use]
    pub fn prune_interval(mut self, interval: Duration) -> Self {
        self.prune_interval = interval;
        self
    }

    /// How long an unhealthy server stays before it is deleted.
    #[must_use]
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// How many bytes of memory answers may take that are kept to be given again; 32 MiB if not set. With 0 every answer
    /// is made anew.
    #[must_use]
    pub fn answer_cache(mut self, bytes: u64) -> Self {
        self.answer_bytes = bytes;
        self
    }

    /// How many changes are kept for watchers that resume; 10,000 if not set. One that lacks more begins with a snapshot.
    #[must_use]
    pub fn kept_changes(mut self, rows: u64) -> Self {
        self.kept.rows = rows;
        self
    }

    /// How many bytes of summaries are kept in changes; 64 MiB if not set.
    #[must_use]
    pub fn kept_bytes(mut self, bytes: u64) -> Self {
        self.kept.bytes = bytes;
        self
    }

    /// How long changes are kept, looked at once a minute; a week if not set.
    #[must_use]
    pub fn kept_time(mut self, time: Duration) -> Self {
        self.kept.age = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// Where the primary is: what a [standby](Options::standby) says to whoever wants to write.
    #[must_use]
    pub fn primary(mut self, url: impl Into<String>) -> Self {
        self.primary = Some(url.into());
        self
    }

    /// Where time comes from.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Opens the registry in a file, and creates the file if there is none; `:memory:` for one in memory.
    ///
    /// # Errors
    /// See [`OpenError`]. The file is then as it was.
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

    /// A registry, and the task that is to run for it.
    pub(super) async fn prepare(self, path: &Path) -> Result<(Registry, Task), OpenError> {
        let location = Location::of(path)?;
        let mut opened = store::open(&location, Known::Anew(self.answer_bytes)).await?;
        let clock = self.time();
        let wall = clock.wall().timestamp_millis();
        let leases = opened.writer.opened_with_leases();
        let lease = recovery::lease_time(&mut opened.writer, opened.beside.as_mut(), wall).await;
        let lease = lease.map_err(|error| recovery::failed(&location, &error))?;
        let (queue, waiting) = queue();
        let (closed_sender, closed) = watch::channel(false);
        let inner = Arc::new(Inner {
            lease_clock: LeaseClock::new(Arc::clone(&clock), lease, leases),
            counts: Counts::default(),
            live: opened.writer.live(),
            database: location.file().map(Path::to_owned).map_or_else(OnceLock::new, OnceLock::from),
            readers: RwLock::new(Some(opened.readers)),
            standby: false.into(),
            primary: None,
            closing: watch::Sender::new(false),
            closed,
        });
        let registry = Registry { queue, inner: Arc::clone(&inner), retention: self.retained() };
        let seat = Seat { closing: inner.closing.subscribe(), inner, clock, waiting, closed: closed_sender };
        Ok((registry, self.task(seat, opened.writer, opened.beside)))
    }

    pub(super) fn time(&self) -> Arc<dyn Clock> {
        self.clock.clone().unwrap_or_else(|| Arc::new(SystemClock::new()))
    }

    /// The retention, in milliseconds.
    pub(super) fn retained(&self) -> i64 {
        i64::try_from(self.retention.as_millis()).unwrap_or(i64::MAX)
    }

    /// The task of a primary.
    pub(super) fn task(self, seat: Seat, writer: Writer, beside: Option<Beside>) -> Task {
        let retention = self.retained();
        let Seat { inner, clock, waiting, closing, closed } = seat;
        Task {
            inner,
            clock,
            waiting,
            writer,
            beside,
            prune_interval: self.prune_interval,
            retention,
            kept: self.kept,
            wal: WalWatch::default(),
            closing,
            closed,
        }
    }
}
