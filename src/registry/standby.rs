//! A registry that answers from copies of another one's database, until it is promoted.
//!
//! Whoever brings the copies (a restore from a replica, a backup, a file over the network) says where each newer one lies.
//! Leases stand still in between: what a copy says of them is as old as the copy. Promoting opens a last copy, now at a
//! place of its own, as a registry opens its file; a new epoch begins there, since the other registry may have told
//! changes that no copy holds. The handles to the registry stay what they are.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::{RwLock, mpsc, oneshot, watch};

use super::counters::Counts;
use super::lease_clock::LeaseClock;
use super::queue::queue;
use super::writer_task::{Seat, Task, asked_to_close};
use super::{Inner, Options, Registry, recovery};
use crate::store::{self, Copied, Known, Location, OpenError};
use crate::sync::settled;

/// A registry that answers from copies of another one's database, until it is promoted.
///
/// Its handles find, watch and tell health as of the newest copy; whatever writes is refused with
/// [`Error::Standby`](super::Error::Standby).
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
    orders: mpsc::Sender<Order>,
}

/// What the task is told.
#[derive(Debug)]
enum Order {
    Follow(PathBuf, oneshot::Sender<Result<(), OpenError>>),
    Promote { copy: PathBuf, database: PathBuf, done: oneshot::Sender<Result<(), OpenError>> },
}

impl Options {
    /// Opens a copy of another registry's database to be read. The copy must not change any more: a newer one is another
    /// file, perhaps of the same name.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn standby(self, copy: impl AsRef<Path>) -> Result<Standby, OpenError> {
        let copied = Copied::open(copy.as_ref()).await?;
        tracing::info!(as_of = %store::time(copied.committed_at), "a standby: it answers from a copy");
        let clock = self.time();
        let lease_clock = LeaseClock::new(Arc::clone(&clock), copied.committed, false);
        lease_clock.pause();
        let counts = Counts::default();
        counts.copied(copied.committed_at);
        let (live, readers) = copied.begin(self.answer_bytes);
        let (queue, waiting) = queue();
        let (closed_sender, closed) = watch::channel(false);
        let inner = Arc::new(Inner {
            lease_clock,
            counts,
            live,
            database: std::sync::OnceLock::new(),
            readers: RwLock::new(Some(readers)),
            standby: true.into(),
            primary: self.primary.clone(),
            closing: watch::Sender::new(false),
            closed,
        });
        let (orders, received) = mpsc::channel(1);
        let registry = Registry { queue, inner: Arc::clone(&inner), retention: self.retained() };
        let seat = Seat { closing: inner.closing.subscribe(), inner, clock, waiting, closed: closed_sender };
        tokio::spawn(Following { options: self, seat, orders: received }.run());
        Ok(Standby { registry, orders })
    }
}

impl Standby {
    /// A handle to the registry, which stays good when it is promoted.
    #[must_use]
    pub fn registry(&self) -> Registry {
        self.registry.clone()
    }

    /// Answers from a newer copy from now on. Watchers are told what has changed; they begin with a snapshot again where
    /// the copy is of another history, or does not reach back to what they know.
    ///
    /// # Errors
    /// See [`OpenError`]; the copy before stays in use. Once promoted, the copy is let be.
    pub async fn follow(&self, copy: impl AsRef<Path>) -> Result<(), OpenError> {
        let (done, answer) = oneshot::channel();
        let copy = copy.as_ref();
        self.order(Order::Follow(copy.to_owned(), done), answer, copy).await
    }

    /// Makes it a primary: moves a copy to where its database is to be, opens it there, and begins a new epoch. Leases
    /// stand still for five seconds and run on. Once promoted, this does nothing.
    ///
    /// Make sure first that the other registry is no primary any more: nobody keeps two of them from going on, and what is
    /// registered with the one is unknown to the other.
    ///
    /// # Errors
    /// See [`OpenError`]: there is a database at that place already, say, or the registry was closed. It goes on as a standby
    /// then.
    pub async fn promote(&self, copy: impl AsRef<Path>, database: impl AsRef<Path>) -> Result<(), OpenError> {
        let (done, answer) = oneshot::channel();
        let (copy, database) = (copy.as_ref().to_owned(), database.as_ref());
        self.order(Order::Promote { copy, database: database.to_owned(), done }, answer, database).await
    }

