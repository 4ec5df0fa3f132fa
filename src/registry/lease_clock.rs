//! The clock that leases are measured by: it runs only while the registry is awake and can commit.
//!
//! A lease that ran by the wall clock would end while the registry is down, suspended, stopped, or stuck on a full
//! disk, when no heartbeat can reach it. Lease time is moved on by the one task that commits, by the monotonic time
//! that has passed since it last did so, and by at most [`STEP`]. Who reads it in between adds what has passed since,
//! up to the same bound. After a gap, and after a start that found leases, it stands still for [`STANDSTILL`], so that
//! every client gets its turn to refresh.
//!
//! What people see is wall time. One offset turns the one into the other; no table is touched when the wall clock is
//! set.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::store::Moment;
use crate::sync::Mutex;

/// How often lease time is moved on and kept, in milliseconds.
pub(super) const TICK: i64 = 250;
/// The most that one step moves it on.
const STEP: i64 = 500;
/// A longer silence than this is a gap.
const GAP: i64 = 2_000;
/// How long it stands still after a gap.
const STANDSTILL: i64 = 5_000;
/// The offset to wall time is left alone while it is this close, so that equal leases show equal times.
const JITTER: i64 = 100;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct LeaseClock {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    lease: i64,
    moved_at: i64,
    standstill: i64,
    paused: bool,
    offset: i64,
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl LeaseClock {
    /// Begins at a lease time; standing still if there are leases to wait for.
    pub(super) fn new(clock: Arc<dyn Clock>, lease: i64, stand_still: bool) -> Self {
        let state = State {
            lease,
            moved_at: milliseconds(clock.monotonic()),
            standstill: if stand_still { STANDSTILL } else { 0 },
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

    /// What time it is.
    pub(super) fn now(&self) -> Moment {
        let wall = self.clock.wall().timestamp_millis();
        self.with(|state, monotonic| {
            let (lease, standstill) = state.ahead(monotonic);
            let offset = wall + standstill - lease;
            if (offset - state.offset).abs() > JITTER {
                state.offset = offset;
            }
            Moment { lease, wall, offset: state.offset }
        })
    }

    /// Moves it on, as only the task that commits may, and says what time it is.
    pub(super) fn tick(&self) -> Moment {
        self.with(State::advance);
        self.now()
    }

    /// Stops it until [`resume`](Self::resume): nothing can be committed, so nobody can refresh.
    pub(super) fn pause(&self) {
        self.with(|state, monotonic| {
            state.advance(monotonic);
            state.paused = true;
        });
    }

    /// Sets it to what another registry's clock has come to; for a clock that is stopped.
    pub(super) fn set(&self, lease: i64) {
        self.with(|state, monotonic| {
            state.advance(monotonic);
            state.lease = lease;
        });
    }

    /// Lets it run again, after a standstill.
    pub(super) fn resume(&self) {
        self.with(|state, monotonic| {
            state.advance(monotonic);
            state.paused = false;
            state.standstill = STANDSTILL;
        });
    }

    pub(super) fn is_paused(&self) -> bool {
        self.with(|state, _| state.paused)
    }
}

impl State {
    fn advance(&mut self, monotonic: i64) {
        let gap = monotonic - self.moved_at > GAP;
        (self.lease, self.standstill) = self.ahead(monotonic);
        self.moved_at = monotonic;
        if gap && !self.paused {
            self.standstill = STANDSTILL;
            tracing::debug!("the registry was not awake: leases stand still for {STANDSTILL} ms");
        }
    }

    /// Lease time and what is left of the standstill, at this monotonic time.
    fn ahead(&self, monotonic: i64) -> (i64, i64) {
        if self.paused {
            return (self.lease, self.standstill);
        }
        let step = (monotonic - self.moved_at).clamp(0, STEP);
        let stood = step.min(self.standstill);
        (self.lease + step - stood, self.standstill - stood)
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
    fn runs_with_the_monotonic_clock_and_shows_wall_time() {
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
    fn a_gap_counts_as_one_step_and_is_followed_by_a_standstill() {
        let manual = ManualClock::new();
        let clock = LeaseClock::new(Arc::new(manual.clone()), 0, false);
        clock.tick();
        manual.advance(Duration::from_hours(8));
        assert_eq!(clock.now().lease, 500);
        assert_eq!(clock.tick().lease, 500);
        let shown = clock.now().wall_of(10_000);
        run(&manual, &clock, 5);
        assert_eq!(clock.now().lease, 500);
        assert_eq!(clock.now().wall_of(10_000), shown, "the standstill is reckoned with");
        run(&manual, &clock, 1);
        assert_eq!(clock.now().lease, 1_500);
    }

    #[test]
    fn stands_while_nothing_can_be_committed() {
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
    fn what_a_reader_saw_is_never_taken_back() {
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
