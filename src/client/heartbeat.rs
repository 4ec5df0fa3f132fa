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
    InvalidRegistration, LeaseId, LeaseRef, Refreshed, Registered, Registration, ValidRegistration, new_id,
};
use crate::net::backoff;

/// A registration that is kept alive in the background. Its lease is refreshed at half the `ttl`; the server is registered
/// again if the registry has lost it; while the registry is down, the heartbeat retries at least four times per `ttl`.
///
/// Dropping it deregisters the server in the background, for which the runtime has to continue for a moment;
/// [`stop`](Self::stop) waits until that is done.
#[derive(Debug)]
pub struct Heartbeat {
    id: String,
    wanted: watch::Sender<Wanted>,
    status: watch::Receiver<HeartbeatStatus>,
    task: JoinHandle<()>,
}

/// The status of a heartbeat.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum HeartbeatStatus {
    /// There is no response yet.
    #[default]
    Starting,
    /// The server is registered, and the last refresh succeeded.
    Alive(Registered),
    /// The last attempt failed. The heartbeat retries.
    Failing(Arc<ClientError>),
    /// The server did not respond to its health check: the lease expires unless it responds again.
    Lapsing,
    /// Another process has registered the id. The heartbeat does not refresh it any more, and registers again when that process
    /// no longer holds the id.
    Replaced,
    /// The heartbeat was stopped.
    Stopped,
}

#[derive(Debug, Clone)]
struct Wanted {
    registration: Arc<Registration>,
    stopped: bool,
}

/// The health check of the server.
#[derive(Clone)]
pub(super) struct Check(pub(super) Arc<dyn Fn() -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>);

impl fmt::Debug for Check {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Check")
    }
}

/// The wait after the first failure; it doubles with each further failure.
const INITIAL_BACKOFF: Duration = Duration::from_millis(250);
/// How long stopping takes at most: half of it for a request in flight, half for the deregistration.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);
/// How many earlier leases are remembered.
const PREVIOUS_LEASE_LIMIT: usize = 32;

/// A request of a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Deserialize), serde(rename_all = "snake_case"))]
enum Step {
    Refresh,
    Register,
    /// Refreshes an earlier lease of this server, to find out whether the registry was restored from a backup.
    CheckPreviousLease,
    /// Asks whether the id is registered.
    CheckHolder,
    /// Registers the id unless it is taken.
    Reclaim,
}

/// What the response to a request means to a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Deserialize), serde(rename_all = "snake_case"))]
enum Outcome {
    Ok,
    NotRegistered,
    LeaseReplaced,
    TemporaryError,
    PermanentError,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Deserialize), serde(rename_all = "snake_case"))]
enum Action {
    StayRegistered,
    RegisterAgain,
    CheckPreviousLeases,
    /// Whose the lease is could not be found out yet.
    CheckAgain,
    /// Another process holds the id: check once per ttl whether it still does.
    StandBack,
    TryReclaim,
    BackOff,
    /// The request cannot succeed unless something is fixed.
    WaitForFix,
    /// The server itself does not respond.
    LetLapse,
}

impl Outcome {
    fn of<T>(result: &Result<T, ClientError>) -> Self {
        result.as_ref().err().map_or(Self::Ok, Self::of_error)
    }

    fn of_error(error: &ClientError) -> Self {
        match error {
            ClientError::NotRegistered { .. } => Self::NotRegistered,
            ClientError::LeaseReplaced { .. } => Self::LeaseReplaced,
            error if error.is_temporary() => Self::TemporaryError,
            _ => Self::PermanentError,
        }
    }
}

