//! The clock that leases are measured by: it runs only while the registry is awake and can commit.
//!
//! With the wall clock, leases would expire while the registry is down, suspended, stopped or out of disk space, when no
//! heartbeat can reach it. The writer task advances lease time by the monotonic time since the previous tick, by at most
//! [`MAX_STEP_MS`]. Readers add the time since the last tick, up to the same limit. After a gap, and after a start with
//! existing leases, lease time pauses for [`GRACE_PERIOD_MS`], so that every client has time to refresh.
//!
//! Displayed times are wall times. A single offset converts lease time to wall time, so no table changes when the wall
//! clock is set.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::store::Moment;
use crate::sync::Mutex;

/// How often lease time is advanced and persisted.
pub(super) const TICK_MS: i64 = 250;
/// The maximum that lease time advances per tick.
const MAX_STEP_MS: i64 = 500;
/// A longer time between ticks is a gap.
const GAP_THRESHOLD_MS: i64 = 2_000;
/// How long lease time pauses after a gap.
const GRACE_PERIOD_MS: i64 = 5_000;
/// Smaller changes of the offset to wall time are ignored, so that equal leases show equal times.
const OFFSET_TOLERANCE_MS: i64 = 100;

/// The lease clock.
#[derive(Debug)]
pub(crate) struct LeaseClock {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    lease: i64,
    advanced_at: i64,
    /// The rest of the grace period, in which lease time pauses.
    grace_period: i64,
    paused: bool,
    offset: i64,
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl LeaseClock {
    /// Creates a clock that shows this lease time. It starts with a grace period if there are leases.
    pub(super) fn new(clock: Arc<dyn Clock>, lease: i64, has_leases: bool) -> Self {
        let state = State {
            lease,
            advanced_at: milliseconds(clock.monotonic()),
            grace_period: if has_leases { GRACE_PERIOD_MS } else { 0 },
            paused: false,
            offset: 0,
        };
        Self { clock, state: Mutex::new(state) }
    }

    fn with<T>(&self, act: impl FnOnce(&mut State, i64) -> T) -> T {
        let monotonic = milliseconds(self.clock.monotonic());
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        act(&mut state, monotonic)
    }

    /// Returns the current time.
    pub(super) fn now(&self) -> Moment {
        let wall = self.clock.wall().timestamp_millis();
        self.with(|state, monotonic| {
            let (lease, grace_period) = state.projected(monotonic);
            let offset = wall + grace_period - lease;
            if (offset - state.offset).abs() > OFFSET_TOLERANCE_MS {
                state.offset = offset;
            }
            Moment { lease, wall, offset: state.offset }
        })
    }

    /// Advances lease time and returns the current time. Only for the task that commits.
    pub(super) fn tick(&self) -> Moment {
        self.with(State::advance);
        self.now()
    }

    /// Pauses lease time until [`resume`](Self::resume): nothing can be committed, so no client can refresh.
    pub(super) fn pause(&self) {
        self.with(|state, monotonic| {
            state.advance(monotonic);
            state.paused = true;
        });
    }

    /// Sets lease time to that of another registry. Only for a paused clock.
    pub(super) fn set(&self, lease: i64) {
        self.with(|state, monotonic| {
            state.advance(monotonic);
            state.lease = lease;
        });
    }

    /// Lets lease time run again, after a grace period.
    pub(super) fn resume(&self) {
        self.with(|state, monotonic| {
            state.advance(monotonic);
            state.paused = false;
            state.grace_period = GRACE_PERIOD_MS;
        });
    }

    pub(super) fn is_paused(&self) -> bool {
        self.with(|state, _| state.paused)
    }
}

impl State {
    fn advance(&mut self, monotonic: i64) {
        let gap = monotonic - self.advanced_at > GAP_THRESHOLD_MS;
        (self.lease, self.grace_period) = self.projected(monotonic);
        self.advanced_at = monotonic;
        if gap && !self.paused {
            self.grace_period = GRACE_PERIOD_MS;
            tracing::debug!("the registry was not running; leases are paused for {GRACE_PERIOD_MS} ms");
        }
    }

    /// Returns lease time and the rest of the grace period at this monotonic time.
    fn projected(&self, monotonic: i64) -> (i64, i64) {
        if self.paused {
            return (self.lease, self.grace_period);
        }
        let step = (monotonic - self.advanced_at).clamp(0, MAX_STEP_MS);
        let paused = step.min(self.grace_period);
        (self.lease + step - paused, self.grace_period - paused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    fn run(manual: &ManualClock, clock: &LeaseClock, seconds: u64) {
        for _ in 0..seconds * 4 {
            manual.advance(Duration::from_millis(250));
            clock.tick();
        }
    }

    #[test]
    fn follows_the_monotonic_clock_and_shows_wall_time() {
        let manual = ManualClock::new();
        let clock = LeaseClock::new(Arc::new(manual.clone()), 1_000, false);
        run(&manual, &clock, 30);
        assert_eq!(clock.now().lease, 31_000);
        let before = clock.now();
        manual.step_wall(chrono::TimeDelta::hours(1));
        assert_eq!(clock.now().lease, before.lease);
        assert_eq!(clock.now().offset, before.offset + 3_600_000);
    }

    #[test]
    fn a_gap_advances_one_step_and_starts_a_grace_period() {
        let manual = ManualClock::new();
        let clock = LeaseClock::new(Arc::new(manual.clone()), 0, false);
        clock.tick();
        manual.advance(Duration::from_hours(8));
        assert_eq!(clock.now().lease, 500);
        assert_eq!(clock.tick().lease, 500);
        let shown = clock.now().wall_of(10_000);
        run(&manual, &clock, 5);
        assert_eq!(clock.now().lease, 500);
        assert_eq!(clock.now().wall_of(10_000), shown, "the grace period is included");
        run(&manual, &clock, 1);
        assert_eq!(clock.now().lease, 1_500);
    }

    #[test]
    fn pauses_while_nothing_can_be_committed() {
        let manual = ManualClock::new();
        let clock = LeaseClock::new(Arc::new(manual.clone()), 0, false);
        run(&manual, &clock, 1);
        clock.pause();
        run(&manual, &clock, 600);
        assert_eq!(clock.now().lease, 1_000);
        clock.resume();
        run(&manual, &clock, 5);
        assert_eq!(clock.now().lease, 1_000);
        run(&manual, &clock, 5);
        assert_eq!(clock.now().lease, 6_000);
    }

    #[test]
    fn lease_time_never_goes_back() {
        let manual = ManualClock::new();
        let clock = LeaseClock::new(Arc::new(manual.clone()), 0, true);
        let mut last = 0;
        for step in [100, 700, 3_000, 250, 5_500, 499, 2_001, 1, 60_000, 250] {
            manual.advance(Duration::from_millis(step));
            for lease in [clock.now().lease, clock.tick().lease, clock.now().lease] {
                assert!(lease >= last);
                last = lease;
            }
        }
    }
}
