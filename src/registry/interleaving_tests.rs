//! No refresh that was answered is followed by an expiry before its ttl, in whichever order tasks meet.
//!
//! The real task, queue, lease clock and mirror, and real SQLite; a scheduler in the place of the system's chooses anew at
//! every lock and every wait who goes on. A schedule that fails is printed and can be run again.

#![expect(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::time::Duration;

use shuttle::future::{block_on, spawn};
use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::RandomScheduler;
use shuttle::{Config, Runner};

use super::{Error, Options, Registry};
use crate::clock::{Clock, ManualClock};
use crate::model::{Health, Registration};
use crate::sync::settled;

const TTL_SECONDS: u32 = 2;
const TTL: i64 = 2_000;
const CLIENTS: usize = 3;
const BEATS: usize = 4;
const SCHEDULES: usize = 300;

/// Refreshes around the end of its lease, and looks after each answer whether the server lives as long as it must.
async fn client(registry: Registry, clock: ManualClock, id: String) {
    for _ in 0..BEATS {
        let beat = registry.now().lease + thread_rng().gen_range(TTL / 2..TTL + 400);
        while registry.now().lease < beat {
            clock.sleep_until(clock.monotonic() + Duration::from_millis(50)).await;
        }
        let asked = registry.now().lease;
        match registry.refresh(id.as_str()).await {
            Ok(_) => {}
            // It was too late: the pruner was there before. Register again, as clients do.
            Err(Error::NotRegistered(_)) => register(&registry, &id).await,
            Err(error) => panic!("{error}"),
        }
        for _ in 0..3 {
            let health = registry.health(&id).unwrap().map(|state| state.health);
            let told = registry.inner.live.is_told_expired(&id);
            if registry.now().lease < asked + TTL {
                let lives = (Some(Health::Healthy), Some(false));
                assert_eq!((health, told), lives, "{id} was refreshed at {asked} and expired before its ttl");
            }
            shuttle::future::yield_now().await;
        }
    }
}

async fn register(registry: &Registry, id: &str) {
    registry.register(Registration::stdio("s", ["x"]).id(id).ttl(TTL_SECONDS)).await.unwrap();
}

/// Lets time pass, in steps that are sometimes a gap, until the registry is closed.
async fn time(registry: Registry, clock: ManualClock) {
    loop {
        let gap = thread_rng().gen_ratio(1, 60);
        let milliseconds =
            if gap { 2_500 } else { [20, 50, 100, 250, 500, 700][thread_rng().gen_range(0..6)] };
        clock.advance(Duration::from_millis(milliseconds));
        // A task that never gets its turn sees nothing but gaps, and no lease would ever run.
        if registry.check_writable().await.is_err() {
            break;
        }
    }
}

fn meet() {
    block_on(async {
        let clock = ManualClock::new();
        let options = Options::new().clock(clock.clone()).prune_interval(Duration::from_millis(250));
        let (registry, task) = settled(options.prepare(Path::new(":memory:"))).await.unwrap();
        let task = spawn(task.run());
        let mut clients = Vec::new();
        for number in 0..CLIENTS {
            let id = format!("s{number}");
            register(&registry, &id).await;
            clients.push(spawn(client(registry.clone(), clock.clone(), id)));
        }
        let passing = spawn(time(registry.clone(), clock.clone()));
        for client in clients {
            client.await.unwrap();
        }
        registry.close().await;
        passing.await.unwrap();
        task.await.unwrap();
    });
}

fn config() -> Config {
    let mut config = Config::default();
    config.stack_size = 1 << 20;
    config.max_steps = shuttle::MaxSteps::FailAfter(10_000_000);
    config
}

/// At random, which is fair: under a scheduler that lets one task run for long, time would stand still or nobody else would
/// ever run.
#[test]
fn no_refresh_that_was_answered_is_followed_by_an_expiry_before_its_ttl() {
    Runner::new(RandomScheduler::new(SCHEDULES), config()).run(meet);
}
