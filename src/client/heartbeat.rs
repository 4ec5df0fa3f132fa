//! A registration that is kept alive.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Client, ClientError, random};
use crate::model::{
    Invalid, LeaseId, LeaseRef, Refreshed, Registered, Registration, ValidRegistration, new_id,
};

/// A registration that is kept alive in the background: refreshed at half its `ttl`, registered again when the registry
/// has lost it, tried again at a quarter of the `ttl` at most while the registry is down, and taken out in the end.
///
/// Dropping it takes the server out in the background, which needs the runtime to go on for a moment;
/// [`stop`](Self::stop) waits for it.
#[derive(Debug)]
pub struct Heartbeat {
    id: String,
    wanted: watch::Sender<Wanted>,
    beat: watch::Receiver<Beat>,
    task: JoinHandle<()>,
}

/// How a heartbeat goes.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Beat {
    /// There has been no answer yet.
    #[default]
    Starting,
    /// The server is registered, and its lease was renewed when last tried.
    Alive(Registered),
    /// The last try failed. It goes on trying.
    Failing(Arc<ClientError>),
    /// The server did not answer when it was asked whether it is alive: its lease runs out, unless it answers again.
    Lapsing,
    /// Another process has registered the id since: this one has let go, and takes it up again only when nobody holds it.
    Replaced,
    /// It was told to stop.
    Stopped,
}

#[derive(Debug, Clone)]
struct Wanted {
    registration: Arc<Registration>,
    stopped: bool,
}

/// Asks whether the server is alive.
#[derive(Clone)]
pub(super) struct Check(pub(super) Arc<dyn Fn() -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>);

impl fmt::Debug for Check {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Check")
    }
}

/// The first pause after a failure; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// How long it takes at most to stop.
const FAREWELL: Duration = Duration::from_secs(2);
/// How many earlier leases are known again.
const REMEMBERED: usize = 32;

impl Heartbeat {
    pub(super) fn start(
        client: Client,
        mut registration: Registration,
        check: Option<Check>,
    ) -> Result<Self, Invalid> {
        let id = registration.id.take().unwrap_or_else(|| new_id(&registration.name));
        let registration = checked(registration.id(&id))?;
        let (wanted, orders) = watch::channel(Wanted { registration, stopped: false });
        let (told, beat) = watch::channel(Beat::Starting);
        let keeper =
            Keeper { client, check, orders, told, held: None, earlier: VecDeque::new(), failures: 0 };
        Ok(Self { id, wanted, beat, task: tokio::spawn(keeper.run()) })
    }

    /// The id under which the server is registered.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How it goes; the receiver can wait for changes.
    #[must_use]
    pub fn beat(&self) -> watch::Receiver<Beat> {
        self.beat.clone()
    }

    /// Waits until the server is registered.
    ///
    /// # Errors
    /// Why it never will be, unless something is mended. That a registry is down is waited for.
    pub async fn registered(&self) -> Result<Registered, Arc<ClientError>> {
        let mut beat = self.beat.clone();
        let settled = |beat: &Beat| match beat {
            Beat::Starting | Beat::Lapsing => false,
            Beat::Failing(error) => !error.is_temporary(),
            Beat::Alive(_) | Beat::Replaced | Beat::Stopped => true,
        };
        let settled = beat.wait_for(settled).await.map(|beat| beat.clone());
        match settled.unwrap_or(Beat::Stopped) {
            Beat::Alive(registered) => Ok(registered),
            Beat::Failing(error) => Err(error),
            Beat::Replaced => Err(Arc::new(ClientError::LeaseReplaced { id: self.id.clone() })),
            Beat::Starting | Beat::Lapsing | Beat::Stopped => {
                Err(Arc::new(ClientError::NotRegistered { id: self.id.clone() }))
            }
        }
    }

    /// Registers something else under the same id: what the server can do has changed.
    ///
    /// # Errors
    /// When the registration is not valid; the one before is kept alive then.
    pub fn replace(&self, registration: Registration) -> Result<(), Invalid> {
        let registration = checked(registration.id(&self.id))?;
        self.wanted.send_modify(|wanted| wanted.registration = registration);
        Ok(())
    }

    /// Takes the server out, and returns when that is done, or the registry has not answered in two seconds: then the lease
    /// runs out by itself.
    pub async fn stop(self) {
        self.wanted.send_modify(|wanted| wanted.stopped = true);
        // An error means that the runtime ends.
        let _ = self.task.await;
    }
}

fn checked(registration: Registration) -> Result<Arc<Registration>, Invalid> {
    let valid: ValidRegistration = registration.validate()?;
    Ok(Arc::new(valid.get().clone()))
}

/// What runs in the background.
struct Keeper {
    client: Client,
    check: Option<Check>,
    orders: watch::Receiver<Wanted>,
    told: watch::Sender<Beat>,
    /// What the registry is believed to hold, and what was sent for it.
    held: Option<(Arc<Registration>, Registered)>,
    /// Leases of this server before that one.
    earlier: VecDeque<LeaseId>,
    failures: u32,
}

