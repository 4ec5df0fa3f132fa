//! How soon a server is asked again what it can do, when it says that this has changed: at once if it rarely does, and ever
//! less often while it goes on saying so. Each time may start a process.

use std::time::Duration;

/// Several lists change together.
const TOGETHER: Duration = Duration::from_millis(200);
const FIRST: Duration = Duration::from_secs(2);

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Pace {
    gap: Duration,
    longest: Duration,
    /// When it was last asked.
    asked: Option<Duration>,
}

impl Pace {
    pub(super) fn new(longest: Duration) -> Self {
        Self { gap: FIRST, longest: longest.max(FIRST), asked: None }
    }

    /// It is asked now.
    pub(super) fn asked(&mut self, now: Duration) {
        let soon = self.asked.is_some_and(|before| now.saturating_sub(before) < self.gap * 2);
        self.gap = if soon { (self.gap * 2).min(self.longest) } else { FIRST };
        self.asked = Some(now);
    }

    /// When it is to be asked, for a change that is told now.
    pub(super) fn due(&self, now: Duration) -> Duration {
        let soonest = now + TOGETHER;
        self.asked.map_or(soonest, |before| soonest.max(before + self.gap))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_says_so_all_the_time_is_asked_ever_less_often() {
        let second = Duration::from_secs(1);
        let mut pace = Pace::new(60 * second);
        let mut now = 100 * second;
        pace.asked(now);
        now += 30 * second;
        assert_eq!(pace.due(now), now + TOGETHER, "the first change after a while");
        let mut gaps = Vec::new();
        for _ in 0..8 {
            let due = pace.due(now);
            pace.asked(due);
            gaps.push(due.saturating_sub(now).as_secs());
            now = due;
        }
        assert_eq!(gaps, [0, 2, 4, 8, 16, 32, 60, 60]);
        now += 300 * second;
        pace.asked(now);
        assert_eq!(pace.due(now + 10 * second), now + 10 * second + TOGETHER);
    }
}
