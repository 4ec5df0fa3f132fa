//! Clocks: the only source of time.
//!
//! All code reads the time from a [`Clock`]. Tests use a [`ManualClock`] and advance it, so that an hour of downtime takes
//! no time to test and no test sleeps.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::watch;

/// A wall clock, a monotonic clock and a timer.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Returns the wall clock time. It can jump in either direction.
    fn wall(&self) -> DateTime<Utc>;

    /// Returns the time since a fixed moment. It never goes back.
    fn monotonic(&self) -> Duration;

    /// Waits until the monotonic clock reaches `deadline`.
    fn sleep_until(&self, deadline: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// The clocks of the operating system.
#[derive(Debug, Clone)]
pub struct SystemClock {
    start: tokio::time::Instant,
}

impl SystemClock {
    /// Creates a clock whose monotonic time starts at zero.
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

/// A clock that only advances when a test does so.
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
    /// Creates a clock that shows 2026-01-08T10:00:00Z.
    #[must_use]
    pub fn new() -> Self {
        let start = DateTime::from_timestamp_millis(1_767_866_400_000).unwrap_or_default();
        Self { now: watch::Sender::new((start, Duration::ZERO)) }
    }

    /// Advances both clocks.
    pub fn advance(&self, by: Duration) {
        self.now.send_modify(|(wall, monotonic)| {
            *wall += by;
            *monotonic += by;
        });
    }

    /// Sets the wall clock forward or back, as NTP or an operator would.
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
