//! The only task that writes: it executes commands, advances the lease clock and prunes.
//!
//! A single command is executed at once; commands that arrive during a commit share the next one. Pruning is a command like
//! any other, executed in batches after waiting commands, so that it is ordered with refreshes: an acknowledged refresh is
//! never followed by an early expiry.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::Inner;
use super::lease_clock::TICK_MS;
use super::queue::{Batch, CommandReceiver};
use super::wal_monitor;
use super::wal_monitor::WalMonitor;
use crate::clock::Clock;
use crate::store::{
    BatchCounts, ChangeRetention, Job, LeaseFile, Moment, PruneOutcome, StoreError, WriteCommand, Writer,
};
use crate::sync::await_sqlite;

/// How often the oldest changes are deleted.
const TRIM_INTERVAL: Duration = Duration::from_mins(1);

/// What the task of a primary and that of a standby have in common.
pub(super) struct TaskContext {
    pub(super) inner: Arc<Inner>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) commands: CommandReceiver,
    pub(super) closing: watch::Receiver<bool>,
    pub(super) closed: watch::Sender<bool>,
}

/// The task behind a primary.
pub(super) struct WriterTask {
    pub(super) inner: Arc<Inner>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) commands: CommandReceiver,
    pub(super) writer: Writer,
    pub(super) lease_file: Option<LeaseFile>,
    pub(super) prune_interval: Duration,
    pub(super) retention: i64,
    pub(super) change_retention: ChangeRetention,
    pub(super) wal_monitor: WalMonitor,
    pub(super) closing: watch::Receiver<bool>,
    pub(super) closed: watch::Sender<bool>,
}

/// The recurring jobs of a tick.
struct Schedule {
    prune: Timer,
    trim: Timer,
    wal: Timer,
}

/// When a recurring job is due.
struct Timer {
    interval: Duration,
    next: Duration,
}

impl Timer {
    fn new(interval: Duration, now: Duration) -> Self {
        Self { interval, next: now + interval }
    }

    /// Returns whether the job is due, and schedules its next run if so.
    fn is_due(&mut self, now: Duration) -> bool {
        let is_due = now >= self.next;
        if is_due {
            self.next = now + self.interval;
        }
        is_due
    }
}

impl WriterTask {
    /// Runs until the registry is closed or all handles are dropped.
    pub(super) async fn run(mut self) {
        self.persist_lease_clock(self.inner.lease_clock.now(), false);
        if let Some(Err(error)) = self.lease_file.as_ref().map(LeaseFile::sync) {
            tracing::warn!(%error, "cannot sync the lease file");
        }
        let tick = Duration::from_millis(TICK_MS.unsigned_abs());
        let start = self.clock.monotonic();
        let mut schedule = Schedule {
            prune: Timer::new(self.prune_interval, start),
            trim: Timer::new(TRIM_INTERVAL, start),
            wal: Timer::new(wal_monitor::POLL_INTERVAL, start),
        };
        let mut next_tick = start + tick;
        let mut closing = self.closing.clone();
        loop {
            tokio::select! {
                biased;
                () = close_requested(&mut closing) => break,
                () = self.clock.sleep_until(next_tick) => {
                    let started = self.clock.monotonic();
                    let has_more_work = self.tick(&mut schedule).await;
                    // From the end of the tick: if it had to wait for a lock, waiting commands come before the next one.
                    next_tick = if has_more_work { started } else { self.clock.monotonic() + tick };
                }
                command = self.commands.next() => match command {
                    Some(command) => self.execute(command).await,
                    None => break,
                },
            }
        }
        self.close().await;
    }

    /// Executes a command and all waiting ones. Pruning has a commit of its own after the others, so that no caller waits
    /// for it.
    async fn execute(&mut self, first: WriteCommand) {
        let mut batch = Batch::of(first);
        loop {
            // Callers that are about to send a command can share the commit. A single caller loses a microsecond.
            tokio::task::yield_now().await;
            if !self.commands.fill(&mut batch) {
                break;
            }
        }
        batch.commands.retain(|command| !command.is_abandoned());
        let (prunes, others): (Vec<_>, Vec<_>) = batch.commands.into_iter().partition(WriteCommand::is_prune);
        if !others.is_empty() {
            self.commit(others).await;
        }
        if !prunes.is_empty() {
            self.commit(prunes).await;
        }
    }

