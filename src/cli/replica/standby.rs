//! Keeping a standby: it is restored from the replica again and again, until somebody has it promoted.
//!
//! Restoring whole rather than following: each copy is a file that is complete or not there at all, nobody writes it while
//! it is read, and the step that a promotion depends on is taken all the time. (`litestream restore -f` writes into the
//! file that is being read: one reader that stays connected holds it up for ever, and once killed it does not go on.)

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::sync::{mpsc, oneshot};

use super::Replica;
use super::litestream::{Newest, clear};
use super::peer::Peer;
use crate::clock::{Clock, SystemClock};
use crate::registry::{Options, Standby};
use crate::store::{Beside, OpenError, beside, hold, resolved};

/// How long it rests at least, in times of what the last restore took: restoring is to be a tenth of the work at most.
const REST: u32 = 10;

/// Who wants a promotion: whether with force, and the way back for what became of it.
type Request = (bool, oneshot::Sender<Result<(), String>>);

/// Where promotions are asked for.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Promotions(mpsc::Sender<Request>);

/// Where they are heard.
pub(in crate::cli) struct Asked(mpsc::Receiver<Request>);

pub(in crate::cli) fn promotions() -> (Promotions, Asked) {
    let (sender, receiver) = mpsc::channel(1);
    (Promotions(sender), Asked(receiver))
}

impl Promotions {
    /// Has the standby promoted, or says why not. Who is a primary already stays one.
    pub(in crate::cli) async fn ask(&self, force: bool) -> Result<(), String> {
        let (answer, answered) = oneshot::channel();
        if self.0.send((force, answer)).await.is_err() {
            return Ok(());
        }
        answered.await.unwrap_or_else(|_| Err("the registry is stopping".to_owned()))
    }
}

/// See the [module](self).
pub(in crate::cli) struct Keeper {
    replica: Replica,
    /// Where the database is to be, once promoted.
    database: PathBuf,
    /// Where copies are restored to.
    copy: PathBuf,
    interval: Duration,
    /// The other registry of the pair.
    peer: Option<Peer>,
    /// No other standby restores there.
    _held: Beside,
    clock: SystemClock,
    newest: Option<Newest>,
    failing: bool,
}

impl Keeper {
    pub(in crate::cli) async fn new(
        replica: Replica,
        database: &Path,
        interval: Duration,
        peer: Option<Peer>,
    ) -> anyhow::Result<Self> {
        if database == Path::new(":memory:") {
            bail!("--standby needs a database in a file");
        }
        let database = resolved(database)?;
        let copy = beside(&database, "-standby");
        let held = hold(&copy).await?;
        let clock = SystemClock::new();
        Ok(Self { replica, database, copy, interval, peer, _held: held, clock, newest: None, failing: false })
    }

    /// Waits until there is a first copy, or answers from the one that was left here while the replica cannot be restored.
    pub(in crate::cli) async fn first(&mut self, options: Options) -> Result<Standby, OpenError> {
        let mut told = false;
        loop {
            match self.restore_news().await {
                Ok(Some(newest)) => {
                    let standby = options.standby(self.unfinished()).await?;
                    self.keep_copy(newest);
                    return Ok(standby);
                }
                Ok(None) if told => {}
                Ok(None) => {
                    told = true;
                    tracing::info!(replica = self.replica.url(), "there is nothing to restore yet: waiting");
                }
                Err(error) => self.complain(&error),
            }
            if self.copy.exists()
                && let Ok(standby) = options.clone().standby(&self.copy).await
            {
                tracing::warn!(copy = %self.copy.display(), "answering from the copy that was restored last");
                return Ok(standby);
            }
            tokio::time::sleep(self.interval).await;
        }
    }

    /// Brings the standby newer copies until it is promoted.
    pub(in crate::cli) async fn keep(mut self, standby: Standby, Asked(mut asked): Asked) {
        let mut rest = self.interval;
        loop {
            tokio::select! {
                biased;
                asked = asked.recv() => {
                    let Some((force, answer)) = asked else { return };
                    let promoted = self.promote(&standby, force).await;
                    let done = promoted.is_ok();
                    let _ = answer.send(promoted.map_err(|error| format!("{error:#}")));
                    if done {
                        return;
                    }
                }
                took = async { tokio::time::sleep(rest).await; self.follow(&standby).await } => {
                    rest = self.interval.max(took * REST);
                }
            }
        }
    }

