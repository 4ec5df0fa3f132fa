//! A day of load in minutes, on a manual clock: more than ten million refreshes, while servers are registered, replaced,
//! deregistered and expire. The database, its WAL, the memory and the duration of each operation must not grow.

#![expect(clippy::print_stdout, reason = "prints measurements for the reader of the CI log")]

use std::path::Path;
use std::time::Duration;

use paulina::clock::{Clock, SystemClock};
use paulina::{Filter, Json, Options, Registration, Registry, Tool, View};

use crate::support::Fixture;

const SERVERS: usize = 1_760;
const ROUND_DURATION: Duration = Duration::from_secs(15);
const TICK: Duration = Duration::from_millis(500);
/// One sample is taken per hour.
const ROUNDS_PER_HOUR: usize = 60 * 4;
/// The number of hours, unless the environment variable sets another. CI has time for half a day.
const DEFAULT_HOURS: usize = 24;
const HOURS_VARIABLE: &str = "PAULINA_LOAD_HOURS";

fn server(id: usize, version: usize) -> Registration {
    let description = format!("Does what number {id} does, in version {version}. ").repeat(8);
    let definition = |tool: usize| {
        let text = format!("{{\"name\":\"tool_{tool}\",\"description\":\"{description}\"}}");
        Tool::from_json(Json::parse(&text).unwrap()).unwrap()
    };
    let server =
        Registration::stdio("server", ["x"]).id(format!("s{id}")).version(format!("{version}")).tag("t");
    (0..5).fold(server, |server, tool| server.tool(definition(tool)))
}

/// The measurements of one hour that must not grow.
#[derive(Debug, Clone, Copy, Default)]
struct HourSample {
    file: u64,
    wal: u64,
    memory: u64,
    fastest: FastestTimes,
}

/// The fastest time of each operation in an hour, which other load on the machine affects least.
#[derive(Debug, Clone, Copy)]
struct FastestTimes {
    refresh: Duration,
    find: Duration,
    register: Duration,
}

impl Default for FastestTimes {
    fn default() -> Self {
        Self { refresh: Duration::MAX, find: Duration::MAX, register: Duration::MAX }
    }
}

fn bytes(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or_default() * 1024
}

async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let clock = SystemClock::new();
    let done = work.await;
    (done, clock.monotonic())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes; CI runs it: cargo test --test it -- --ignored"]