impl Keeper {
    async fn run(mut self) {
        let mut orders = self.orders.clone();
        let stopped = async move {
            // An error means that the handle is gone.
            let _ = orders.wait_for(|wanted| wanted.stopped).await;
        };
        let mut stopped = std::pin::pin!(stopped);
        loop {
            let wanted = Arc::clone(&self.orders.borrow_and_update().registration);
            let pause = {
                let mut beating = std::pin::pin!(self.beat(&wanted));
                tokio::select! {
                    biased;
                    pause = &mut beating => pause,
                    () = &mut stopped => {
                        // What is on its way may be done: it is better known under which lease.
                        let _ = tokio::time::timeout(FAREWELL / 2, beating).await;
                        break;
                    }
                }
            };
            let due = self.client.clock.monotonic().saturating_add(pause);
            tokio::select! {
                biased;
                () = &mut stopped => break,
                changed = self.orders.changed() => if changed.is_err() { break },
                () = self.client.clock.sleep_until(due) => {}
            }
        }
        if let Some((_, registered)) = &self.held {
            // Under its lease: whoever has registered the id since keeps it.
            let _ = tokio::time::timeout(FAREWELL / 2, self.client.deregister(registered)).await;
        }
        self.told.send_replace(Beat::Stopped);
    }

    /// Renews the lease, or registers what is not registered yet; gives the time until it is to be done again.
    async fn beat(&mut self, wanted: &Arc<Registration>) -> Duration {
        let ttl = Duration::from_secs(wanted.ttl.into());
        let is_replaced = matches!(*self.told.borrow(), Beat::Replaced);
        if let Some(Check(is_alive)) = &self.check
            && !is_alive().await
        {
            if !is_replaced {
                self.told.send_replace(Beat::Lapsing);
            }
            return shortened(ttl / 4, 10);
        }
        let client = self.client.patience((ttl / 4).max(Duration::from_secs(1)));
        if is_replaced {
            return self.replaced(&client, wanted, ttl).await;
        }
        let current = self.held.as_ref().filter(|(sent, _)| Arc::ptr_eq(sent, wanted));
        let current = current.map(|(_, registered)| registered.clone());
        let outcome = match &current {
            Some(registered) => {
                // Whatever a registry says, its lease is neither forgotten nor refreshed without a pause.
                let next =
                    |lease: Refreshed| Duration::from_millis(lease.refresh_after_ms).clamp(ttl / 4, ttl);
                client.refresh(registered).await.map(next)
            }
            None => self.register(&client, wanted).await.map(|()| ttl / 2),
        };
        match outcome {
            Ok(next) => self.alive(next),
            Err(ClientError::NotRegistered { .. }) if current.is_some() => {
                self.forget();
                Duration::ZERO
            }
            Err(ClientError::LeaseReplaced { .. }) => self.contested(&client, id(wanted), ttl).await,
            Err(error) => {
                let temporary = error.is_temporary();
                self.told.send_replace(Beat::Failing(Arc::new(error)));
                if !temporary {
                    return shortened(ttl / 2, 10);
                }
                let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16)).min(ttl / 4);
                self.failures += 1;
                shortened(pause, 50)
            }
        }
    }

    fn alive(&mut self, next: Duration) -> Duration {
        self.failures = 0;
        if let Some((_, registered)) = &self.held {
            self.told.send_replace(Beat::Alive(registered.clone()));
        }
        shortened(next, 10)
    }

    /// Registers. What was registered before is kept alive until that is done.
    async fn register(&mut self, client: &Client, wanted: &Arc<Registration>) -> Result<(), ClientError> {
        match client.register(Registration::clone(wanted)).await {
            Ok(registered) => {
                self.forget();
                self.held = Some((Arc::clone(wanted), registered));
                Ok(())
            }
            Err(error) => {
                let before = self.held.as_ref().map(|(_, registered)| registered.clone());
                if let Some(before) = before {
                    match client.refresh(&before).await {
                        Err(ClientError::NotRegistered { .. }) => self.forget(),
                        // What was not answered may have been done: then this is the lease of this server that is not known.
                        Err(replaced @ ClientError::LeaseReplaced { .. }) if !error.is_temporary() => {
                            return Err(replaced);
                        }
                        _ => {}
                    }
                }
                Err(error)
            }
        }
    }

    fn forget(&mut self) {
        if let Some((_, registered)) = self.held.take() {
            self.earlier.push_back(registered.lease);
            let surplus = self.earlier.len().saturating_sub(REMEMBERED);
            self.earlier.drain(..surplus);
        }
    }

    /// Another lease holds the id. Is it an earlier one of this server, the registry has gone back in time, as after a restore
    /// from a backup: then it is registered again.
    async fn contested(&mut self, client: &Client, id: &str, ttl: Duration) -> Duration {
        for lease in self.earlier.iter().rev() {
            match client.refresh(LeaseRef::new(id, Some(*lease))).await {
                Err(ClientError::LeaseReplaced { .. }) => {}
                Ok(_) | Err(ClientError::NotRegistered { .. }) => {
                    self.forget();
                    return Duration::ZERO;
                }
                Err(_) => return shortened(ttl / 4, 50),
            }
        }
        self.forget();
        self.told.send_replace(Beat::Replaced);
        shortened(ttl, 10)
    }

    /// Takes the id up again once nobody holds it. Who held it may have been an earlier process of this server, and alive in
    /// the memory alone of a registry that was restored from a backup.
    async fn replaced(&mut self, client: &Client, wanted: &Arc<Registration>, ttl: Duration) -> Duration {
        if matches!(client.health(id(wanted)).await, Ok(None))
            && let Ok(registered) = client.register_new(Registration::clone(wanted)).await
        {
            self.held = Some((Arc::clone(wanted), registered));
            return self.alive(ttl / 2);
        }
        shortened(ttl, 10)
    }
}

fn id(registration: &Registration) -> &str {
    registration.id.as_deref().unwrap_or_default()
}

/// A little less than this, by chance, so that many do not come at once.
pub(super) fn shortened(time: Duration, percent: u32) -> Duration {
    let thousandths = 1_000 - random() % (percent * 10 + 1);
    time.saturating_mul(thousandths) / 1_000
}
