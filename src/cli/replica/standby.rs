//! Runs a standby: restores it from the replica repeatedly until it is promoted.
//!
//! Each copy is restored as a whole. A copy is therefore either complete or absent, is never written while it is read, and the
//! operation that a promotion depends on is exercised all the time. (`litestream restore -f` writes to the file that is being
//! read: a reader that stays connected blocks it forever, and it cannot continue after being killed.)

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::sync::{mpsc, oneshot};

use super::Replica;
use super::litestream::{ReplicaPosition, remove_database};
use super::peer::Peer;
use crate::clock::{Clock, SystemClock};
use crate::registry::{Options, Standby};
use crate::store::{Companion, LeaseFile, OpenError, lock_database, resolve_symlinks};

/// The minimum pause, as a multiple of the duration of the last restore.
const PAUSE_FACTOR: u32 = 10;

/// A request for promotion: whether it is forced, and where to send the result.
type PromotionRequest = (bool, oneshot::Sender<Result<(), String>>);

/// The sending half of the channel for promotion requests.
#[derive(Debug, Clone)]
pub(in crate::cli) struct PromotionSender(mpsc::Sender<PromotionRequest>);

/// The receiving half of the channel for promotion requests.
pub(in crate::cli) struct PromotionRequests(mpsc::Receiver<PromotionRequest>);

/// Creates a channel for promotion requests.
pub(in crate::cli) fn promotion_channel() -> (PromotionSender, PromotionRequests) {
    let (sender, receiver) = mpsc::channel(1);
    (PromotionSender(sender), PromotionRequests(receiver))
}

impl PromotionSender {
    /// Promotes the standby, or returns why it cannot be promoted. Succeeds if this registry is already a primary.
    pub(in crate::cli) async fn promote(&self, force: bool) -> Result<(), String> {
        let (sender, result) = oneshot::channel();
        if self.0.send((force, sender)).await.is_err() {
            return Ok(());
        }
        result.await.unwrap_or_else(|_| Err("the registry is stopping".to_owned()))
    }
}

/// The task that restores and promotes a standby.
pub(in crate::cli) struct StandbyRestorer {
    replica: Replica,
    /// Path of the database once the standby is promoted.
    database: PathBuf,
    /// Path of the latest restored copy.
    copy: PathBuf,
    interval: Duration,
    peer: Option<Peer>,
    /// Keeps other standbys from restoring to the same path.
    _lock: LeaseFile,
    clock: SystemClock,
    /// The position of the latest copy.
    position: Option<ReplicaPosition>,
    is_failing: bool,
}

impl StandbyRestorer {
    pub(in crate::cli) async fn new(
        replica: Replica,
        database: &Path,
        interval: Duration,
        peer: Option<Peer>,
    ) -> anyhow::Result<Self> {
        if database == Path::new(":memory:") {
            bail!("--standby requires a database in a file");
        }
        let database = resolve_symlinks(database)?;
        let copy = Companion::Standby.path(&database);
        let lock = lock_database(&copy).await?;
        let clock = SystemClock::new();
        Ok(Self {
            replica,
            database,
            copy,
            interval,
            peer,
            _lock: lock,
            clock,
            position: None,
            is_failing: false,
        })
    }

    /// Waits for the first copy. While the replica cannot be restored, uses a copy from an earlier run if there is one.
    pub(in crate::cli) async fn open_standby(&mut self, options: Options) -> Result<Standby, OpenError> {
        let mut is_logged = false;
        loop {
            match self.restore_if_newer().await {
                Ok(Some(position)) => {
                    let standby = options.standby(self.staging_path()).await?;
                    self.install_copy(position);
                    return Ok(standby);
                }
                Ok(None) if is_logged => {}
                Ok(None) => {
                    is_logged = true;
                    tracing::info!(replica = self.replica.url(), "the replica is empty; waiting");
                }
                Err(error) => self.report_failure(&error),
            }
            if self.copy.exists()
                && let Ok(standby) = options.clone().standby(&self.copy).await
            {
                tracing::warn!(copy = %self.copy.display(), "serving the copy that was restored last");
                return Ok(standby);
            }
            tokio::time::sleep(self.interval).await;
        }
    }

    /// Updates the standby with newer copies until it is promoted.
    pub(in crate::cli) async fn run(
        mut self,
        standby: Standby,
        PromotionRequests(mut requests): PromotionRequests,
    ) {
        let mut pause = self.interval;
        loop {
            tokio::select! {
                biased;
                request = requests.recv() => {
                    let Some((force, reply)) = request else { return };
                    let promoted = self.promote(&standby, force).await;
                    let is_promoted = promoted.is_ok();
                    let _ = reply.send(promoted.map_err(|error| format!("{error:#}")));
                    if is_promoted {
                        return;
                    }
                }
                duration = async { tokio::time::sleep(pause).await; self.update(&standby).await } => {
                    pause = self.interval.max(duration * PAUSE_FACTOR);
                }
            }
        }
    }

