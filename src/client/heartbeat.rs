//! A registration that is kept alive.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Client, ClientError, random};
use crate::model::{Invalid, LeaseId, LeaseRef, Registered, Registration, ValidRegistration, new_id};

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
    /// Another process has registered the id since: this one has let go.
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
/// How long the registry is waited for to take the server out.
const FAREWELL: Duration = Duration::from_secs(2);

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
        let keeper = Keeper { client, check, orders, told, lease: None, sent: None, failures: 0 };
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
            Beat::Starting => false,
            Beat::Failing(error) => !error.is_temporary(),
            _ => true,
        };
        let settled = beat.wait_for(settled).await.map(|beat| beat.clone());
        match settled.unwrap_or(Beat::Stopped) {
            Beat::Alive(registered) => Ok(registered),
            Beat::Failing(error) => Err(error),
            _ => Err(Arc::new(ClientError::LeaseReplaced { id: self.id.clone() })),
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

    /// Takes the server out, and returns when that is done or the registry has not answered for two seconds.
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
    /// Set while the registry is believed to hold the registration.
    lease: Option<LeaseId>,
    /// What was registered last.
    sent: Option<Registered>,
    failures: u32,
}

impl Keeper {
    async fn run(mut self) {
        let mut registered = None;
        loop {
            let wanted = self.orders.borrow_and_update().clone();
            if wanted.stopped {
                break;
            }
            if registered.as_ref().is_none_or(|known| !Arc::ptr_eq(known, &wanted.registration)) {
                self.lease = None;
                registered = Some(Arc::clone(&wanted.registration));
            }
            let Some(pause) = self.beat(&wanted.registration).await else {
                self.told.send_replace(Beat::Replaced);
                return;
            };
            let due = self.client.clock.monotonic().saturating_add(pause);
            let changed = tokio::select! {
                biased;
                changed = self.orders.changed() => changed,
                () = self.client.clock.sleep_until(due) => Ok(()),
            };
            if changed.is_err() {
                break;
            }
        }
        if let Some(sent) = &self.sent {
            // Under the lease that was told last: whoever has registered the id since keeps it.
            let _ = self.client.patience(FAREWELL).deregister(sent).await;
        }
        self.told.send_replace(Beat::Stopped);
    }

    /// Renews the lease or registers, and says how long to wait then; nothing when the id is somebody else's now.
    async fn beat(&mut self, registration: &Registration) -> Option<Duration> {
        let ttl = Duration::from_secs(registration.ttl.into());
        if let Some(Check(is_alive)) = &self.check
            && !is_alive().await
        {
            self.told.send_replace(Beat::Lapsing);
            return Some(shortened(ttl / 4, 10));
        }
        let client = self.client.patience((ttl / 4).max(Duration::from_secs(1)));
        let outcome = match self.lease {
            None => client.register(registration.clone()).await.map(Some),
            Some(lease) => client.refresh(LeaseRef::new(id(registration), Some(lease))).await.map(|_| None),
        };
        match outcome {
            Ok(registered) => {
                if let Some(registered) = registered {
                    self.lease = Some(registered.lease);
                    self.sent = Some(registered);
                }
                self.failures = 0;
                if let Some(sent) = &self.sent {
                    self.told.send_replace(Beat::Alive(sent.clone()));
                }
                Some(shortened(ttl / 2, 10))
            }
            Err(ClientError::NotRegistered { .. }) if self.lease.is_some() => {
                self.lease = None;
                Some(Duration::ZERO)
            }
            Err(ClientError::LeaseReplaced { .. }) => None,
            Err(error) => {
                let temporary = error.is_temporary();
                self.told.send_replace(Beat::Failing(Arc::new(error)));
                if !temporary {
                    return Some(shortened(ttl / 2, 10));
                }
                let longest = ttl / 4;
                let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16)).min(longest);
                self.failures += 1;
                Some(shortened(pause, 50))
            }
        }
    }
}

fn id(registration: &Registration) -> &str {
    registration.id.as_deref().unwrap_or_default()
}

/// A little less than this, by chance, so that many do not come at once.
fn shortened(time: Duration, percent: u32) -> Duration {
    let thousandths = 1_000 - random() % (percent * 10 + 1);
    time.saturating_mul(thousandths) / 1_000
}
