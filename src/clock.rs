//! Where time comes from.
//!
//! Everything asks a [`Clock`]; nothing else reads the time. Tests hold a [`ManualClock`] and move it: an hour of
//! downtime takes no time to test, and no test waits.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::watch;

/// Two clocks and a way to wait.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The wall clock: what people read. It may jump in either direction.
    fn wall(&self) -> DateTime<Utc>;

    /// The time that has passed since some fixed moment. It never goes back.
    fn monotonic(&self) -> Duration;

    /// Waits until the monotonic clock shows `deadline`.
    fn sleep_until(&self, deadline: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// The clocks of the operating system.
#[derive(Debug, Clone)]
pub struct SystemClock {
    start: tokio::time::Instant,
}

impl SystemClock {
    /// Starts the monotonic clock at zero.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the Clock")]
    pub fn new() -> Self {
        Self { start: tokio::time::Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the Clock")]
    fn wall(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep_until(&self, deadline: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep_until(self.start + deadline))
    }
}

/// A clock that stands still until it is told to move.
///
/// ```
/// use std::time::Duration;
/// use paulina::clock::{Clock, ManualClock};
///
/// let clock = ManualClock::new();
/// clock.advance(Duration::from_secs(5));
/// clock.step_wall(chrono::TimeDelta::hours(-1));
/// assert_eq!(clock.monotonic(), Duration::from_secs(5));
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock {
    now: watch::Sender<(DateTime<Utc>, Duration)>,
}

impl ManualClock {
    /// Shows 2026-01-08T10:00:00Z.
    #[must_use]
    pub fn new() -> Self {
        let start = DateTime::from_timestamp_millis(1_767_866_400_000).unwrap_or_default();
        Self { now: watch::Sender::new((start, Duration::ZERO)) }
    }

    /// Lets time pass on both clocks.
    pub fn advance(&self, by: Duration) {
        self.now.send_modify(|(wall, monotonic)| {
            *wall += by;
            *monotonic += by;
        });
    }

    /// Sets the wall clock forward or back, as NTP or a person does.
    pub fn step_wall(&self, by: TimeDelta) {
        self.now.send_modify(|(wall, _)| *wall += by);
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> DateTime<Utc> {
        self.now.borrow().0
    }

    fn monotonic(&self) -> Duration {
        self.now.borrow().1
    }

    fn sleep_until(&self, deadline: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut now = self.now.subscribe();
        Box::pin(async move {
            if now.wait_for(|(_, monotonic)| *monotonic >= deadline).await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}