    async fn order(
        &self,
        order: Order,
        answer: oneshot::Receiver<Result<(), OpenError>>,
        path: &Path,
    ) -> Result<(), OpenError> {
        let sent = self.orders.send(order).await;
        let answered = if sent.is_ok() { answer.await.ok() } else { None };
        // Nobody takes orders any more who is a primary, or closed.
        answered.unwrap_or_else(|| {
            if self.registry.is_standby() {
                let reason = std::io::Error::other("the registry was closed");
                return Err(OpenError::Io { path: path.to_owned(), reason });
            }
            Ok(())
        })
    }
}

/// The task behind a standby. Promoted, it is that of a primary.
struct Following {
    options: Options,
    seat: Seat,
    orders: mpsc::Receiver<Order>,
}

impl Following {
    async fn run(mut self) {
        let mut closing = self.seat.closing.clone();
        loop {
            let order = tokio::select! {
                biased;
                () = asked_to_close(&mut closing) => break,
                // Nobody sends commands to a standby: this is the end of its last handle.
                _ = self.seat.waiting.next() => break,
                Some(order) = self.orders.recv() => order,
            };
            match order {
                Order::Follow(copy, done) => {
                    let _ = done.send(self.follow(&copy).await);
                }
                Order::Promote { copy, database, done } => match self.open(&copy, &database).await {
                    Ok((writer, beside)) => {
                        let task = self.into_task(writer, beside);
                        let _ = done.send(Ok(()));
                        return task.run().await;
                    }
                    Err(error) => {
                        let _ = done.send(Err(error));
                    }
                },
            }
        }
        if let Some(readers) = self.seat.inner.readers.write().await.take() {
            settled(readers.close()).await;
        }
        self.seat.closed.send_replace(true);
    }

    async fn follow(&self, copy: &Path) -> Result<(), OpenError> {
        let copied = Copied::open(copy).await?;
        self.seat.inner.counts.copied(copied.committed_at);
        // Whoever reads is done with the copy before.
        let mut readers = self.seat.inner.readers.write().await;
        let committed = copied.committed;
        let before = readers.replace(copied.succeed(&self.seat.inner.live));
        self.seat.inner.lease_clock.set(committed);
        drop(readers);
        if let Some(before) = before {
            settled(before.close()).await;
        }
        Ok(())
    }

    /// Opens the database of the primary that this one is to be.
    async fn open(&self, copy: &Path, database: &Path) -> Result<(store::Writer, store::Beside), OpenError> {
        let location = Location::of(database)?;
        if location == Location::Memory {
            let reason = std::io::Error::other("a primary that is to go on needs a database in a file");
            return Err(OpenError::Io { path: database.to_owned(), reason });
        }
        // The lock is held until it is a primary, or the place is empty again.
        let mut beside = store::adopt(copy, location.path()).await?;
        match self.open_adopted(&location, &mut beside).await {
            Ok(writer) => Ok((writer, beside)),
            Err(error) => {
                // Another try is to find what this one has found.
                let _ = std::fs::rename(location.path(), copy);
                Err(error)
            }
        }
    }

    async fn open_adopted(
        &self,
        location: &Location,
        beside: &mut store::Beside,
    ) -> Result<store::Writer, OpenError> {
        let wall = self.seat.clock.wall().timestamp_millis();
        let mut readers = self.seat.inner.readers.write().await;
        let known = Known::Of(Arc::clone(&self.seat.inner.live));
        let (mut writer, opened) = store::open_locked(location.path(), known).await?;
        let lease = recovery::lease_time(&mut writer, Some(beside), wall).await;
        let lease = lease.map_err(|error| recovery::failed(location, &error))?;
        let before = readers.replace(opened);
        self.seat.inner.lease_clock.set(lease);
        drop(readers);
        let _ = self.seat.inner.database.set(location.path().to_owned());
        if let Some(before) = before {
            settled(before.close()).await;
        }
        Ok(writer)
    }

    fn into_task(self, writer: store::Writer, beside: store::Beside) -> Task {
        self.seat.inner.lease_clock.resume();
        self.seat.inner.standby.store(false, Ordering::SeqCst);
        tracing::warn!(epoch = writer.revision().epoch, "promoted: a primary from now on, in a new epoch");
        self.options.task(self.seat, writer, Some(beside))
    }
}
