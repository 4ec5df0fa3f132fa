//! The one task that writes: it drains its queue, commits, answers, moves the lease clock on, and prunes.
//!
//! A lone command is run at once; what comes in while it commits waits together and shares the next commit. Pruning is
//! a command like any other, taken in bites behind whoever waits, so that it stands in order with the refreshes: no
//! refresh that was answered is followed by an expiry before its time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::Inner;
use super::lease_clock::TICK;
use super::queue::{Batch, Waiting};
use super::wal_monitor;
use super::wal_monitor::WalWatch;
use crate::clock::Clock;
use crate::store::{Beside, Command, Job, Kept, Moment, Pruned, StoreError, Tally, Writer};
use crate::sync::settled;

/// How often the oldest changes are deleted.
const TRIM_INTERVAL: Duration = Duration::from_mins(1);

/// What the task behind a registry holds, whether it writes or waits to be promoted.
pub(super) struct Seat {
    pub(super) inner: Arc<Inner>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) waiting: Waiting,
    pub(super) closing: watch::Receiver<bool>,
    pub(super) closed: watch::Sender<bool>,
}

pub(super) struct Task {
    pub(super) inner: Arc<Inner>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) waiting: Waiting,
    pub(super) writer: Writer,
    pub(super) beside: Option<Beside>,
    pub(super) prune_interval: Duration,
    pub(super) retention: i64,
    pub(super) kept: Kept,
    pub(super) wal: WalWatch,
    pub(super) closing: watch::Receiver<bool>,
    pub(super) closed: watch::Sender<bool>,
}

/// When what is due next.
struct Schedule {
    tick: Duration,
    prune: Duration,
    trim: Duration,
    wal: Duration,
}

impl Task {
    /// Works until the registry is closed or nobody holds it any more.
    pub(super) async fn run(mut self) {
        self.note(self.inner.lease_clock.now(), false);
        if let Some(Err(error)) = self.beside.as_ref().map(Beside::sync) {
            tracing::warn!(%error, "cannot sync the file beside the database");
        }
        let tick = Duration::from_millis(TICK.unsigned_abs());
        let start = self.clock.monotonic();
        let mut due = Schedule {
            tick: start + tick,
            prune: start + self.prune_interval,
            trim: start + TRIM_INTERVAL,
            wal: start + wal_monitor::LOOK,
        };
        let mut closing = self.closing.clone();
        loop {
            tokio::select! {
                biased;
                () = asked_to_close(&mut closing) => break,
                () = self.clock.sleep_until(due.tick) => {
                    due.tick = Duration::MAX;
                    self.tick(&mut due).await;
                    // From the end of it: one that had to wait for a lock is not due again before those who wait.
                    due.tick = due.tick.min(self.clock.monotonic() + tick);
                }
                command = self.waiting.next() => match command {
                    Some(command) => self.batch(command).await,
                    None => break,
                },
            }
        }
        self.close().await;
    }

    /// Runs what waits, from this command on. A bite of pruning keeps to itself, behind all others: nobody is to wait for
    /// what it deletes.
    async fn batch(&mut self, first: Command) {
        let mut batch = Batch::of(first);
        loop {
            // Who is about to ask gets to ask, and shares the commit. A lone caller loses a microsecond.
            tokio::task::yield_now().await;
            if !self.waiting.fill(&mut batch) {
                break;
            }
        }
        batch.commands.retain(|command| !command.is_abandoned());
        let (bites, others): (Vec<_>, Vec<_>) = batch.commands.into_iter().partition(Command::is_prune);
        if !others.is_empty() {
            self.commit(others).await;
        }
        if !bites.is_empty() {
            self.commit(bites).await;
        }
    }

    async fn commit(&mut self, mut batch: Vec<Command>) {
        let now = self.inner.lease_clock.tick();
        let told = self.writer.revision();
        let begin = self.clock.monotonic();
        match settled(self.writer.run(&mut batch, now)).await {
            Ok(committed) => {
                let mut tally = Tally::default();
                for command in &batch {
                    command.tally(&mut tally);
                }
                let took = self.clock.monotonic().saturating_sub(begin);
                self.inner.counts.committed(batch.len(), took, now.wall, tally);
                if committed && self.inner.lease_clock.is_paused() {
                    self.inner.lease_clock.resume();
                    tracing::info!("the database takes writes again; leases run on after a standstill");
                }
            }
            Err(error) => {
                // Whatever keeps heartbeats from being committed stops the leases. A registration that is too large for
                // what is left of the disk does not.
                let lasting = matches!(error, StoreError::Busy) || batch.iter().any(Command::is_refresh);
                if lasting || !self.can_commit().await {
                    self.pause(&error);
                }
            }
        }
        if self.writer.revision() != told {
            self.note(now, false);
        }
        batch.into_iter().for_each(Command::answer);
        self.writer.publish();
    }

