//! What becomes of it as the registry grows: 10 to 10,000 servers of real size, and 100,000 with one short tool each.

use std::path::Path;
use std::time::Instant;

use paulina::{Filter, Options, Registry};

use crate::in_process::fill;
use crate::report::{Line, Report};
use crate::{catalogue, http, median};

const SIZES: [usize; 5] = [10, 100, 1_000, 10_000, 100_000];
const CALLS: usize = 1_000;
const ROUNDS: usize = 5;

type Question = (&'static str, fn(usize) -> Filter);

const QUESTIONS: [Question; 5] = [
    ("name", |group| Filter::new().name(format!("name_{group}"))),
    ("tool", |group| Filter::new().tool(format!("tool_{group}"))),
    ("tag", |group| Filter::new().tag(format!("team_{group}"))),
    ("capability", |group| Filter::new().capability(format!("kind_{group}"))),
    ("resource", |group| Filter::new().resource(format!("res://{group}/x"))),
];

/// One with one short tool.
pub fn small(index: usize) -> serde_json::Value {
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

pub async fn measure(report: &mut Report) {
    let folder = tempfile::tempdir().expect("a folder");
    for size in SIZES {
        at(report, &folder.path().join(format!("{size}.db")), size).await;
    }
    ratios(report, &folder.path().join("small.db")).await;
}

/// Everything at one size.
async fn at(report: &mut Report, path: &Path, size: usize) {
    let registry = Options::new().answer_cache(0).open(path).await.expect("a registry");
    let start = Instant::now();
    fill(&registry, (0..size).map(|index| body(size, index))).await;
    let rate = size as f64 / start.elapsed().as_secs_f64();
    report.add(Line::new(format!("{size} servers: registered"), rate, "/s", "512 at once, in process"));
    for (name, question) in QUESTIONS {
        let time = look_up(&registry, size, question).await;
        let line = Line::new(format!("{size} servers: find by {name}"), time, "µs", "made anew, 5 matches");
        report.add(line);
    }
    let start = Instant::now();
    for turn in 0..CALLS {
        registry.get(&catalogue::id(turn * 31 % size)).await.expect("an answer").expect("it is there");
    }
    let time = start.elapsed().as_secs_f64() * 1e6 / CALLS as f64;
    report.add(Line::new(format!("{size} servers: get by id"), time, "µs", "made anew, all schemas"));
    let rate = refresh(&registry, size).await;
    report.add(Line::new(format!("{size} servers: refresh"), rate, "/s", "32 at once, in process"));
    registry.close().await;
    let start = Instant::now();
    let registry = Registry::open(path).await.expect("a registry");
    let time = start.elapsed().as_secs_f64() * 1e3;
    let line = Line::new(format!("{size} servers: start"), time, "ms", "to ready");
    report.add(if size == 100_000 { line.at_most(1_000.0) } else { line });
    registry.close().await;
    let _ = std::fs::remove_file(path);
}

/// What becomes of lookups and refreshes as the number grows and nothing else: servers with one short tool.
async fn ratios(report: &mut Report, path: &Path) {
    let sizes = [100, 10_000, 100_000];
    let mut lookups = [const { Vec::new() }; QUESTIONS.len()];
    let (mut in_order, mut at_random) = (Vec::new(), Vec::new());
    for size in sizes {
        let registry = Options::new().answer_cache(0).open(path).await.expect("a registry");
        fill(&registry, (0..size).map(small)).await;
        for (times, (_, question)) in lookups.iter_mut().zip(QUESTIONS) {
            times.push(look_up(&registry, size, question).await);
        }
        registry.close().await;
        in_order.push(http::refresh_rate(path, size, 1).await);
        at_random.push(http::refresh_rate(path, size, 7_919).await);
    }
    for ((name, _), times) in QUESTIONS.into_iter().zip(&lookups) {
        let against = format!("{:.0} µs beside {:.0} µs at 100", times[2], times[0]);
        let name = format!("find by {name}, 100 → 100,000");
        report.add(Line::new(name, times[2] / times[0], "×", against).at_most(1.5));
    }
    for (order, rates) in [("in the order they came", in_order), ("in any order", at_random)] {
        for (size, rate, bar) in [("10,000", rates[1], 0.8), ("100,000", rates[2], 0.5)] {
            let against = format!("{rate:.0}/s beside {:.0}/s at 100; {order}", rates[0]);
            let name = format!("PUT …/refresh, 100 → {size}");
            report.add(Line::new(name, rate / rates[0], "×", against).at_least(bar));
        }
    }
}