    async fn commit(&mut self, mut batch: Vec<WriteCommand>) {
        let now = self.inner.lease_clock.tick();
        let revision_before = self.writer.revision();
        let begin = self.clock.monotonic();
        match await_sqlite(self.writer.run(&mut batch, now)).await {
            Ok(committed) => {
                let mut counts = BatchCounts::default();
                for command in &batch {
                    command.count_into(&mut counts);
                }
                let took = self.clock.monotonic().saturating_sub(begin);
                self.inner.counters.record_commit(batch.len(), took, now.wall, counts);
                if committed && self.inner.lease_clock.is_paused() {
                    self.inner.lease_clock.resume();
                    tracing::info!("the database is writable again; leases continue after the grace period");
                }
            }
            Err(error) => {
                // Leases are paused if heartbeats cannot be committed, but not for a registration that is too large for the
                // rest of the disk.
                let blocks_refreshes =
                    matches!(error, StoreError::Busy) || batch.iter().any(WriteCommand::is_refresh);
                if blocks_refreshes || !self.can_commit().await {
                    self.pause(&error);
                }
            }
        }
        if self.writer.revision() != revision_before {
            self.persist_lease_clock(now, false);
        }
        batch.into_iter().for_each(WriteCommand::reply);
        self.writer.publish();
    }

    /// Returns whether an empty commit succeeds.
    async fn can_commit(&mut self) -> bool {
        let now = self.inner.lease_clock.tick();
        await_sqlite(self.writer.run(&mut [WriteCommand::Commit(Job::new(()).0)], now)).await.is_ok()
    }

    fn pause(&self, error: &StoreError) {
        if !self.inner.lease_clock.is_paused() {
            self.inner.lease_clock.pause();
            tracing::error!(%error, "the database is not writable; leases are paused until it is");
        }
    }

    /// Advances the lease clock and runs the jobs that are due. Returns whether there is more work to do at once.
    async fn tick(&mut self, schedule: &mut Schedule) -> bool {
        let now = self.inner.lease_clock.tick();
        self.persist_lease_clock(now, false);
        let monotonic = self.clock.monotonic();
        if schedule.wal.is_due(monotonic) {
            self.wal_monitor.check(self.inner.wal_bytes());
        }
        if self.inner.lease_clock.is_paused() {
            // Together with waiting commands, so that their callers do not wait for the next attempt.
            self.execute(WriteCommand::Commit(Job::new(()).0)).await;
            return false;
        }
        match await_sqlite(self.writer.modified_externally()).await {
            Ok(false) => {}
            Ok(true) => self.commit(vec![WriteCommand::Commit(Job::new(()).0)]).await,
            Err(error) => {
                tracing::error!(%error, "cannot determine whether another process has written to the database");
            }
        }
        let mut has_more_work = false;
        if schedule.prune.is_due(monotonic) && self.prune(now).await {
            schedule.prune.next = monotonic;
            has_more_work = true;
        }
        if self.writer.is_unindexed() {
            let (job, mut outcome) = Job::new(());
            self.execute(WriteCommand::Index(job)).await;
            // Repeated at once until all servers are indexed, but after an error not before the next tick.
            has_more_work |= matches!(outcome.try_recv(), Ok(Ok(())));
        }
        if schedule.trim.is_due(monotonic) {
            self.commit(vec![WriteCommand::Trim(Job::new(self.change_retention).0)]).await;
        }
        has_more_work
    }

    /// Prunes one batch, together with waiting commands. Returns whether there is more to prune.
    async fn prune(&mut self, now: Moment) -> bool {
        if !self.writer.is_prunable(self.retention, now) {
            return false;
        }
        let (job, mut outcome) = Job::new(self.retention);
        self.execute(WriteCommand::Prune(job)).await;
        outcome.try_recv().is_ok_and(|pruned| pruned.is_ok_and(|pruned| log_expired(&pruned)))
    }

    /// Writes the lease clock to the lease file.
    fn persist_lease_clock(&mut self, now: Moment, clean: bool) {
        let Some(lease_file) = &mut self.lease_file else { return };
        if let Err(error) = lease_file.write(&super::recovery::lease_file_contents(&self.writer, now, clean))
        {
            tracing::warn!(%error, "cannot write the lease file");
        }
    }

    async fn close(mut self) {
        self.commands.close();
        while let Some(command) = self.commands.next().await {
            self.execute(command).await;
        }
        let (job, outcome) = Job::new(());
        self.commit(vec![WriteCommand::Commit(job)]).await;
        let clean = matches!(outcome.await, Ok(Ok(())));
        let now = self.inner.lease_clock.now();
        self.persist_lease_clock(now, clean);
        if let Some(readers) = self.inner.readers.write().await.take() {
            await_sqlite(readers.close()).await;
        }
        await_sqlite(self.writer.close()).await;
        drop(self.lease_file);
        self.closed.send_replace(true);
    }
}

/// Logs the expired servers of a prune. Returns whether there is more to prune.
pub(super) fn log_expired(pruned: &PruneOutcome) -> bool {
    for (id, name) in &pruned.expired {
        tracing::info!(id, name, "expired");
    }
    pruned.more
}

pub(super) async fn close_requested(closing: &mut watch::Receiver<bool>) {
    // The sender is in `Inner`, which the task owns.
    let _ = closing.wait_for(|closing| *closing).await;
}
