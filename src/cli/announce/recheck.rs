//! Throttling of rechecks: a server that sends a `list_changed` notification is read again at once, but less and less often
//! while it keeps sending them. Each recheck may start a process.

use std::time::Duration;

/// Several lists often change together.
const DEBOUNCE: Duration = Duration::from_millis(200);
const MIN_INTERVAL: Duration = Duration::from_secs(2);

/// The schedule of rechecks after notifications.
#[derive(Debug)]
pub(super) struct RecheckThrottle {
    interval: Duration,
    max_interval: Duration,
    last_check: Option<Duration>,
}

impl RecheckThrottle {
    pub(super) fn new(max_interval: Duration) -> Self {
        Self { interval: MIN_INTERVAL, max_interval: max_interval.max(MIN_INTERVAL), last_check: None }
    }

    /// Records that the server is read now.
    pub(super) fn record_check(&mut self, now: Duration) {
        let is_frequent = self.last_check.is_some_and(|last| now.saturating_sub(last) < self.interval * 2);
        self.interval = if is_frequent { (self.interval * 2).min(self.max_interval) } else { MIN_INTERVAL };
        self.last_check = Some(now);
    }

    /// Returns when to read the server after a notification that arrives now.
    pub(super) fn next_check(&self, now: Duration) -> Duration {
        let earliest = now + DEBOUNCE;
        self.last_check.map_or(earliest, |last| earliest.max(last + self.interval))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_notifications_are_followed_less_and_less_often() {
        let second = Duration::from_secs(1);
        let mut throttle = RecheckThrottle::new(60 * second);
        let mut now = 100 * second;
        throttle.record_check(now);
        now += 30 * second;
        assert_eq!(throttle.next_check(now), now + DEBOUNCE, "the first notification after a while");
        let mut delays = Vec::new();
        for _ in 0..8 {
            let due = throttle.next_check(now);
            throttle.record_check(due);
            delays.push(due.saturating_sub(now).as_secs());
            now = due;
        }
        assert_eq!(delays, [0, 2, 4, 8, 16, 32, 60, 60]);
        now += 300 * second;
        throttle.record_check(now);
        assert_eq!(throttle.next_check(now + 10 * second), now + 10 * second + DEBOUNCE);
    }
}
