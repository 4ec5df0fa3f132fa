//! A day of load in minutes, on a clock in hand: more than ten million refreshes, servers coming, going, changing and dying.
//! Nothing may grow: not the file, not its log, not the memory, not the time that anything takes.

#![expect(clippy::print_stdout, reason = "its figures are what one looks at")]

use std::path::Path;
use std::time::Duration;

use paulina::clock::{Clock, SystemClock};
use paulina::{Filter, Json, Options, Registration, Registry, Tool, View};

use crate::support::Fixture;

const SERVERS: usize = 1_760;
const ROUND: Duration = Duration::from_secs(15);
const STEP: Duration = Duration::from_millis(500);
/// What is measured once in so many rounds: an hour.
const HOUR: usize = 60 * 4;
/// How many hours, if the environment does not say otherwise. CI has time for half a day.
const DAY: usize = 24;
const HOURS: &str = "PAULINA_DAY_HOURS";

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

/// What must stay as it is, of one hour.
#[derive(Debug, Clone, Copy, Default)]
struct Reading {
    file: u64,
    wal: u64,
    memory: u64,
    quickest: Quickest,
}

/// How long each took when it was quickest: what else the machine does then makes no difference.
#[derive(Debug, Clone, Copy)]
struct Quickest {
    refresh: Duration,
    find: Duration,
    register: Duration,
}

impl Default for Quickest {
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
async fn a_day_of_load_leaves_everything_as_it_was() {
    type Figure = fn(&Quickest) -> Duration;
    let Fixture { clock, folder, registry, .. } = Fixture::new().await;
    registry.close().await;
    let path = folder.path().join("day.db");
    let registry: Registry = Options::new().clock(clock.clone()).answer_cache(0).open(&path).await.unwrap();
    let mut living: Vec<usize> = (0..SERVERS).collect();
    for id in &living {
        registry.register(server(*id, 0)).await.unwrap();
    }
    let (mut next, mut operations, mut hours) = (SERVERS, SERVERS, Vec::new());
    let day: usize = std::env::var(HOURS).map_or(DAY, |hours| hours.parse().unwrap());
    assert!(day >= 12, "less than half a day says nothing");
    let mut quickest = Quickest::default();
    for round in 0..day * HOUR {
        let mut passed = Duration::ZERO;
        while passed < ROUND {
            clock.advance(STEP);
            registry.check_writable().await.unwrap();
            passed += STEP;
        }
        let ids = living.iter().map(|id| format!("s{id}"));
        let (refreshed, refresh) = timed(registry.refresh_many(ids)).await;
        let refreshed = refreshed.unwrap();
        assert_eq!(
            refreshed.not_registered,
            Vec::<String>::new(),
            "in round {round} somebody who lives expired"
        );
        operations += refreshed.refreshed.len();
        // One leaves, one stops refreshing, one changes; two come.
        let gone = living.remove(round * 7 % living.len());
        registry.deregister(format!("s{gone}").as_str()).await.unwrap();
        living.remove(round * 11 % living.len());
        let (_, register) = timed(registry.register(server(living[round * 13 % living.len()], round))).await;
        for _ in 0..2 {
            registry.register(server(next, 0)).await.unwrap();
            living.push(next);
            next += 1;
        }
        operations += 5;
        let (page, find) = timed(registry.find(Filter::new().tag("t").limit(50))).await;
        assert_eq!(page.unwrap().servers.len(), 50);
        quickest.refresh = quickest.refresh.min(refresh);
        quickest.find = quickest.find.min(find);
        quickest.register = quickest.register.min(register);
        if round % HOUR == HOUR - 1 {
            // Everything is read, so that what SQLite keeps of the file in memory is full from the first hour on.
            everything(&registry).await;
            let wal = bytes(&folder.path().join("day.db-wal"));
            let quickest = std::mem::take(&mut quickest);
            hours.push(Reading { file: bytes(&path), wal, memory: memory(), quickest });
        }
    }
    let stats = registry.stats().await.unwrap();
    registry.close().await;
    let dying = usize::try_from(stats.servers.total).unwrap() - living.len();
    assert!(dying <= 3, "{dying} that stopped refreshing are still there");
    assert!(operations > day * 10_000_000 / DAY, "{operations}");
    let (early, late) = (&hours[day / 3..day * 7 / 12], &hours[day * 3 / 4..]);
    let of = |what: &str, before: f64, after: f64, most: f64| {
        println!("{what}: {before:.2} in the second quarter or so, {after:.2} in the last one");
        assert!(after <= before * most, "{what} grew from {before} to {after}");
    };
    println!("{operations} operations, {} changes", stats.revision.number);
    let mebibytes = |bytes: u64| f64::from(u32::try_from(bytes / 1024).unwrap()) / 1024.0;
    let largest =
        |of: fn(&Reading) -> u64| [early, late].map(|hours| mebibytes(hours.iter().map(of).max().unwrap()));
    let [before, after] = largest(|hour| hour.file);
    of("MiB of the file", before, after, 1.1);
    let [before, after] = largest(|hour| hour.wal);
    println!("MiB of the log: {before:.2} in the second quarter or so, {after:.2} in the last one");
    assert!(before.max(after) <= 64.0, "the log is cut back to 64 MiB");
    let [before, after] = largest(|hour| hour.memory);
    of("MiB of memory", before, after, 1.1);
    let times: [(&str, Figure); 3] = [
        ("ms for the refreshes of a round", |quickest| quickest.refresh),
        ("ms for a page", |quickest| quickest.find),
        ("ms for a registration", |quickest| quickest.register),
    ];
    for (what, figure) in times {
        let quickest = |hours: &[Reading]| hours.iter().map(|hour| figure(&hour.quickest)).min().unwrap();
        let [before, after] = [early, late].map(|hours| quickest(hours).as_secs_f64() * 1_000.0);
        of(what, before, after, 2.0);
    }
    let kept = kept_changes(&path).await;
    assert!(kept <= 10_000 + 60, "{kept} changes are kept");
}

/// Reads every record whole.
async fn everything(registry: &Registry) {
    let mut filter = Filter::new().view(View::Full).limit(1_000);
    while let Some(cursor) = registry.find(filter.clone()).await.unwrap().next_cursor {
        filter = filter.after(&cursor);
    }
}

async fn kept_changes(path: &Path) -> i64 {
    use sqlx::ConnectOptions;
    let mut connection = sqlx::sqlite::SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    sqlx::query_scalar("SELECT count(*) FROM changes").fetch_one(&mut connection).await.unwrap()
}
