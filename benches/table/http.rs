//! Measures reads and heartbeats over HTTP, against a bare axum server with responses of the same size.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::load::{Connection, Requests, Sample, request, run, send};
use crate::process::Process;
use crate::report::{Line, Report};
use crate::{catalog, median};

const CONNECTIONS: usize = 32;
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(1);

/// The number of registered servers.
pub const SERVERS: usize = 1_000;

/// Registers servers number 0 to `count`.
pub async fn fill(address: SocketAddr, count: usize) {
    let requests: Requests =
        Arc::new(|turn| request("POST", "/v1/servers", &catalog::server(turn, None).to_string()));
    send(address, CONNECTIONS, count, &requests).await;
}

/// Alternates rounds of both servers. Returns the median round of the registry, the median ratio and the ceiling.
async fn compare(registry: SocketAddr, bare: SocketAddr, requests: &Requests) -> (Sample, f64, f64) {
    let warm = run(registry, CONNECTIONS, ROUND / 2, requests).await;
    let constant = request("GET", &format!("/bytes/{}", warm.bytes), "");
    let constants: Requests = Arc::new(move |_| constant.clone());
    run(bare, CONNECTIONS, ROUND / 2, &constants).await;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let own = run(registry, CONNECTIONS, ROUND, requests).await;
        let ceiling = run(bare, CONNECTIONS, ROUND, &constants).await;
        rounds.push((own.rate / ceiling.rate, own, ceiling.rate));
    }
    rounds.sort_by(|one, other| one.0.total_cmp(&other.0));
    let ceiling = median(rounds.iter().map(|round| round.2).collect());
    let (ratio, sample, _) = rounds.swap_remove(ROUNDS / 2);
    (sample, ratio, ceiling)
}

fn against(ceiling: f64, bytes: usize) -> String {
    format!("bare axum, {bytes} bytes: {ceiling:.0}/s")
}

/// Refreshes each server every 15 s, indefinitely.
async fn heartbeats(address: SocketAddr) {
    let mut connection = Connection::open(address).await;
    let mut interval = tokio::time::interval(Duration::from_secs(15) / u32::try_from(SERVERS).unwrap());
    for server in (0..SERVERS).cycle() {
        interval.tick().await;
        let path = format!("/v1/servers/{}/refresh", catalog::id(server));
        let (status, _) = connection.send(&request("PUT", &path, "")).await;
        assert_eq!(status, 200);
    }
}

fn finds() -> Requests {
    let groups = SERVERS / catalog::MATCHES;
    Arc::new(move |turn| request("GET", &format!("/v1/servers?tool=tool_{}", turn % groups), ""))
}

pub async fn measure(report: &mut Report) {
    let folder = tempfile::tempdir().expect("a folder");
    let bare = Process::bare().await;
    let registry = Process::paulina(&folder.path().join("cached.db"), &[]).await;
    fill(registry.address, SERVERS).await;
    let heartbeat_task = tokio::spawn(heartbeats(registry.address));
    let (sample, ratio, ceiling) = compare(registry.address, bare.address, &finds()).await;
    let line =
        Line::new("GET /v1/servers?tool=…, with heartbeats", ratio, "", against(ceiling, sample.bytes));
    report.add(line.rate(&sample).at_least(0.80));
    heartbeat_task.abort();

    let others: [(&str, Requests); 4] = [
        (
            "GET /v1/servers/{id}",
            Arc::new(|turn| request("GET", &format!("/v1/servers/{}", catalog::id(turn % SERVERS)), "")),
        ),
        ("GET /v1/tools?limit=20", Arc::new(|_| request("GET", "/v1/tools?limit=20", ""))),
        (
            "GET /v1/servers?q=search repository",
            Arc::new(|_| request("GET", "/v1/servers?q=search+repository&limit=5", "")),
        ),
        (
            "GET /v1/servers/{id}/health",
            Arc::new(|turn| {
                request("GET", &format!("/v1/servers/{}/health", catalog::id(turn % SERVERS)), "")
            }),
        ),
    ];
    for (name, requests) in others {
        let (sample, ratio, ceiling) = compare(registry.address, bare.address, &requests).await;
        report.add(Line::new(name, ratio, "", against(ceiling, sample.bytes)).rate(&sample));
    }

    let memory =
        Line::new("resident after this load", registry.resident(), "MiB", "1,000 real-sized servers");
    report.add(memory.at_most(96.0));
    drop(registry);

    let registry = Process::paulina(&folder.path().join("uncached.db"), &["--cache-bytes", "0"]).await;
    fill(registry.address, SERVERS).await;
    let (sample, ratio, ceiling) = compare(registry.address, bare.address, &finds()).await;
    let line = Line::new("GET /v1/servers?tool=…, uncached", ratio, "", against(ceiling, sample.bytes));
    report.add(line.rate(&sample).at_least(0.15));
}

/// Measures refreshes of 1,000 servers in turn.
pub async fn measure_refreshes(report: &mut Report) {
    let folder = tempfile::tempdir().expect("a folder");
    let bare = Process::bare().await;
    let registry = Process::paulina(&folder.path().join("refreshed.db"), &[]).await;
    fill(registry.address, SERVERS).await;
    let requests: Requests =
        Arc::new(|turn| request("PUT", &format!("/v1/servers/{}/refresh", catalog::id(turn % SERVERS)), ""));
    let (sample, ratio, ceiling) = compare(registry.address, bare.address, &requests).await;
    let line = Line::new("PUT /v1/servers/{id}/refresh", ratio, "", against(ceiling, sample.bytes));
    report.add(line.rate(&sample).at_least(0.60));
    let single = run(registry.address, 1, ROUND, &requests).await;
    report.add(Line::new("the same, one connection", single.percentile(50), "µs", "").rate(&single));
}

/// Returns refreshes per second of the servers in a database, in steps of `stride`.
pub async fn refresh_rate(database: &Path, size: usize, stride: usize) -> f64 {
    let registry = Process::paulina(database, &[]).await;
    let requests: Requests = Arc::new(move |turn| {
        request("PUT", &format!("/v1/servers/{}/refresh", catalog::id(turn * stride % size)), "")
    });
    run(registry.address, CONNECTIONS, ROUND / 2, &requests).await;
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        rates.push(run(registry.address, CONNECTIONS, ROUND, &requests).await.rate);
    }
    median(rates)
}