    /// Takes the standby one copy further, and says how long that took.
    async fn follow(&mut self, standby: &Standby) -> Duration {
        let begin = self.clock.monotonic();
        let followed = match self.restore_news().await {
            Ok(Some(newest)) => {
                let followed = standby.follow(self.unfinished()).await;
                followed.map(|()| self.keep_copy(newest)).map_err(anyhow::Error::from)
            }
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = followed {
            self.complain(&error);
        } else if std::mem::take(&mut self.failing) {
            tracing::info!("the replica can be restored again");
        }
        self.clock.monotonic().saturating_sub(begin)
    }

    /// Restores what there is, if it is more than at the last time. A new epoch is looked for when the old one has nothing
    /// new.
    async fn restore_news(&self) -> anyhow::Result<Option<Newest>> {
        let from = self.newest.as_ref().map_or(1, |newest| newest.number);
        let newest = match &self.newest {
            Some(before) => match self.replica.reached(from).await? {
                Some(now) if now != *before => Some(now),
                _ => self.replica.newest(from).await?,
            },
            None => self.replica.newest(1).await?,
        };
        let Some(newest) = newest else {
            return if self.newest.is_none() { Ok(None) } else { Err(gone()) };
        };
        if self.newest.as_ref() == Some(&newest) {
            return Ok(None);
        }
        self.replica.restore(newest.number, &self.unfinished(), false).await?;
        tracing::debug!(folder = newest.number, "restored");
        Ok(Some(newest))
    }

    /// Where a copy lies until it has shown that one can answer from it.
    fn unfinished(&self) -> PathBuf {
        beside(&self.copy, "-new")
    }

    /// Gives the copy that is answered from its name. The one before goes on to exist for those who read it, without.
    fn keep_copy(&mut self, newest: Newest) {
        match std::fs::rename(self.unfinished(), &self.copy) {
            Ok(()) => self.newest = Some(newest),
            Err(error) => self.complain(
                &anyhow::Error::new(error).context(format!("cannot write {}", self.copy.display())),
            ),
        }
    }

    /// Once, until it is well again.
    fn complain(&mut self, error: &anyhow::Error) {
        if std::mem::replace(&mut self.failing, true) {
            tracing::debug!("cannot restore: {error:#}");
        } else {
            tracing::warn!("cannot restore from {}: {error:#}; trying again", self.replica.url());
        }
    }

    /// Makes a primary of it.
    async fn promote(&mut self, standby: &Standby, force: bool) -> anyhow::Result<()> {
        self.leaves_room(force).await?;
        let last = beside(&self.database, "-restored");
        match self.restore_last(&last).await {
            Ok(()) => {}
            Err(error) if force => {
                tracing::warn!(
                    "the replica cannot be restored any more: {error:#}; the copy in hand is promoted"
                );
                clear(&last)?;
                std::fs::copy(&self.copy, &last).context("cannot take the copy in hand")?;
            }
            Err(error) => {
                return Err(error.context(
                    "the replica cannot be restored any more (promote with --force takes the copy that was restored last)",
                ));
            }
        }
        // A restore may take minutes, in which the other one comes back.
        let promoted = match self.leaves_room(force).await {
            Ok(()) => standby.promote(&last, &self.database).await.map_err(anyhow::Error::from),
            refused => refused,
        };
        if promoted.is_err() {
            let _ = clear(&last);
            return promoted;
        }
        // What it was is of no use any more.
        for left in [self.copy.clone(), beside(&self.copy, "-lease")] {
            let _ = std::fs::remove_file(left);
        }
        Ok(())
    }

    /// Refuses to make a second primary, unless with force.
    async fn leaves_room(&self, force: bool) -> anyhow::Result<()> {
        if let Some(peer) = self.peer.as_ref().filter(|_| !force)
            && let Some(rival) = peer.rival().await
        {
            bail!("{rival}: stop it first, or promote with --force");
        }
        Ok(())
    }

    /// Restores the newest that there is, and checks it.
    async fn restore_last(&self, to: &Path) -> anyhow::Result<()> {
        let newest = self.replica.newest(self.newest.as_ref().map_or(1, |newest| newest.number)).await?;
        self.replica.restore(newest.ok_or_else(gone)?.number, to, true).await
    }
}

/// There was a replica, and it is not there any more.
fn gone() -> anyhow::Error {
    anyhow::anyhow!("there is nothing left of it")
}