/// Decides what follows the outcome of a step. `tests/vectors/heartbeat.json` tests that the Rust, Python and TypeScript
/// clients agree on this, and on the functions below.
fn decide(step: Step, outcome: Outcome) -> Action {
    match (step, outcome) {
        (Step::Refresh | Step::Register | Step::Reclaim, Outcome::Ok) => Action::StayRegistered,
        // If an earlier lease of this server is current, or none is, the registry was restored from a backup.
        (Step::Refresh, Outcome::NotRegistered)
        | (Step::CheckPreviousLease, Outcome::Ok | Outcome::NotRegistered) => Action::RegisterAgain,
        (Step::Refresh | Step::Register, Outcome::LeaseReplaced) => Action::CheckPreviousLeases,
        (Step::Refresh | Step::Register, Outcome::TemporaryError) => Action::BackOff,
        (Step::Refresh | Step::Register, Outcome::NotRegistered | Outcome::PermanentError) => {
            Action::WaitForFix
        }
        (Step::CheckPreviousLease, Outcome::TemporaryError | Outcome::PermanentError) => Action::CheckAgain,
        (Step::CheckHolder, Outcome::NotRegistered) => Action::TryReclaim,
        (Step::CheckPreviousLease, Outcome::LeaseReplaced) | (Step::CheckHolder | Step::Reclaim, _) => {
            Action::StandBack
        }
    }
}

/// Returns the outcome of a registration that failed, when refreshing the one that it was to replace had another.
///
/// After a temporary error the registration may have been carried out with only its response lost: then the other lease is
/// this server's own.
fn failed_replacement(registration: Outcome, current: Outcome) -> Outcome {
    if current == Outcome::LeaseReplaced && registration != Outcome::TemporaryError {
        current
    } else {
        registration
    }
}

/// Returns the time until the next step, and by how many percent at most it is shortened.
fn wait(action: Action, ttl: Duration, refresh_after: Option<Duration>, failures: u32) -> (Duration, u32) {
    match action {
        // Whatever the registry requests, the lease is refreshed in time and not without a pause.
        Action::StayRegistered => (refresh_after.map_or(ttl / 2, |after| after.clamp(ttl / 4, ttl)), 10),
        Action::RegisterAgain | Action::CheckPreviousLeases | Action::TryReclaim => (Duration::ZERO, 0),
        Action::CheckAgain => (ttl / 4, 50),
        Action::StandBack => (ttl, 10),
        Action::BackOff => (backoff::delay(INITIAL_BACKOFF, failures, ttl / 4), 50),
        Action::WaitForFix => (ttl / 2, 10),
        Action::LetLapse => (ttl / 4, 10),
    }
}

/// Returns how long a heartbeat waits for one response.
fn request_timeout(ttl: Duration) -> Duration {
    (ttl / 4).max(Duration::from_secs(1))
}

impl Heartbeat {
    pub(super) fn start(
        client: Client,
        mut registration: Registration,
        check: Option<Check>,
    ) -> Result<Self, InvalidRegistration> {
        let id = registration.id.take().unwrap_or_else(|| new_id(&registration.record.name));
        let registration = checked(registration.id(&id))?;
        let (wanted, receiver) = watch::channel(Wanted { registration, stopped: false });
        let (sender, status) = watch::channel(HeartbeatStatus::Starting);
        let task = HeartbeatTask {
            client,
            check,
            wanted: receiver,
            status: sender,
            current: None,
            previous_leases: VecDeque::new(),
            failures: 0,
        };
        Ok(Self { id, wanted, status, task: tokio::spawn(task.run()) })
    }

    /// Returns the id of the registration.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns a receiver of the status, which can wait for changes.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<HeartbeatStatus> {
        self.status.clone()
    }

    /// Waits until the server is registered.
    ///
    /// # Errors
    /// If waiting does not fix it. While the registry is down, this waits.
    pub async fn registered(&self) -> Result<Registered, Arc<ClientError>> {
        let mut status = self.status.clone();
        let is_settled = |status: &HeartbeatStatus| match status {
            HeartbeatStatus::Starting | HeartbeatStatus::Lapsing => false,
            HeartbeatStatus::Failing(error) => !error.is_temporary(),
            HeartbeatStatus::Alive(_) | HeartbeatStatus::Replaced | HeartbeatStatus::Stopped => true,
        };
        let settled = status.wait_for(is_settled).await.map(|status| status.clone());
        match settled.unwrap_or(HeartbeatStatus::Stopped) {
            HeartbeatStatus::Alive(registered) => Ok(registered),
            HeartbeatStatus::Failing(error) => Err(error),
            HeartbeatStatus::Replaced => Err(Arc::new(ClientError::LeaseReplaced { id: self.id.clone() })),
            HeartbeatStatus::Starting | HeartbeatStatus::Lapsing | HeartbeatStatus::Stopped => {
                Err(Arc::new(ClientError::NotRegistered { id: self.id.clone() }))
            }
        }
    }

    /// Replaces the registration under the same id, for example when the tools of the server have changed.
    ///
    /// # Errors
    /// If the registration is not valid; then the current one is kept alive.
    pub fn replace(&self, registration: Registration) -> Result<(), InvalidRegistration> {
        let registration = checked(registration.id(&self.id))?;
        self.wanted.send_modify(|wanted| wanted.registration = registration);
        Ok(())
    }

    /// Deregisters the server. Returns when that is done, or after two seconds if the registry does not answer: then the lease
    /// expires.
    pub async fn stop(self) {
        self.wanted.send_modify(|wanted| wanted.stopped = true);
        // An error means that the runtime is shutting down.
        let _ = self.task.await;
    }
}