    /// Updates the standby if the replica has changed, and returns how long that took.
    async fn update(&mut self, standby: &Standby) -> Duration {
        let start = self.clock.monotonic();
        let updated = match self.restore_if_newer().await {
            Ok(Some(position)) => {
                let updated = standby.follow(self.staging_path()).await;
                updated.map(|()| self.install_copy(position)).map_err(anyhow::Error::from)
            }
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = updated {
            self.report_failure(&error);
        } else if std::mem::take(&mut self.is_failing) {
            tracing::info!("the replica can be restored again");
        }
        self.clock.monotonic().saturating_sub(start)
    }

    /// Restores the replica if it has changed since the last copy. Checks for a new epoch when the current one has not changed.
    async fn restore_if_newer(&self) -> anyhow::Result<Option<ReplicaPosition>> {
        let epoch = self.position.as_ref().map_or(1, |position| position.number);
        let latest = match &self.position {
            Some(before) => match self.replica.position(epoch).await? {
                Some(now) if now != *before => Some(now),
                _ => self.replica.latest(epoch).await?,
            },
            None => self.replica.latest(1).await?,
        };
        let Some(latest) = latest else {
            return if self.position.is_none() { Ok(None) } else { Err(replica_missing()) };
        };
        if self.position.as_ref() == Some(&latest) {
            return Ok(None);
        }
        self.replica.restore(latest.number, &self.staging_path(), false).await?;
        tracing::debug!(folder = latest.number, "restored");
        Ok(Some(latest))
    }

    /// Returns the path of a copy that has not been opened successfully yet.
    fn staging_path(&self) -> PathBuf {
        Companion::New.path(&self.copy)
    }

    /// Renames the new copy to its final path. Open readers of the previous copy keep their file.
    fn install_copy(&mut self, position: ReplicaPosition) {
        match std::fs::rename(self.staging_path(), &self.copy) {
            Ok(()) => self.position = Some(position),
            Err(error) => self.report_failure(
                &anyhow::Error::new(error).context(format!("cannot write {}", self.copy.display())),
            ),
        }
    }

    /// Logs a warning for the first of several failures in a row.
    fn report_failure(&mut self, error: &anyhow::Error) {
        if std::mem::replace(&mut self.is_failing, true) {
            tracing::debug!("cannot restore: {error:#}");
        } else {
            tracing::warn!("cannot restore from {}: {error:#}; retrying", self.replica.url());
        }
    }

    /// Promotes the standby to primary.
    async fn promote(&mut self, standby: &Standby, force: bool) -> anyhow::Result<()> {
        self.ensure_no_other_primary(force).await?;
        let last = Companion::Restored.path(&self.database);
        match self.restore_latest(&last).await {
            Ok(()) => {}
            Err(error) if force => {
                tracing::warn!("the replica cannot be restored: {error:#}; promoting the local copy");
                remove_database(&last)?;
                std::fs::copy(&self.copy, &last).context("cannot use the local copy")?;
            }
            Err(error) => {
                return Err(error.context(
                    "the replica cannot be restored (promote with --force to use the copy that was restored last)",
                ));
            }
        }
        // A restore may take minutes, and the peer may have become available meanwhile.
        let promoted = match self.ensure_no_other_primary(force).await {
            Ok(()) => standby.promote(&last, &self.database).await.map_err(anyhow::Error::from),
            conflict => conflict,
        };
        if promoted.is_err() {
            let _ = remove_database(&last);
            return promoted;
        }
        // The copy of the standby is no longer used.
        for file in [self.copy.clone(), Companion::Lease.path(&self.copy)] {
            let _ = std::fs::remove_file(file);
        }
        Ok(())
    }

    /// Fails if the peer is or may be a primary, unless the promotion is forced.
    async fn ensure_no_other_primary(&self, force: bool) -> anyhow::Result<()> {
        if let Some(peer) = self.peer.as_ref().filter(|_| !force)
            && let Some(conflict) = peer.primary_conflict().await
        {
            bail!("{conflict}: stop it first, or promote with --force");
        }
        Ok(())
    }

    /// Restores the latest position of the replica, and checks the copy.
    async fn restore_latest(&self, to: &Path) -> anyhow::Result<()> {
        let epoch = self.position.as_ref().map_or(1, |position| position.number);
        let latest = self.replica.latest(epoch).await?.ok_or_else(replica_missing)?;
        self.replica.restore(latest.number, to, true).await
    }
}

/// The error for a replica that existed earlier.
fn replica_missing() -> anyhow::Error {
    anyhow::anyhow!("the replica is empty now")
}
