//! Measures pruning by the number of servers, and how long other callers wait for it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use paulina::Options;
use paulina::clock::ManualClock;

use crate::catalog;
use crate::growth::small;
use crate::in_process::fill;
use crate::report::{Line, Report};

const PRUNED: usize = 1_000;

/// Returns the time in milliseconds to prune 1,000 of `size` servers, and the longest that other callers waited.
async fn prune(folder: &Path, size: usize) -> (f64, f64) {
    let clock = ManualClock::new();
    let path = folder.join(format!("prune-{size}.db"));
    let options = Options::new().clock(clock.clone()).prune_interval(Duration::from_hours(1));
    let registry = options.open(&path).await.expect("a registry");
    let short = |index: usize| {
        let mut body = small(index);
        if index.is_multiple_of(size / PRUNED) {
            body["ttl"] = 1.into();
        }
        body
    };
    fill(&registry, (0..size).map(short)).await;
    clock.advance(Duration::from_millis(400));
    for _ in 0..4 {
        clock.advance(Duration::from_millis(400));
        registry.check_writable().await.expect("it is writable");
    }
    let done = Arc::new(AtomicBool::new(false));
    let caller = {
        let (registry, done) = (registry.clone(), Arc::clone(&done));
        tokio::spawn(async move {
            let mut longest = 0.0_f64;
            let mut turn = 1;
            while !done.load(Ordering::Relaxed) {
                turn += size / PRUNED;
                let id = catalog::id(turn % size);
                let start = Instant::now();
                registry.refresh(id.as_str()).await.expect("it is registered");
                registry.get(&id).await.expect("a result").expect("it is registered");
                longest = longest.max(start.elapsed().as_secs_f64() * 1e3);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            longest
        })
    };
    let start = Instant::now();
    registry.prune().await.expect("it prunes");
    let time = start.elapsed().as_secs_f64() * 1e3;
    done.store(true, Ordering::Relaxed);
    let longest = caller.await.expect("it runs");
    assert_eq!(registry.stats().await.expect("totals").servers.total, (size - PRUNED) as u64);
    registry.close().await;
    (time, longest)
}

pub async fn measure(report: &mut Report) {
    let folder = tempfile::tempdir().expect("a folder");
    let (few, _) = prune(folder.path(), 2 * PRUNED).await;
    let (many, longest) = prune(folder.path(), 100 * PRUNED).await;
    let against = format!("{many:.0} ms, {few:.0} ms of 2,000");
    report.add(Line::new("prune 1,000 of 100,000", many / few, "×", against).at_most(2.0));
    report
        .add(Line::new("longest wait of other callers", longest, "ms", "a refresh and a get").at_most(20.0));
}
