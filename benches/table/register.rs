//! Measures registrations over HTTP, each committed before its response, against the same rows in one transaction.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use paulina::{Registration, ValidRegistration, bench_support::RawWriter};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};

use crate::load::{Requests, request, send};
use crate::process::Process;
use crate::report::{Line, Report};
use crate::{catalog, median};

const COUNT: usize = 1_280;
const CONCURRENCY: usize = 64;
const SINGLE_COUNT: usize = 200;
const TOOLS: u64 = 10;
const ROUNDS: usize = 5;

fn bodies(count: usize) -> Vec<String> {
    (0..count).map(|index| catalog::server(index, Some(TOOLS)).to_string()).collect()
}

fn parsed(body: &str) -> ValidRegistration {
    Registration::from_json(body.as_bytes()).expect("a registration")
}

fn another(turn: usize) -> String {
    catalog::server(COUNT + turn, Some(TOOLS)).to_string()
}

/// Measures all registrations in one transaction on a separate connection, and then single ones.
async fn measure_writer(folder: &Path, bodies: &[String]) -> (Duration, Duration) {
    let mut raw = RawWriter::create(&folder.join("raw.db")).await.expect("a database");
    let all = raw.insert(bodies.iter().map(|body| parsed(body)).collect()).await;
    let mut times = Vec::new();
    for turn in 0..SINGLE_COUNT {
        times.push(raw.insert(vec![parsed(&another(turn))]).await.as_secs_f64());
    }
    (all, Duration::from_secs_f64(median(times)))
}

/// Returns the median time of a small synced commit.
async fn synced_commit(folder: &Path) -> Duration {
    let options = SqliteConnectOptions::new().filename(folder.join("commit.db")).create_if_missing(true);
    let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
    let mut connection = options.disable_statement_logging().connect().await.expect("a database");
    let sql = "CREATE TABLE IF NOT EXISTS t (a INTEGER PRIMARY KEY, b TEXT); INSERT INTO t VALUES (1, 'x')";
    sqlx::raw_sql(sql).execute(&mut connection).await.expect("a table");
    let mut times = Vec::new();
    for _ in 0..SINGLE_COUNT {
        let start = Instant::now();
        sqlx::query("UPDATE t SET b = b || 'x'").execute(&mut connection).await.expect("a commit");
        times.push(start.elapsed().as_secs_f64());
    }
    connection.close().await.expect("it closes");
    Duration::from_secs_f64(median(times))
}

pub async fn measure(report: &mut Report) {
    let all = Arc::new(bodies(COUNT));
    let (mut ratios, mut samples, mut ceilings, mut single) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut commits, mut single_commits) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let folder = tempfile::tempdir().expect("a folder");
        let (batch, single_commit) = measure_writer(folder.path(), &all).await;
        let ceiling = batch.as_secs_f64() / COUNT as f64;
        single_commits.push(single_commit.as_secs_f64() * 1e6);
        let registry = Process::paulina(&folder.path().join("registry.db"), &[]).await;
        let own = Arc::clone(&all);
        let requests: Requests = Arc::new(move |turn| request("POST", "/v1/servers", &own[turn]));
        let (time, sample) = send(registry.address, CONCURRENCY, COUNT, &requests).await;
        ratios.push(ceiling / (time.as_secs_f64() / COUNT as f64));
        samples.push(sample);
        ceilings.push(ceiling);
        let requests: Requests = Arc::new(|turn| request("POST", "/v1/servers", &another(turn)));
        single.push(send(registry.address, 1, SINGLE_COUNT, &requests).await.1);
        commits.push(synced_commit(folder.path()).await.as_secs_f64());
    }
    samples.sort_by(|one, other| one.rate.total_cmp(&other.rate));
    single.sort_by(|one, other| one.percentile(50).total_cmp(&other.percentile(50)));
    let (ceiling, commit) = (median(ceilings), median(commits) * 1e6);
    let against = format!("the same rows in one transaction: {:.0}/s", 1.0 / ceiling);
    let line = Line::new("POST /v1/servers, 10 tools, 64 concurrent", median(ratios), "", against);
    report.add(line.rate(&samples[ROUNDS / 2]).at_least(0.70));
    let single = &single[ROUNDS / 2];
    let (rows, own_commit) = (ceiling * 1e6, median(single_commits));
    let against = format!("rows {rows:.0} µs + a synced commit of one small row {commit:.0} µs");
    let overhead = single.percentile(50) - rows - commit;
    let line = Line::new("the same, single: overhead over its rows and a commit", overhead, "µs", against);
    report.add(line.rate(single).at_most(500.0));
    let against = format!("its statements and their synced commit: {own_commit:.0} µs");
    let line = Line::new(
        "the same, single: overhead over its own commit",
        single.percentile(50) - own_commit,
        "µs",
        against,
    );
    report.add(line.rate(single));
}
