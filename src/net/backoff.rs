//! Exponential backoff.

use std::time::Duration;

/// Returns how long to wait after another failure: `initial`, doubled for each failure before, up to `max`.
pub(crate) fn delay(initial: Duration, failures: u32, max: Duration) -> Duration {
    const MAX_DOUBLINGS: u32 = 16;
    initial.saturating_mul(1 << failures.min(MAX_DOUBLINGS)).min(max)
}

/// Counts the failures in a row, to wait longer after each.
#[cfg(feature = "cli")]
#[derive(Debug)]
pub(crate) struct Backoff {
    initial: Duration,
    max: Duration,
    failures: u32,
}

#[cfg(feature = "cli")]
impl Backoff {
    pub(crate) fn new(initial: Duration, max: Duration) -> Self {
        Self { initial, max, failures: 0 }
    }

    /// Counts a failure and returns how long to wait after it.
    pub(crate) fn next_delay(&mut self) -> Duration {
        let delay = delay(self.initial, self.failures, self.max);
        self.failures = self.failures.saturating_add(1);
        delay
    }

    /// Starts over after a success.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(all(test, feature = "cli"))]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_maximum_and_start_over() {
        let max = Duration::from_secs(3);
        let mut backoff = Backoff::new(Duration::from_millis(250), max);
        let delays: Vec<_> = (0..6).map(|_| backoff.next_delay().as_millis()).collect();
        assert_eq!(delays, [250, 500, 1_000, 2_000, 3_000, 3_000]);
        (0..100).for_each(|_| assert!(backoff.next_delay() <= max));
        backoff.reset();
        assert_eq!(backoff.next_delay().as_millis(), 250);
    }
}
