//! A read-only registry that serves copies of another registry's database, until it is promoted.
//!
//! The caller provides each newer copy (a restored replica, a backup, a file from the network). Leases are paused between
//! copies, since their state is as old as the copy. A promotion installs a last copy as the registry's own database and
//! begins a new epoch, since watchers of the other registry may have seen changes that no copy contains. Handles to the
//! registry stay valid.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::{RwLock, mpsc, oneshot, watch};

use super::counters::Counters;
use super::lease_clock::LeaseClock;
use super::queue::command_queue;
use super::writer_task::{TaskContext, WriterTask, close_requested};
use super::{Inner, Options, Registry, recovery};
use crate::store::{self, InitialState, Location, OpenError, SnapshotDatabase};
use crate::sync::await_sqlite;

/// A read-only registry that serves copies of another registry's database, until it is promoted.
///
/// Its handles read the newest copy. Writes are rejected with [`Error::Standby`](super::Error::Standby).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use paulina::{Options, Registration, Registry};
///
/// # let folder = tempfile::tempdir()?;
/// # let at = |name: &str| folder.path().join(name);
/// let primary = Registry::open(at("paulina.db")).await?;
/// primary.register(Registration::stdio("files", ["mcp-files"]).id("files")).await?;
/// primary.close().await;
///
/// // On another machine: a copy arrives, and later a newer one.
/// std::fs::copy(at("paulina.db"), at("copy-1"))?;
/// let standby = Options::new().standby(at("copy-1")).await?;
/// let registry = standby.registry();
/// assert!(registry.get("files").await?.is_some());
/// assert!(registry.refresh("files").await.is_err());
///
/// // The primary is lost.
/// std::fs::copy(at("copy-1"), at("last"))?;
/// standby.promote(at("last"), at("promoted.db")).await?;
/// registry.refresh("files").await?;
/// registry.close().await;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Standby {
    registry: Registry,
    commands: mpsc::Sender<StandbyCommand>,
}

/// A command to the task of a standby.
#[derive(Debug)]
enum StandbyCommand {
    Follow(PathBuf, oneshot::Sender<Result<(), OpenError>>),
    Promote { copy: PathBuf, database: PathBuf, done: oneshot::Sender<Result<(), OpenError>> },
}

impl Options {
    /// Opens a copy of another registry's database read-only. The file must not change while it is open; a newer copy has to
    /// be another file, possibly with the same name.
    ///
    /// # Errors
    /// If the copy cannot be opened or is not a Paulina database, see [`OpenError`].
    pub async fn standby(self, copy: impl AsRef<Path>) -> Result<Standby, OpenError> {
        let snapshot = SnapshotDatabase::open(copy.as_ref()).await?;
        tracing::info!(as_of = %store::time(snapshot.committed_at), "started as a standby, serving a copy");
        let clock = self.clock_or_system();
        let lease_clock = LeaseClock::new(Arc::clone(&clock), snapshot.committed, false);
        lease_clock.pause();
        let counters = Counters::default();
        counters.record_snapshot(snapshot.committed_at);
        let (state, readers) = snapshot.start(self.cache_bytes);
        let (sender, receiver) = command_queue();
        let (closed_sender, closed) = watch::channel(false);
        let inner = Arc::new(Inner {
            lease_clock,
            counters,
            state,
            database: std::sync::OnceLock::new(),
            readers: RwLock::new(Some(readers)),
            standby: true.into(),
            primary: self.primary.clone(),
            closing: watch::Sender::new(false),
            closed,
        });
        let (commands, standby_commands) = mpsc::channel(1);
        let registry =
            Registry { commands: sender, inner: Arc::clone(&inner), retention: self.retention_ms() };
        let closing = inner.closing.subscribe();
        let context = TaskContext { inner, clock, commands: receiver, closing, closed: closed_sender };
        tokio::spawn(StandbyTask { options: self, context, commands: standby_commands }.run());
        Ok(Standby { registry, commands })
    }
}

impl Standby {
    /// Returns a handle to the registry, which stays valid after a promotion.
    #[must_use]
    pub fn registry(&self) -> Registry {
        self.registry.clone()
    }

    /// Switches to a newer copy. Watchers are notified of the changes, or get a new snapshot if the copy is of another epoch
    /// or does not reach back far enough. After a promotion this does nothing.
    ///
    /// # Errors
    /// If the copy cannot be opened, see [`OpenError`]. The previous copy stays in use.
    pub async fn follow(&self, copy: impl AsRef<Path>) -> Result<(), OpenError> {
        let (done, outcome) = oneshot::channel();
        let copy = copy.as_ref();
        self.send(StandbyCommand::Follow(copy.to_owned(), done), outcome, copy).await
    }

