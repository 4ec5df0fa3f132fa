//! Registrations over HTTP, each on disk before its answer, beside the same rows in one big transaction.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use paulina::{Registration, ceiling::Raw};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};

use crate::load::{Requests, request, send};
use crate::process::Process;
use crate::report::{Line, Report};
use crate::{catalogue, median};

const COUNT: usize = 1_280;
const AT_ONCE: usize = 64;
const ALONE: usize = 200;
const TOOLS: u64 = 10;
const ROUNDS: usize = 5;

fn bodies(count: usize) -> Vec<String> {
    (0..count).map(|index| catalogue::server(index, Some(TOOLS)).to_string()).collect()
}

/// All in one transaction, on a connection of its own.
async fn in_one_transaction(folder: &Path, bodies: &[String]) -> Duration {
    let mut raw = Raw::create(&folder.join("raw.db")).await.expect("a database");
    let parsed = bodies.iter().map(|body| Registration::from_json(body.as_bytes()).expect("a registration"));
    raw.insert(parsed.collect()).await
}

/// The median time of one small commit that waits for the disk.
async fn synced_commit(folder: &Path) -> Duration {
    let options = SqliteConnectOptions::new().filename(folder.join("commit.db")).create_if_missing(true);
    let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
    let mut connection = options.disable_statement_logging().connect().await.expect("a database");
    let sql = "CREATE TABLE IF NOT EXISTS t (a INTEGER PRIMARY KEY, b TEXT); INSERT INTO t VALUES (1, 'x')";
    sqlx::raw_sql(sql).execute(&mut connection).await.expect("a table");
    let mut times = Vec::new();
    for _ in 0..ALONE {
        let start = Instant::now();
        sqlx::query("UPDATE t SET b = b || 'x'").execute(&mut connection).await.expect("a commit");
        times.push(start.elapsed().as_secs_f64());
    }
    connection.close().await.expect("it closes");
    Duration::from_secs_f64(median(times))
}

pub async fn measure(report: &mut Report) {
    let all = Arc::new(bodies(COUNT));
    let (mut ratios, mut samples, mut ceilings, mut lone) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut commits = Vec::new();
    for _ in 0..ROUNDS {
        let folder = tempfile::tempdir().expect("a folder");
        let ceiling = in_one_transaction(folder.path(), &all).await.as_secs_f64() / COUNT as f64;
        let registry = Process::paulina(&folder.path().join("registry.db"), &[]).await;
        let own = Arc::clone(&all);
        let requests: Requests = Arc::new(move |turn| request("POST", "/v1/servers", &own[turn]));
        let (time, sample) = send(registry.address, AT_ONCE, COUNT, &requests).await;
        ratios.push(ceiling / (time.as_secs_f64() / COUNT as f64));
        samples.push(sample);
        ceilings.push(ceiling);
        let requests: Requests = Arc::new(|turn| {
            request("POST", "/v1/servers", &catalogue::server(COUNT + turn, Some(TOOLS)).to_string())
        });
        lone.push(send(registry.address, 1, ALONE, &requests).await.1);
        commits.push(synced_commit(folder.path()).await.as_secs_f64());
    }
    samples.sort_by(|one, other| one.rate.total_cmp(&other.rate));
    lone.sort_by(|one, other| one.percentile(50).total_cmp(&other.percentile(50)));
    let (ceiling, commit) = (median(ceilings), median(commits) * 1e6);
    let against = format!("the same rows in one transaction: {:.0}/s", 1.0 / ceiling);
    let line = Line::new("POST /v1/servers, 10 tools, 64 at once", median(ratios), "", against);
    report.add(line.rate(&samples[ROUNDS / 2]).at_least(0.70));
    let lone = &lone[ROUNDS / 2];
    let rows = ceiling * 1e6;
    let against = format!("rows {rows:.0} µs + synced commit {commit:.0} µs");
    let line = Line::new(
        "the same, alone, beyond its rows and a commit",
        lone.percentile(50) - rows - commit,
        "µs",
        against,
    );
    report.add(line.rate(lone).at_most(500.0));
}
