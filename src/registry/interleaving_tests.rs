//! Tests task interleavings: an acknowledged refresh is never followed by an expiry before its ttl.
//!
//! The tests run the real writer task, queue, lease clock, lease table and SQLite. Instead of the system, shuttle's scheduler
//! chooses the next task at every lock and every wait. A failing schedule is printed and can be replayed.

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
use crate::sync::await_sqlite;

const TTL_SECONDS: u32 = 2;
const TTL: i64 = 2_000;
const CLIENTS: usize = 3;
const REFRESHES: usize = 4;
const SCHEDULES: usize = 300;

/// Refreshes around the end of the lease, and checks after each refresh that the server does not expire too early.
async fn client(registry: Registry, clock: ManualClock, id: String) {
    for _ in 0..REFRESHES {
        let next_refresh = registry.now().lease + thread_rng().gen_range(TTL / 2..TTL + 400);
        while registry.now().lease < next_refresh {
            clock.sleep_until(clock.monotonic() + Duration::from_millis(50)).await;
        }
        let sent_at = registry.now().lease;
        match registry.refresh(id.as_str()).await {
            Ok(_) => {}
            // The server has been pruned. Register again, as clients do.
            Err(Error::NotRegistered(_)) => register(&registry, &id).await,
            Err(error) => panic!("{error}"),
        }
        for _ in 0..3 {
            let health = registry.health(&id).unwrap().map(|state| state.health);
            let is_expiry_recorded = registry.inner.state.is_expiry_recorded(&id);
            if registry.now().lease < sent_at + TTL {
                let expected = (Some(Health::Healthy), Some(false));
                assert_eq!(
                    (health, is_expiry_recorded),
                    expected,
                    "{id} was refreshed at {sent_at} and expired before its ttl"
                );
            }
            shuttle::future::yield_now().await;
        }
    }
}

async fn register(registry: &Registry, id: &str) {
    registry.register(Registration::stdio("s", ["x"]).id(id).ttl(TTL_SECONDS)).await.unwrap();
}

/// Advances the clock, sometimes by a gap, until the registry is closed.
async fn advance_time(registry: Registry, clock: ManualClock) {
    loop {
        let is_gap = thread_rng().gen_ratio(1, 60);
        let milliseconds =
            if is_gap { 2_500 } else { [20, 50, 100, 250, 500, 700][thread_rng().gen_range(0..6)] };
        clock.advance(Duration::from_millis(milliseconds));
        // Without this, a task that is never scheduled would only see gaps, and leases would never advance.
        if registry.check_writable().await.is_err() {
            break;
        }
    }
}

fn interleave() {
    block_on(async {
        let clock = ManualClock::new();
        let options = Options::new().clock(clock.clone()).prune_interval(Duration::from_millis(250));
        let (registry, task) = await_sqlite(options.prepare(Path::new(":memory:"))).await.unwrap();
        let task = spawn(task.run());
        let mut clients = Vec::new();
        for number in 0..CLIENTS {
            let id = format!("s{number}");
            register(&registry, &id).await;
            clients.push(spawn(client(registry.clone(), clock.clone(), id)));
        }
        let time = spawn(advance_time(registry.clone(), clock.clone()));
        for client in clients {
            client.await.unwrap();
        }
        registry.close().await;
        time.await.unwrap();
        task.await.unwrap();
    });
}

fn config() -> Config {
    let mut config = Config::default();
    config.stack_size = 1 << 20;
    config.max_steps = shuttle::MaxSteps::FailAfter(10_000_000);
    config
}

/// Uses the random scheduler because it is fair: with one that favors a task, either time or the other tasks would starve.
#[test]
fn an_acknowledged_refresh_is_not_followed_by_an_expiry_before_its_ttl() {
    Runner::new(RandomScheduler::new(SCHEDULES), config()).run(interleave);
}
