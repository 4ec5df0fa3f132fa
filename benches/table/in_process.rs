//! Measures queries in process, against the same SQL on one connection.

use std::time::Instant;

use paulina::{Filter, Options, Registration, Registry, bench_support};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions};

use crate::http::SERVERS;
use crate::report::{Line, Report};
use crate::{catalog, median};

const ROUNDS: usize = 9;
const CALLS: usize = 2_000;

/// Registers servers, up to 512 concurrently.
pub async fn fill(registry: &Registry, bodies: impl Iterator<Item = serde_json::Value>) {
    let mut tasks = tokio::task::JoinSet::new();
    for body in bodies {
        let valid = Registration::from_json(body.to_string().as_bytes()).expect("a registration");
        let registry = registry.clone();
        tasks.spawn(async move { registry.register_valid(valid).await.map(|_| ()) });
        if tasks.len() >= 512 {
            tasks.join_next().await.expect("a task runs").expect("it runs").expect("it is registered");
        }
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("it runs").expect("it is registered");
    }
}

fn filter(turn: usize) -> Filter {
    Filter::new().tool(format!("tool_{}", turn % (SERVERS / catalog::MATCHES)))
}

/// Returns the time of a call in microseconds.
async fn find(registry: &Registry) -> f64 {
    let start = Instant::now();
    for turn in 0..CALLS {
        let page = registry.find(filter(turn)).await.expect("an answer");
        assert_eq!(page.servers.len(), catalog::MATCHES);
        std::hint::black_box(&page);
    }
    start.elapsed().as_secs_f64() * 1e6 / CALLS as f64
}

pub async fn measure(report: &mut Report) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("registry.db");
    let registry = Registry::open(&path).await.expect("a registry");
    fill(&registry, (0..SERVERS).map(|index| catalog::server(index, None))).await;
    find(&registry).await;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        times.push(find(&registry).await);
    }
    report.add(Line::new("find by tool in process, cached", median(times), "µs", "5 servers").at_most(3.0));
    registry.close().await;

    let registry = Options::new().cache_bytes(0).open(&path).await.expect("a registry");
    let options = SqliteConnectOptions::new().filename(&path).read_only(true).disable_statement_logging();
    let mut connection = options.connect().await.expect("a connection");
    let sql = bench_support::find_sql(&filter(0));
    let (mut own, mut raw, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for turn in 0..CALLS {
            let tool = format!("tool_{}", turn % (SERVERS / catalog::MATCHES));
            let statement = sqlx::query(AssertSqlSafe(sql.as_str())).bind(tool).bind(0_i64).bind(101_i64);
            std::hint::black_box(statement.fetch_one(&mut connection).await.expect("a row"));
        }
        raw.push(start.elapsed().as_secs_f64() * 1e6 / CALLS as f64);
        own.push(find(&registry).await);
        ratios.push(own[own.len() - 1] / raw[raw.len() - 1]);
    }
    let against = format!("{:.0} µs; {:.0} µs for the same SQL on one connection", median(own), median(raw));
    report.add(Line::new("find by tool in process, uncached", median(ratios), "×", against).at_most(1.5));
    registry.close().await;
}