fn checked(registration: Registration) -> Result<Arc<Registration>, InvalidRegistration> {
    let valid: ValidRegistration = registration.validate()?;
    Ok(Arc::new(valid.get().clone()))
}

/// The loop that keeps a registration alive.
struct HeartbeatTask {
    client: Client,
    check: Option<Check>,
    wanted: watch::Receiver<Wanted>,
    status: watch::Sender<HeartbeatStatus>,
    /// The registration that the registry is believed to hold, and what was sent for it.
    current: Option<(Arc<Registration>, Registered)>,
    /// Earlier leases of this server.
    previous_leases: VecDeque<LeaseId>,
    failures: u32,
}

impl HeartbeatTask {
    async fn run(mut self) {
        let mut receiver = self.wanted.clone();
        let stopped = async move {
            // An error means that the handle was dropped.
            let _ = receiver.wait_for(|wanted| wanted.stopped).await;
        };
        let mut stopped = std::pin::pin!(stopped);
        loop {
            let wanted = Arc::clone(&self.wanted.borrow_and_update().registration);
            let time = {
                let mut beat = std::pin::pin!(self.beat(&wanted));
                tokio::select! {
                    biased;
                    time = &mut beat => time,
                    () = &mut stopped => {
                        // A registration may be in flight: its response contains the lease to deregister.
                        let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT / 2, beat).await;
                        break;
                    }
                }
            };
            let due = self.client.clock.monotonic().saturating_add(time);
            tokio::select! {
                biased;
                () = &mut stopped => break,
                changed = self.wanted.changed() => if changed.is_err() { break },
                () = self.client.clock.sleep_until(due) => {}
            }
        }
        if let Some((_, registered)) = &self.current {
            // With its lease, so that a registration of another process stays.
            let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT / 2, self.client.deregister(registered)).await;
        }
        self.status.send_replace(HeartbeatStatus::Stopped);
    }

    /// Refreshes the lease, or registers; returns the time until the next beat.
    async fn beat(&mut self, wanted: &Arc<Registration>) -> Duration {
        let ttl = Duration::from_secs(wanted.ttl.into());
        let is_replaced = matches!(*self.status.borrow(), HeartbeatStatus::Replaced);
        if !self.is_alive().await {
            if !is_replaced {
                self.status.send_replace(HeartbeatStatus::Lapsing);
            }
            return self.next_wait(Action::LetLapse, ttl, None);
        }
        let client = self.client.with_timeout(request_timeout(ttl));
        if is_replaced {
            self.try_reclaim(&client, wanted, ttl).await
        } else {
            self.renew(&client, wanted, ttl).await
        }
    }

    async fn is_alive(&self) -> bool {
        match &self.check {
            Some(Check(is_alive)) => is_alive().await,
            None => true,
        }
    }

    async fn renew(&mut self, client: &Client, wanted: &Arc<Registration>, ttl: Duration) -> Duration {
        let current = self.current.as_ref().filter(|(sent, _)| Arc::ptr_eq(sent, wanted));
        let current = current.map(|(_, registered)| registered.clone());
        let (step, result) = match &current {
            Some(registered) => {
                let refresh_after = |lease: Refreshed| Some(Duration::from_millis(lease.refresh_after_ms));
                (Step::Refresh, client.refresh(registered).await.map(refresh_after))
            }
            None => (Step::Register, self.register(client, wanted).await.map(|()| None)),
        };
        match (decide(step, Outcome::of(&result)), result) {
            (Action::CheckPreviousLeases, _) => self.on_lease_replaced(client, id(wanted), ttl).await,
            (Action::RegisterAgain, _) => {
                self.drop_current();
                self.next_wait(Action::RegisterAgain, ttl, None)
            }
            (action, Ok(refresh_after)) => {
                if let Some((_, registered)) = &self.current {
                    self.status.send_replace(HeartbeatStatus::Alive(registered.clone()));
                }
                self.next_wait(action, ttl, refresh_after)
            }
            (action, Err(error)) => {
                self.status.send_replace(HeartbeatStatus::Failing(Arc::new(error)));
                self.next_wait(action, ttl, None)
            }
        }
    }

    fn next_wait(&mut self, action: Action, ttl: Duration, refresh_after: Option<Duration>) -> Duration {
        let (time, percent) = wait(action, ttl, refresh_after, self.failures);
        match action {
            Action::StayRegistered => self.failures = 0,
            Action::BackOff => self.failures = self.failures.saturating_add(1),
            _ => {}
        }
        shortened(time, percent)
    }

    /// Registers. If that fails, the current registration is refreshed instead, so that it does not expire.
    async fn register(&mut self, client: &Client, wanted: &Arc<Registration>) -> Result<(), ClientError> {
        match client.register(Registration::clone(wanted)).await {
            Ok(registered) => {
                self.drop_current();
                self.current = Some((Arc::clone(wanted), registered));
                Ok(())
            }
            Err(error) => Err(self.keep_current(client, error).await),
        }
    }

    /// Refreshes the current registration, and returns the error that counts.
    async fn keep_current(&mut self, client: &Client, failed: ClientError) -> ClientError {
        let Some((_, current)) = &self.current else { return failed };
        let Err(error) = client.refresh(current).await else { return failed };
        let outcome = Outcome::of_error(&error);
        if outcome == Outcome::NotRegistered {
            self.drop_current();
        }
        let registration = Outcome::of_error(&failed);
        if failed_replacement(registration, outcome) == registration { failed } else { error }
    }

    fn drop_current(&mut self) {
        if let Some((_, registered)) = self.current.take() {
            self.previous_leases.push_back(registered.lease);
            let surplus = self.previous_leases.len().saturating_sub(PREVIOUS_LEASE_LIMIT);
            self.previous_leases.drain(..surplus);
        }
    }

    /// Finds out whose the lease is that holds the id. If it is one of our own earlier leases, the registry was restored from
    /// a backup, so the server is registered again.
    async fn on_lease_replaced(&mut self, client: &Client, id: &str, ttl: Duration) -> Duration {
        let mut action = Action::StandBack;
        for lease in self.previous_leases.iter().rev() {
            let result = client.refresh(LeaseRef::new(id, Some(*lease))).await;
            action = decide(Step::CheckPreviousLease, Outcome::of(&result));
            if action != Action::StandBack {
                break;
            }
        }
        if action != Action::CheckAgain {
            self.drop_current();
        }
        if action == Action::StandBack {
            self.status.send_replace(HeartbeatStatus::Replaced);
        }
        self.next_wait(action, ttl, None)
    }

    /// Reclaims the id once its lease has expired. The holder may have been an earlier process of this server: after a restore
    /// from a backup, no process refreshes its lease.
    async fn try_reclaim(&mut self, client: &Client, wanted: &Arc<Registration>, ttl: Duration) -> Duration {
        let holder = match client.health(id(wanted)).await {
            Ok(None) => Outcome::NotRegistered,
            result => Outcome::of(&result),
        };
        let mut action = decide(Step::CheckHolder, holder);
        if action == Action::TryReclaim {
            let result = client.register_new(Registration::clone(wanted)).await;
            action = decide(Step::Reclaim, Outcome::of(&result));
            if let Ok(registered) = result {
                self.status.send_replace(HeartbeatStatus::Alive(registered.clone()));
                self.current = Some((Arc::clone(wanted), registered));
            }
        }
        self.next_wait(action, ttl, None)
    }
}