    /// Whether the smallest commit there is succeeds.
    async fn can_commit(&mut self) -> bool {
        let now = self.inner.lease_clock.tick();
        settled(self.writer.run(&mut [Command::Commit(Job::new(()).0)], now)).await.is_ok()
    }

    fn pause(&self, error: &StoreError) {
        if !self.inner.lease_clock.is_paused() {
            self.inner.lease_clock.pause();
            tracing::error!(%error, "the database takes no writes; leases stand still until it does");
        }
    }

    /// Four times a second: moves the lease clock on and does what is due.
    async fn tick(&mut self, due: &mut Schedule) {
        let now = self.inner.lease_clock.tick();
        self.note(now, false);
        let monotonic = self.clock.monotonic();
        if monotonic >= due.wal {
            due.wal = monotonic + wal_monitor::LOOK;
            self.wal.look(self.inner.wal_bytes());
        }
        if self.inner.lease_clock.is_paused() {
            // Together with what waits: who asks meanwhile shares the attempt, and does not wait for the next one.
            self.batch(Command::Commit(Job::new(()).0)).await;
            return;
        }
        match settled(self.writer.is_overtaken()).await {
            Ok(false) => {}
            Ok(true) => self.commit(vec![Command::Commit(Job::new(()).0)]).await,
            Err(error) => {
                tracing::error!(%error, "cannot see whether somebody else has written to the database");
            }
        }
        if monotonic >= due.prune {
            due.prune = monotonic + self.prune_interval;
            if self.prune(now).await {
                due.prune = monotonic;
                due.tick = monotonic;
            }
        }
        if self.writer.is_unindexed() {
            let (job, mut answer) = Job::new(());
            self.batch(Command::Index(job)).await;
            // At once again, with whoever waits, until all are made. After an error not before the next turn.
            if matches!(answer.try_recv(), Ok(Ok(()))) {
                due.tick = monotonic;
            }
        }
        if monotonic >= due.trim {
            due.trim = monotonic + TRIM_INTERVAL;
            self.commit(vec![Command::Trim(Job::new(self.kept).0)]).await;
        }
    }

    /// Takes one bite, together with what waits, if there is anything to prune; says whether there is more.
    async fn prune(&mut self, now: Moment) -> bool {
        if !self.writer.is_prunable(self.retention, now) {
            return false;
        }
        let (job, mut answer) = Job::new(self.retention);
        self.batch(Command::Prune(job)).await;
        answer.try_recv().is_ok_and(|pruned| pruned.is_ok_and(|pruned| tell(&pruned)))
    }

    /// Keeps the lease clock in the file beside the database.
    fn note(&mut self, now: Moment, clean: bool) {
        let Some(beside) = &mut self.beside else { return };
        if let Err(error) = beside.write(&super::recovery::record(&self.writer, now, clean)) {
            tracing::warn!(%error, "cannot keep the lease clock beside the database");
        }
    }

    async fn close(mut self) {
        self.waiting.close();
        while let Some(command) = self.waiting.next().await {
            self.batch(command).await;
        }
        let (job, answer) = Job::new(());
        self.commit(vec![Command::Commit(job)]).await;
        let clean = matches!(answer.await, Ok(Ok(())));
        let now = self.inner.lease_clock.now();
        self.note(now, clean);
        if let Some(readers) = self.inner.readers.write().await.take() {
            settled(readers.close()).await;
        }
        settled(self.writer.close()).await;
        drop(self.beside);
        self.closed.send_replace(true);
    }
}

/// Logs what has expired, and says whether there is more to prune.
pub(super) fn tell(pruned: &Pruned) -> bool {
    for (id, name) in &pruned.expired {
        tracing::info!(id, name, "expired");
    }
    pruned.more
}

pub(super) async fn asked_to_close(closing: &mut watch::Receiver<bool>) {
    // The sender lives in `Inner`, which the task holds itself.
    let _ = closing.wait_for(|closing| *closing).await;
}
