//! Measures how operations scale: 10 to 10,000 servers of realistic size, and 100,000 with one short tool each.

use std::path::Path;
use std::time::Instant;

use paulina::{Filter, Options, Registry};

use crate::in_process::fill;
use crate::report::{Line, Report};
use crate::{catalog, http, median};

const SIZES: [usize; 5] = [10, 100, 1_000, 10_000, 100_000];
const CALLS: usize = 1_000;
const ROUNDS: usize = 5;

type Query = (&'static str, fn(usize) -> Filter);

const QUERIES: [Query; 5] = [
    ("name", |group| Filter::new().name(format!("name_{group}"))),
    ("tool", |group| Filter::new().tool(format!("tool_{group}"))),
    ("tag", |group| Filter::new().tag(format!("team_{group}"))),
    ("capability", |group| Filter::new().capability(format!("kind_{group}"))),
    ("resource", |group| Filter::new().resource(format!("res://{group}/x"))),
];

/// Returns a server with one short tool.
pub fn small(index: usize) -> serde_json::Value {
    let group = index / catalog::MATCHES;
    serde_json::json!({
        "id": catalog::id(index), "name": format!("name_{group}"), "transport": "stdio", "command": ["/usr/bin/server"],
        "capabilities": {
            "tools": [format!("tool_{group}")], "resources": [format!("res://{group}/{{path}}")],
            format!("kind_{group}"): true,
        },
        "tags": [format!("team_{group}")], "ttl": 3600,
    })
}

fn body(size: usize, index: usize) -> serde_json::Value {
    if size > 10_000 { small(index) } else { catalog::server(index, None) }
}

/// Returns the time of an uncached query in microseconds.
async fn look_up(registry: &Registry, size: usize, query: fn(usize) -> Filter) -> f64 {
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        let start = Instant::now();
        for turn in 0..CALLS {
            let group = (turn * 7 + round) % (size / catalog::MATCHES);
            let page = registry.find(query(group)).await.expect("a result");
            assert_eq!(page.servers.len(), catalog::MATCHES);
        }
        rounds.push(start.elapsed().as_secs_f64() * 1e6 / CALLS as f64);
    }
    median(rounds)
}

/// Returns refreshes per second with 32 concurrent callers.
async fn refresh(registry: &Registry, size: usize) -> f64 {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let tasks: Vec<_> = (0..32)
            .map(|task| {
                let registry = registry.clone();
                tokio::spawn(async move {
                    for turn in 0..500 {
                        let id = catalog::id((turn * 7_919 + task * 104_729) % size);
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
        measure_size(report, &folder.path().join(format!("{size}.db")), size).await;
    }
    ratios(report, &folder.path().join("small.db")).await;
}

/// Measures all operations at one size.
async fn measure_size(report: &mut Report, path: &Path, size: usize) {
    let registry = Options::new().cache_bytes(0).open(path).await.expect("a registry");
    let start = Instant::now();
    fill(&registry, (0..size).map(|index| body(size, index))).await;
    let rate = size as f64 / start.elapsed().as_secs_f64();
    report.add(Line::new(format!("{size} servers: registered"), rate, "/s", "512 concurrent, in process"));
    for (name, query) in QUERIES {
        let time = look_up(&registry, size, query).await;
        let line = Line::new(format!("{size} servers: find by {name}"), time, "µs", "uncached, 5 matches");
        report.add(line);
    }
    let start = Instant::now();
    for turn in 0..CALLS {
        registry.get(&catalog::id(turn * 31 % size)).await.expect("a result").expect("it is registered");
    }
    let time = start.elapsed().as_secs_f64() * 1e6 / CALLS as f64;
    report.add(Line::new(format!("{size} servers: get by id"), time, "µs", "uncached, all schemas"));
    let rate = refresh(&registry, size).await;
    report.add(Line::new(format!("{size} servers: refresh"), rate, "/s", "32 concurrent, in process"));
    registry.close().await;
    let start = Instant::now();
    let registry = Registry::open(path).await.expect("a registry");
    let time = start.elapsed().as_secs_f64() * 1e3;
    let line = Line::new(format!("{size} servers: start"), time, "ms", "to ready");
    report.add(if size == 100_000 { line.at_most(1_000.0) } else { line });
    registry.close().await;
    let _ = std::fs::remove_file(path);
}

/// Measures how queries and refreshes scale with the number of servers only: all have one short tool.
async fn ratios(report: &mut Report, path: &Path) {
    let sizes = [100, 10_000, 100_000];
    let mut lookups = [const { Vec::new() }; QUERIES.len()];
    let (mut in_order, mut at_random) = (Vec::new(), Vec::new());
    for size in sizes {
        let registry = Options::new().cache_bytes(0).open(path).await.expect("a registry");
        fill(&registry, (0..size).map(small)).await;
        for (times, (_, query)) in lookups.iter_mut().zip(QUERIES) {
            times.push(look_up(&registry, size, query).await);
        }
        registry.close().await;
        in_order.push(http::refresh_rate(path, size, 1).await);
        at_random.push(http::refresh_rate(path, size, 7_919).await);
    }
    for ((name, _), times) in QUERIES.into_iter().zip(&lookups) {
        let against = format!("{:.0} µs, {:.0} µs at 100", times[2], times[0]);
        let name = format!("find by {name}, 100 → 100,000");
        report.add(Line::new(name, times[2] / times[0], "×", against).at_most(1.5));
    }
    for (order, rates) in [("in registration order", in_order), ("in random order", at_random)] {
        for (size, rate, bar) in [("10,000", rates[1], 0.8), ("100,000", rates[2], 0.5)] {
            let against = format!("{rate:.0}/s, {:.0}/s at 100; {order}", rates[0]);
            let name = format!("PUT …/refresh, 100 → {size}");
            report.add(Line::new(name, rate / rates[0], "×", against).at_least(bar));
        }
    }
}
