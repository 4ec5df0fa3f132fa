//! What becomes of it as the registry grows: 10 to 10,000 servers of real size, and 100,000 with one short tool each.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use paulina::clock::ManualClock;
use paulina::{Filter, Options, Registry};

use crate::in_process::fill;
use crate::report::{Line, Report};
use crate::{catalogue, median};

const SIZES: [usize; 5] = [10, 100, 1_000, 10_000, 100_000];
const CALLS: usize = 1_000;
const ROUNDS: usize = 5;
const PRUNED: usize = 1_000;

type Question = (&'static str, fn(usize) -> Filter);

const QUESTIONS: [Question; 5] = [
    ("name", |group| Filter::new().name(format!("name_{group}"))),
    ("tool", |group| Filter::new().tool(format!("tool_{group}"))),
    ("tag", |group| Filter::new().tag(format!("team_{group}"))),
    ("capability", |group| Filter::new().capability(format!("kind_{group}"))),
    ("resource", |group| Filter::new().resource(format!("res://{group}/x"))),
];

/// One with one short tool.
fn small(index: usize) -> serde_json::Value {
    let group = index / catalogue::MATCHES;
    serde_json::json!({
        "id": catalogue::id(index), "name": format!("name_{group}"), "transport": "stdio", "command": ["/usr/bin/server"],
        "capabilities": {
            "tools": [format!("tool_{group}")], "resources": [format!("res://{group}/{{path}}")],
            format!("kind_{group}"): true,
        },
        "tags": [format!("team_{group}")], "ttl": 3600,
    })
}

fn body(size: usize, index: usize) -> serde_json::Value {
    if size > 10_000 { small(index) } else { catalogue::server(index, None) }
}

/// Microseconds a lookup that is made anew.
async fn look_up(registry: &Registry, size: usize, question: fn(usize) -> Filter) -> f64 {
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        let start = Instant::now();
        for turn in 0..CALLS {
            let group = (turn * 7 + round) % (size / catalogue::MATCHES);
            let page = registry.find(question(group)).await.expect("an answer");
            assert_eq!(page.servers.len(), catalogue::MATCHES);
        }
        rounds.push(start.elapsed().as_secs_f64() * 1e6 / CALLS as f64);
    }
    median(rounds)
}

/// Refreshes a second, 32 at once.
async fn refresh(registry: &Registry, size: usize) -> f64 {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let tasks: Vec<_> = (0..32)
            .map(|task| {
                let registry = registry.clone();
                tokio::spawn(async move {
                    for turn in 0..500 {
                        let id = catalogue::id((turn * 7_919 + task * 104_729) % size);
                        registry.refresh(id.as_str()).await.expect("it is registered");
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("it runs");
        }
        rounds.push(32.0 * 500.0 / start.elapsed().as_secs_f64());
    }
    median(rounds)
}

/// Milliseconds to prune a thousand servers of `size`, and the longest that a refresh or a lookup waited meanwhile.
async fn prune(folder: &Path, size: usize) -> (f64, f64) {
    let clock = ManualClock::new();
    let path = folder.join(format!("prune-{size}.db"));
    let options = Options::new().clock(clock.clone()).prune_interval(Duration::from_secs(3_600));
    let registry = options.open(&path).await.expect("a registry");
    let short = |index: usize| {
        let mut body = small(index);
        if index % (size / PRUNED) == 0 {
            body["ttl"] = 1.into();
        }
        body
    };
    fill(&registry, (0..size).map(short)).await;
    clock.advance(Duration::from_millis(400));
    for _ in 0..4 {
        clock.advance(Duration::from_millis(400));
        registry.check_writable().await.expect("it is");
    }
    let done = Arc::new(AtomicBool::new(false));
    let asking = {
        let (registry, done) = (registry.clone(), Arc::clone(&done));
        tokio::spawn(async move {
            let mut longest = 0.0_f64;
            let mut turn = 1;
            while !done.load(Ordering::Relaxed) {
                turn += size / PRUNED;
                let id = catalogue::id(turn % size);
                let start = Instant::now();
                registry.refresh(id.as_str()).await.expect("it is registered");
                registry.get(&id).await.expect("an answer").expect("it is registered");
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
    let longest = asking.await.expect("it runs");
    assert_eq!(registry.stats().await.expect("totals").servers.total, (size - PRUNED) as u64);
    registry.close().await;
    (time, longest)
}

pub async fn measure(report: &mut Report) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut lookups: Vec<Vec<f64>> = vec![Vec::new(); QUESTIONS.len()];
    let mut refreshes = Vec::new();
    for size in SIZES {
        let path = folder.path().join(format!("{size}.db"));
        let registry = Options::new().answer_cache(0).open(&path).await.expect("a registry");
        let start = Instant::now();
        fill(&registry, (0..size).map(|index| body(size, index))).await;
        let rate = size as f64 / start.elapsed().as_secs_f64();
        report.add(Line::new(format!("{size} servers: registered"), rate, "/s", "512 at once, in process"));
        for (index, (name, question)) in QUESTIONS.into_iter().enumerate() {
            let time = look_up(&registry, size, question).await;
            lookups[index].push(time);
            let line =
                Line::new(format!("{size} servers: find by {name}"), time, "µs", "made anew, 5 matches");
            report.add(line);
        }
        let start = Instant::now();
        for turn in 0..CALLS {
            registry.get(&catalogue::id(turn * 31 % size)).await.expect("an answer").expect("it is there");
        }
        let time = start.elapsed().as_secs_f64() * 1e6 / CALLS as f64;
        report.add(Line::new(format!("{size} servers: get by id"), time, "µs", "made anew, all schemas"));
        let rate = refresh(&registry, size).await;
        refreshes.push(rate);
        report.add(Line::new(format!("{size} servers: refresh"), rate, "/s", "32 at once, in process"));
        registry.close().await;
        let start = Instant::now();
        let registry = Registry::open(&path).await.expect("a registry");
        let time = start.elapsed().as_secs_f64() * 1e3;
        let line = Line::new(format!("{size} servers: start"), time, "ms", "to ready");
        report.add(if size == 100_000 { line.at_most(1_000.0) } else { line });
        registry.close().await;
        let _ = std::fs::remove_file(&path);
    }
    for ((name, _), times) in QUESTIONS.into_iter().zip(&lookups) {
        let against = format!("{:.0} µs at 100,000 beside {:.0} µs at 100", times[4], times[1]);
        report.add(
            Line::new(format!("find by {name}, 100 → 100,000"), times[4] / times[1], "×", against)
                .at_most(1.5),
        );
    }
    let against = |large: usize| format!("{:.0}/s beside {:.0}/s at 100", refreshes[large], refreshes[1]);
    report
        .add(Line::new("refresh, 100 → 10,000", refreshes[3] / refreshes[1], "×", against(3)).at_least(0.8));
    report
        .add(Line::new("refresh, 100 → 100,000", refreshes[4] / refreshes[1], "×", against(4)).at_least(0.5));
    let (few, _) = prune(folder.path(), 2 * PRUNED).await;
    let (many, longest) = prune(folder.path(), 100 * PRUNED).await;
    let against = format!("{many:.0} ms beside {few:.0} ms of 2,000");
    report.add(Line::new("prune 1,000 of 100,000", many / few, "×", against).at_most(2.0));
    report.add(
        Line::new("longest wait of others meanwhile", longest, "ms", "a refresh and a get").at_most(20.0),
    );
}