    /// Promotes the standby to a primary: moves a copy to the path of its database, opens it and begins a new epoch. Leases
    /// continue after a grace period of five seconds. After a promotion this does nothing.
    ///
    /// Make sure that the other registry no longer runs as a primary: nothing prevents two primaries, and neither sees the
    /// registrations of the other.
    ///
    /// # Errors
    /// If the database exists already or the registry is closed, for example, see [`OpenError`]. It then stays a standby.
    pub async fn promote(&self, copy: impl AsRef<Path>, database: impl AsRef<Path>) -> Result<(), OpenError> {
        let (done, outcome) = oneshot::channel();
        let (copy, database) = (copy.as_ref().to_owned(), database.as_ref());
        self.send(StandbyCommand::Promote { copy, database: database.to_owned(), done }, outcome, database)
            .await
    }

    async fn send(
        &self,
        command: StandbyCommand,
        outcome: oneshot::Receiver<Result<(), OpenError>>,
        path: &Path,
    ) -> Result<(), OpenError> {
        let sent = self.commands.send(command).await;
        let outcome = if sent.is_ok() { outcome.await.ok() } else { None };
        // Without an outcome the task has ended: the registry was promoted or closed.
        outcome.unwrap_or_else(|| {
            if self.registry.is_standby() {
                let reason = std::io::Error::other("the registry was closed");
                return Err(OpenError::Io { path: path.to_owned(), reason });
            }
            Ok(())
        })
    }
}

/// The task behind a standby. On promotion it becomes a [`WriterTask`].
struct StandbyTask {
    options: Options,
    context: TaskContext,
    commands: mpsc::Receiver<StandbyCommand>,
}

impl StandbyTask {
    async fn run(mut self) {
        let mut closing = self.context.closing.clone();
        loop {
            let command = tokio::select! {
                biased;
                () = close_requested(&mut closing) => break,
                // A standby gets no commands from its handles: all of them have been dropped.
                _ = self.context.commands.next() => break,
                Some(command) = self.commands.recv() => command,
            };
            match command {
                StandbyCommand::Follow(copy, done) => {
                    let _ = done.send(self.follow(&copy).await);
                }
                StandbyCommand::Promote { copy, database, done } => match self.open(&copy, &database).await {
                    Ok((writer, lease_file)) => {
                        let task = self.into_task(writer, lease_file);
                        let _ = done.send(Ok(()));
                        return task.run().await;
                    }
                    Err(error) => {
                        let _ = done.send(Err(error));
                    }
                },
            }
        }
        if let Some(readers) = self.context.inner.readers.write().await.take() {
            await_sqlite(readers.close()).await;
        }
        self.context.closed.send_replace(true);
    }

    async fn follow(&self, copy: &Path) -> Result<(), OpenError> {
        let snapshot = SnapshotDatabase::open(copy).await?;
        self.context.inner.counters.record_snapshot(snapshot.committed_at);
        // Waits until no reader uses the previous copy.
        let mut readers = self.context.inner.readers.write().await;
        let committed = snapshot.committed;
        let previous = readers.replace(snapshot.replace_in(&self.context.inner.state));
        self.context.inner.lease_clock.set(committed);
        drop(readers);
        if let Some(previous) = previous {
            await_sqlite(previous.close()).await;
        }
        Ok(())
    }

    /// Installs and opens the database of the future primary.
    async fn open(
        &self,
        copy: &Path,
        database: &Path,
    ) -> Result<(store::Writer, store::LeaseFile), OpenError> {
        let location = Location::of(database)?;
        if location == Location::Memory {
            let reason = std::io::Error::other("a promoted registry needs a database in a file");
            return Err(OpenError::Io { path: database.to_owned(), reason });
        }
        // The lock is held until the promotion is complete or the database is moved back.
        let mut lease_file = store::install_copy(copy, location.path()).await?;
        match self.open_installed(&location, &mut lease_file).await {
            Ok(writer) => Ok((writer, lease_file)),
            Err(error) => {
                // Move the copy back, so that the promotion can be retried.
                let _ = std::fs::rename(location.path(), copy);
                Err(error)
            }
        }
    }

    async fn open_installed(
        &self,
        location: &Location,
        lease_file: &mut store::LeaseFile,
    ) -> Result<store::Writer, OpenError> {
        let wall = self.context.clock.wall().timestamp_millis();
        let mut readers = self.context.inner.readers.write().await;
        let known = InitialState::Existing(Arc::clone(&self.context.inner.state));
        let (mut writer, opened) = store::open_locked(location.path(), known).await?;
        let lease = recovery::recover_lease_time(&mut writer, Some(lease_file), wall).await;
        let lease = lease.map_err(|error| recovery::recovery_error(location, &error))?;
        let previous = readers.replace(opened);
        self.context.inner.lease_clock.set(lease);
        drop(readers);
        let _ = self.context.inner.database.set(location.path().to_owned());
        if let Some(previous) = previous {
            await_sqlite(previous.close()).await;
        }
        Ok(writer)
    }

    fn into_task(self, writer: store::Writer, lease_file: store::LeaseFile) -> WriterTask {
        self.context.inner.lease_clock.resume();
        self.context.inner.standby.store(false, Ordering::SeqCst);
        tracing::warn!(epoch = writer.revision().epoch, "promoted to primary, with a new epoch");
        self.options.writer_task(self.context, writer, Some(lease_file))
    }
}