fn id(registration: &Registration) -> &str {
    registration.id.as_deref().unwrap_or_default()
}

/// Shortens a wait at random, so that many clients do not send their requests at the same time.
pub(super) fn shortened(time: Duration, percent: u32) -> Duration {
    let thousandths = 1_000 - random() % (percent * 10 + 1);
    time.saturating_mul(thousandths) / 1_000
}

/// The test vectors that the Rust, Python and TypeScript clients share.
#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::client::ApiError;

    #[derive(Deserialize)]
    struct Vectors {
        outcomes: Vec<ErrorOutcome>,
        decide: Vec<StepOutcome>,
        failed_replacement: Vec<FailedReplacement>,
        wait: Vec<WaitCase>,
        request_timeout: Vec<RequestTimeout>,
    }

    #[derive(Debug, Deserialize)]
    struct ErrorOutcome {
        error: Option<String>,
        status: Option<u16>,
        outcome: Outcome,
    }

    #[derive(Debug, Deserialize)]
    struct StepOutcome {
        step: Step,
        outcome: Outcome,
        action: Action,
    }

    #[derive(Debug, Deserialize)]
    struct FailedReplacement {
        registration: Outcome,
        current: Outcome,
        outcome: Outcome,
    }

    #[derive(Debug, Deserialize)]
    struct WaitCase {
        action: Action,
        ttl: u64,
        refresh_after: Option<u64>,
        failures: u32,
        wait: u64,
        shortened_by: u32,
    }

    #[derive(Debug, Deserialize)]
    struct RequestTimeout {
        ttl: u64,
        timeout: u64,
    }

    fn vectors() -> Vectors {
        serde_json::from_str(include_str!("../../tests/vectors/heartbeat.json")).unwrap()
    }

    fn error(kind: &str, status: Option<u16>) -> ClientError {
        let text = || "x".to_owned();
        match (kind, status) {
            ("not_registered", None) => ClientError::NotRegistered { id: text() },
            ("lease_replaced", None) => ClientError::LeaseReplaced { id: text() },
            ("unreachable", None) => ClientError::Unreachable { addresses: text(), reason: text() },
            ("not_a_registry", None) => ClientError::NotARegistry { address: text(), detail: text() },
            ("api_error", Some(status)) => {
                ClientError::Api(ApiError { status, code: text(), detail: text(), errors: Vec::new() })
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_error_has_an_outcome() {
        for vector in vectors().outcomes {
            let result = vector.error.as_deref().map_or(Ok(()), |kind| Err(error(kind, vector.status)));
            assert_eq!(Outcome::of(&result), vector.outcome, "{vector:?}");
        }
        let tls = ClientError::Tls { address: String::new(), detail: String::new() };
        assert_eq!(Outcome::of_error(&tls), Outcome::TemporaryError);
    }

    #[test]
    fn an_outcome_decides_what_follows() {
        for vector in vectors().decide {
            assert_eq!(decide(vector.step, vector.outcome), vector.action, "{vector:?}");
        }
        for vector in vectors().failed_replacement {
            let outcome = failed_replacement(vector.registration, vector.current);
            assert_eq!(outcome, vector.outcome, "{vector:?}");
        }
    }

    #[test]
    fn the_next_step_has_its_time() {
        for vector in vectors().wait {
            let refresh_after = vector.refresh_after.map(Duration::from_millis);
            let found =
                wait(vector.action, Duration::from_millis(vector.ttl), refresh_after, vector.failures);
            assert_eq!(found, (Duration::from_millis(vector.wait), vector.shortened_by), "{vector:?}");
        }
        for vector in vectors().request_timeout {
            let found = request_timeout(Duration::from_millis(vector.ttl));
            assert_eq!(found, Duration::from_millis(vector.timeout), "{vector:?}");
        }
    }

    #[test]
    fn a_time_is_shortened_by_so_many_percent_at_most() {
        let time = Duration::from_secs(1);
        for percent in [0, 10, 50] {
            let least = time * (100 - percent) / 100;
            (0..1_000).for_each(|_| assert!((least..=time).contains(&shortened(time, percent))));
        }
    }
}
