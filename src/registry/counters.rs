//! What the registry has done since it was opened, for metrics.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::store::Tally;

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Counts {
    registered: AtomicU64,
    refreshed: AtomicU64,
    deregistered: AtomicU64,
    expired: AtomicU64,
    /// Answers that were given again, and that were made.
    hits: AtomicU64,
    misses: AtomicU64,
    /// The wall time of the last commit, in milliseconds.
    last_commit: AtomicI64,
    /// Seconds that a commit took, from the begin of its transaction on.
    commits: Histogram<10>,
    /// Commands that shared a commit.
    batches: Histogram<7>,
}

/// How often a value was at most so much; a count for what is beyond all bounds.
#[derive(Debug)]
pub(crate) struct Histogram<const BOUNDS: usize> {
    bounds: [f64; BOUNDS],
    counts: [AtomicU64; BOUNDS],
    beyond: AtomicU64,
    /// The sum of all values, in millionths.
    sum: AtomicU64,
}

impl Default for Histogram<10> {
    fn default() -> Self {
        Self::new([0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 1.0, 10.0])
    }
}

impl Default for Histogram<7> {
    fn default() -> Self {
        Self::new([1.0, 4.0, 16.0, 64.0, 128.0, 256.0, 512.0])
    }
}

impl<const BOUNDS: usize> Histogram<BOUNDS> {
    fn new(bounds: [f64; BOUNDS]) -> Self {
        let (counts, beyond, sum) =
            (std::array::from_fn(|_| AtomicU64::new(0)), AtomicU64::new(0), AtomicU64::new(0));
        Self { bounds, counts, beyond, sum }
    }

    fn observe(&self, value: f64) {
        let bucket = self.bounds.iter().zip(&self.counts).find(|(bound, _)| value <= **bound);
        bucket.map_or(&self.beyond, |(_, count)| count).fetch_add(1, Ordering::Relaxed);
        let millionths = Duration::try_from_secs_f64(value).map_or(0, |value| value.as_micros());
        self.sum.fetch_add(u64::try_from(millionths).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The sum, how many there were, and each bucket: its bound, and what falls into it.
    #[cfg(feature = "server")]
    pub(crate) fn read(&self) -> (f64, u64, Vec<(f64, u64)>) {
        let sum = Duration::from_micros(self.sum.load(Ordering::Relaxed)).as_secs_f64();
        let counts = self.counts.iter().chain([&self.beyond]).map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<_> = self.bounds.iter().copied().chain([f64::INFINITY]).zip(counts).collect();
        (sum, buckets.iter().map(|(_, count)| count).sum(), buckets)
    }
}

impl Counts {
    /// A batch was committed.
    pub(super) fn committed(&self, commands: usize, took: Duration, wall: i64, tally: Tally) {
        self.last_commit.store(wall, Ordering::Relaxed);
        self.commits.observe(took.as_secs_f64());
        self.batches.observe(f64::from(u32::try_from(commands).unwrap_or(u32::MAX)));
        for (count, more) in [
            (&self.registered, tally.registered),
            (&self.refreshed, tally.refreshed),
            (&self.deregistered, tally.deregistered),
            (&self.expired, tally.expired),
        ] {
            count.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// A copy of another registry's database has come, whose last commit was at this wall time.
    pub(super) fn copied(&self, committed_at: i64) {
        self.last_commit.store(committed_at, Ordering::Relaxed);
    }

    /// A question was asked: was its answer there?
    pub(super) fn asked<T>(&self, answer: Option<T>) -> Option<T> {
        let count = if answer.is_some() { &self.hits } else { &self.misses };
        count.fetch_add(1, Ordering::Relaxed);
        answer
    }
}

#[cfg(feature = "server")]
impl Counts {
    /// Each count with its name, and what it counts.
    pub(crate) fn counters(&self) -> [(&'static str, &'static str, u64); 6] {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [
            (
                "registrations",
                "Registrations that were committed, new ones and replacements",
                read(&self.registered),
            ),
            ("refreshes", "Leases that were refreshed", read(&self.refreshed)),
            ("deregistrations", "Servers that were taken out", read(&self.deregistered)),
            ("expiries", "Leases that ran out", read(&self.expired)),
            ("answers_reused", "Questions answered with an answer that was kept", read(&self.hits)),
            ("answers_made", "Questions answered anew", read(&self.misses)),
        ]
    }

    /// The wall time of the last commit, in milliseconds; 0 before the first.
    pub(crate) fn last_commit(&self) -> i64 {
        self.last_commit.load(Ordering::Relaxed)
    }

    pub(crate) fn commits(&self) -> &Histogram<10> {
        &self.commits
    }

    pub(crate) fn batches(&self) -> &Histogram<7> {
        &self.batches
    }
}