async fn a_day_of_load_grows_no_file_memory_or_duration() {
    type Selector = fn(&FastestTimes) -> Duration;
    let Fixture { clock, folder, registry, .. } = Fixture::new().await;
    registry.close().await;
    let path = folder.path().join("load.db");
    let registry: Registry = Options::new().clock(clock.clone()).cache_bytes(0).open(&path).await.unwrap();
    let mut live: Vec<usize> = (0..SERVERS).collect();
    for id in &live {
        registry.register(server(*id, 0)).await.unwrap();
    }
    let (mut next_id, mut operations, mut hours) = (SERVERS, SERVERS, Vec::new());
    let total_hours: usize =
        std::env::var(HOURS_VARIABLE).map_or(DEFAULT_HOURS, |hours| hours.parse().unwrap());
    assert!(total_hours >= 12, "the test needs at least 12 hours");
    let mut fastest = FastestTimes::default();
    for round in 0..total_hours * ROUNDS_PER_HOUR {
        let mut elapsed = Duration::ZERO;
        while elapsed < ROUND_DURATION {
            clock.advance(TICK);
            registry.check_writable().await.unwrap();
            elapsed += TICK;
        }
        let ids = live.iter().map(|id| format!("s{id}"));
        let (refreshed, refresh) = timed(registry.refresh_many(ids)).await;
        let refreshed = refreshed.unwrap();
        assert_eq!(
            refreshed.not_registered,
            Vec::<String>::new(),
            "a server that was refreshed expired in round {round}"
        );
        operations += refreshed.refreshed.len();
        // One server is deregistered, one stops refreshing, one is replaced, and two are new.
        let leaving = live.remove(round * 7 % live.len());
        registry.deregister(format!("s{leaving}").as_str()).await.unwrap();
        live.remove(round * 11 % live.len());
        let (_, register) = timed(registry.register(server(live[round * 13 % live.len()], round))).await;
        for _ in 0..2 {
            registry.register(server(next_id, 0)).await.unwrap();
            live.push(next_id);
            next_id += 1;
        }
        operations += 5;
        let (page, find) = timed(registry.find(Filter::new().tag("t").limit(50))).await;
        assert_eq!(page.unwrap().servers.len(), 50);
        fastest.refresh = fastest.refresh.min(refresh);
        fastest.find = fastest.find.min(find);
        fastest.register = fastest.register.min(register);
        if round % ROUNDS_PER_HOUR == ROUNDS_PER_HOUR - 1 {
            // Fills the page cache of SQLite from the first hour on.
            read_all_records(&registry).await;
            let wal = bytes(&folder.path().join("load.db-wal"));
            let fastest = std::mem::take(&mut fastest);
            hours.push(HourSample { file: bytes(&path), wal, memory: memory(), fastest });
        }
    }
    let stats = registry.stats().await.unwrap();
    registry.close().await;
    let expiring = usize::try_from(stats.servers.total).unwrap() - live.len();
    assert!(expiring <= 3, "{expiring} servers that stopped refreshing were not pruned");
    assert!(operations > total_hours * 10_000_000 / DEFAULT_HOURS, "{operations}");
    let (earlier, later) = (&hours[total_hours / 3..total_hours * 7 / 12], &hours[total_hours * 3 / 4..]);
    let assert_stable = |what: &str, before: f64, after: f64, max_growth: f64| {
        println!("{what}: {before:.2} in the second quarter, {after:.2} in the last");
        assert!(after <= before * max_growth, "{what} grew from {before} to {after}");
    };
    println!("{operations} operations, {} changes", stats.revision.number);
    let mebibytes = |bytes: u64| f64::from(u32::try_from(bytes / 1024).unwrap()) / 1024.0;
    let largest = |of: fn(&HourSample) -> u64| {
        [earlier, later].map(|hours| mebibytes(hours.iter().map(of).max().unwrap()))
    };
    let [before, after] = largest(|hour| hour.file);
    assert_stable("MiB of the database", before, after, 1.1);
    let [before, after] = largest(|hour| hour.wal);
    println!("MiB of the WAL: {before:.2} in the second quarter, {after:.2} in the last");
    assert!(before.max(after) <= 64.0, "the WAL is truncated to 64 MiB");
    let [before, after] = largest(|hour| hour.memory);
    assert_stable("MiB of memory", before, after, 1.1);
    let times: [(&str, Selector); 3] = [
        ("ms for the refreshes of a round", |fastest| fastest.refresh),
        ("ms for a page", |fastest| fastest.find),
        ("ms for a registration", |fastest| fastest.register),
    ];
    for (what, select) in times {
        let fastest = |hours: &[HourSample]| hours.iter().map(|hour| select(&hour.fastest)).min().unwrap();
        let [before, after] = [earlier, later].map(|hours| fastest(hours).as_secs_f64() * 1_000.0);
        assert_stable(what, before, after, 2.0);
    }
    let stored = stored_changes(&path).await;
    assert!(stored <= 10_000 + 60, "{stored} changes are stored");
}

/// Reads every record in full.
async fn read_all_records(registry: &Registry) {
    let mut filter = Filter::new().view(View::Full).limit(1_000);
    while let Some(cursor) = registry.find(filter.clone()).await.unwrap().next_cursor {
        filter = filter.after(&cursor);
    }
}

async fn stored_changes(path: &Path) -> i64 {
    use sqlx::ConnectOptions;
    let mut connection = sqlx::sqlite::SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    sqlx::query_scalar("SELECT count(*) FROM changes").fetch_one(&mut connection).await.unwrap()
}
