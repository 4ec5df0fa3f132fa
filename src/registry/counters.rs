//! Counters of the registry since it was opened, for metrics.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::store::BatchCounts;

/// Counters that the writer task and readers update.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    registered: AtomicU64,
    refreshed: AtomicU64,
    deregistered: AtomicU64,
    expired: AtomicU64,
    /// Lookups in the response cache.
    hits: AtomicU64,
    misses: AtomicU64,
    /// The wall time of the last commit, in milliseconds.
    last_commit: AtomicI64,
    /// The duration of commits in seconds, transaction included.
    commits: Histogram<10>,
    /// The number of commands per commit.
    batches: Histogram<7>,
}

/// A histogram with an additional bucket for values above all bounds.
#[derive(Debug)]
pub(crate) struct Histogram<const BOUNDS: usize> {
    bounds: [f64; BOUNDS],
    counts: [AtomicU64; BOUNDS],
    overflow: AtomicU64,
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
        let (counts, overflow, sum) =
            (std::array::from_fn(|_| AtomicU64::new(0)), AtomicU64::new(0), AtomicU64::new(0));
        Self { bounds, counts, overflow, sum }
    }

    fn observe(&self, value: f64) {
        let bucket = self.bounds.iter().zip(&self.counts).find(|(bound, _)| value <= **bound);
        bucket.map_or(&self.overflow, |(_, count)| count).fetch_add(1, Ordering::Relaxed);
        let millionths = Duration::try_from_secs_f64(value).map_or(0, |value| value.as_micros());
        self.sum.fetch_add(u64::try_from(millionths).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Returns the sum and the number of all values, and the bound and count of each bucket.
    #[cfg(feature = "server")]
    pub(crate) fn read(&self) -> (f64, u64, Vec<(f64, u64)>) {
        let sum = Duration::from_micros(self.sum.load(Ordering::Relaxed)).as_secs_f64();
        let counts = self.counts.iter().chain([&self.overflow]).map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<_> = self.bounds.iter().copied().chain([f64::INFINITY]).zip(counts).collect();
        (sum, buckets.iter().map(|(_, count)| count).sum(), buckets)
    }
}

impl Counters {
    /// Records a committed batch.
    pub(super) fn record_commit(&self, commands: usize, took: Duration, wall: i64, counts: BatchCounts) {
        self.last_commit.store(wall, Ordering::Relaxed);
        self.commits.observe(took.as_secs_f64());
        self.batches.observe(f64::from(u32::try_from(commands).unwrap_or(u32::MAX)));
        for (count, more) in [
            (&self.registered, counts.registered),
            (&self.refreshed, counts.refreshed),
            (&self.deregistered, counts.deregistered),
            (&self.expired, counts.expired),
        ] {
            count.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// Records a new copy of another registry's database, with the wall time of its last commit.
    pub(super) fn record_snapshot(&self, committed_at: i64) {
        self.last_commit.store(committed_at, Ordering::Relaxed);
    }

    /// Records whether a response was found in the cache.
    pub(super) fn record_cache_lookup<T>(&self, response: Option<T>) -> Option<T> {
        let count = if response.is_some() { &self.hits } else { &self.misses };
        count.fetch_add(1, Ordering::Relaxed);
        response
    }
}

#[cfg(feature = "server")]
impl Counters {
    /// Returns the name, the help text and the value of each counter.
    pub(crate) fn counters(&self) -> [(&'static str, &'static str, u64); 6] {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [
            ("registrations", "Committed registrations, new and replaced", read(&self.registered)),
            ("refreshes", "Committed lease refreshes", read(&self.refreshed)),
            ("deregistrations", "Committed deregistrations", read(&self.deregistered)),
            ("expirations", "Expired leases", read(&self.expired)),
            ("cache_hits", "Queries served from the response cache", read(&self.hits)),
            ("cache_misses", "Queries not found in the response cache", read(&self.misses)),
        ]
    }

    /// Returns the wall time of the last commit in milliseconds; 0 before the first one.
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
