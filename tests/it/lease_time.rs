//! Leases age only while the registry runs: live servers never expire, and dead ones expire in time.

use std::time::Duration;

use chrono::TimeDelta;
use paulina::{Filter, HealthFilter, Registration};

use crate::support::{Fixture, open};

const DEFAULT_TTL: Duration = Duration::from_secs(30);

async fn register(fixture: &Fixture, id: &str) {
    fixture.registry.register(Registration::stdio("s", ["/s"]).id(id).tool("t")).await.unwrap();
}

/// Prunes, and returns the ids of the healthy servers.
async fn prune_and_list_healthy(fixture: &Fixture) -> Vec<String> {
    fixture.registry.prune().await.unwrap();
    let page = fixture.registry.find(Filter::new().tool("t")).await.unwrap();
    page.servers.iter().map(|server| server.id.clone()).collect()
}

/// A disturbance between two heartbeats of a server.
#[derive(Debug, Clone, Copy)]
enum Gap {
    /// The registry is closed for this long.
    Down(Duration),
    /// The registry is killed, and started again after this long.
    Killed(Duration),
    /// The process does not run: it is suspended, stopped, or blocked in a commit.
    Stall(Duration),
    /// The wall clock is set forward or back.
    Step(TimeDelta),
}

const GAPS: [Gap; 8] = [
    Gap::Down(Duration::from_hours(1)),
    Gap::Killed(Duration::from_hours(1)),
    Gap::Stall(Duration::from_hours(8)),
    Gap::Stall(Duration::from_mins(1)),
    Gap::Stall(Duration::from_secs(3)),
    Gap::Stall(Duration::from_millis(1_900)),
    Gap::Step(TimeDelta::hours(1)),
    Gap::Step(TimeDelta::hours(-1)),
];

impl Gap {
    /// Whether a grace period follows, in which no lease expires.
    fn starts_grace_period(self) -> bool {
        match self {
            Self::Down(_) | Self::Killed(_) => true,
            Self::Stall(time) => time > Duration::from_secs(2),
            Self::Step(_) => false,
        }
    }

    async fn apply(self, fixture: &mut Fixture) {
        match self {
            Self::Down(time) => fixture.reopen_after(time).await,
            Self::Killed(time) => fixture.kill_and_reopen_after(time).await,
            Self::Stall(time) => fixture.clock.advance(time),
            Self::Step(by) => fixture.clock.step_wall(by),
        }
    }
}

/// When the first heartbeat after a gap is sent.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Heartbeat {
    /// Just before the gap.
    Before,
    /// During the gap: the registry handles it first thing afterwards.
    Within,
    /// After the gap: within the grace period, if there is one.
    After,
}

#[tokio::test]
async fn no_gap_expires_a_live_server_or_empties_a_lookup() {
    for gap in GAPS {
        for heartbeat in [Heartbeat::Before, Heartbeat::Within, Heartbeat::After] {
            for since_refresh in [0, 5, 14, 15, 25, 29] {
                let case = format!(
                    "{gap:?}, {since_refresh} s after the last heartbeat, the next one {heartbeat:?}"
                );
                let mut fixture = Fixture::new().await;
                register(&fixture, "a").await;
                fixture.run_for(Duration::from_secs(since_refresh)).await;
                if heartbeat == Heartbeat::Before {
                    fixture.registry.refresh("a").await.unwrap();
                }
                gap.apply(&mut fixture).await;
                if heartbeat == Heartbeat::Within {
                    fixture.registry.refresh("a").await.unwrap();
                }
                let page = fixture.registry.find(Filter::new().tool("t")).await.unwrap();
                assert_eq!(page.servers.len(), 1, "{case}: a lookup right after the gap");
                assert_eq!(prune_and_list_healthy(&fixture).await, ["a"], "{case}: right after the gap");
                if heartbeat == Heartbeat::After {
                    let grace_seconds = if gap.starts_grace_period() { 4 } else { 0 };
                    fixture.run_for(Duration::from_secs(grace_seconds)).await;
                    assert_eq!(prune_and_list_healthy(&fixture).await, ["a"], "{case}: before the heartbeat");
                    fixture.registry.refresh("a").await.unwrap();
                }
                for _ in 0..2 {
                    fixture.run_for(Duration::from_secs(15)).await;
                    assert_eq!(
                        prune_and_list_healthy(&fixture).await,
                        ["a"],
                        "{case}: until the next heartbeat"
                    );
                    fixture.registry.refresh("a").await.unwrap();
                }
            }
        }
    }
}

#[tokio::test]
async fn a_dead_server_expires_after_its_ttl_despite_any_gap() {
    for gap in GAPS {
        let mut fixture = Fixture::new().await;
        register(&fixture, "dead").await;
        fixture.run_for(Duration::from_secs(10)).await;
        gap.apply(&mut fixture).await;
        // The rest of the lease, the grace period, and a margin of two seconds.
        fixture
            .run_for(DEFAULT_TTL - Duration::from_secs(10) + Duration::from_secs(5) + Duration::from_secs(2))
            .await;
        assert_eq!(prune_and_list_healthy(&fixture).await, Vec::<String>::new(), "{gap:?}");
        assert_eq!(fixture.registry.get("dead").await.unwrap(), None, "{gap:?}");
    }
}

#[tokio::test]
async fn a_crash_loop_keeps_live_servers_and_expires_dead_ones() {
    let mut fixture = Fixture::new().await;
    register(&fixture, "dead").await;
    register(&fixture, "live").await;
    let mut running = Duration::ZERO;
    let mut expired_after = None;
    for round in 0..50 {
        fixture.registry.refresh("live").await.unwrap();
        for second in 0..10 {
            fixture.run_for(Duration::from_secs(1)).await;
            // The first start finds no leases; every later one begins with a grace period of five seconds.
            if round == 0 || second >= 5 {
                running += Duration::from_secs(1);
            }
            let healthy = prune_and_list_healthy(&fixture).await;
            assert!(healthy.contains(&"live".to_owned()), "round {round}");
            if healthy == ["live"] && expired_after.is_none() {
                expired_after = Some(running);
            }
        }
        fixture.kill_and_reopen_after(Duration::from_secs(1)).await;
    }
    let expired_after = expired_after.expect("the dead server did not expire");
    assert!(
        expired_after <= DEFAULT_TTL + Duration::from_secs(2),
        "unhealthy after {expired_after:?} of running time"
    );
}

#[tokio::test]
async fn expires_at_is_the_wall_clock_time_at_which_the_lease_ends() {
    let mut fixture = Fixture::with_retention(Duration::from_hours(1)).await;
    register(&fixture, "a").await;
    for gap in GAPS {
        fixture.registry.refresh("a").await.unwrap();
        fixture.run_for(Duration::from_secs(10)).await;
        gap.apply(&mut fixture).await;
        fixture.registry.check_writable().await.unwrap();
        let state = fixture.registry.health("a").unwrap().unwrap();
        let wall = paulina::clock::Clock::wall(&fixture.clock);
        let remaining = (state.expires_at - wall).to_std().unwrap();
        fixture.run_for(remaining - Duration::from_millis(500)).await;
        assert_eq!(fixture.registry.find(Filter::new()).await.unwrap().servers.len(), 1, "{gap:?}");
        fixture.run_for(Duration::from_secs(1)).await;
        let unhealthy = Filter::new().health(HealthFilter::Unhealthy);
        assert_eq!(fixture.registry.find(unhealthy).await.unwrap().servers.len(), 1, "{gap:?}");
    }
}

#[tokio::test]
async fn a_restored_backup_keeps_its_leases_and_starts_a_new_epoch() {
    let mut fixture = Fixture::new().await;
    register(&fixture, "a").await;
    fixture.registry.close().await;
    let backup = std::fs::read(fixture.path()).unwrap();
    fixture.registry = open(&fixture.clock, fixture.retention, fixture.path()).await;
    let before = fixture.registry.stats().await.unwrap().revision;
    register(&fixture, "b").await;
    for _ in 0..120 {
        fixture.registry.refresh("a").await.unwrap();
        fixture.run_for(Duration::from_secs(1)).await;
    }
    fixture.registry.close().await;
    std::fs::write(fixture.path(), backup).unwrap();
    fixture.registry = open(&fixture.clock, fixture.retention, fixture.path()).await;
    assert_eq!(prune_and_list_healthy(&fixture).await, ["a"]);
    let after = fixture.registry.stats().await.unwrap().revision;
    assert_ne!(after.epoch, before.epoch);

    // Without its lease file, a moved database cannot be distinguished from a backup.
    fixture.registry.close().await;
    std::fs::remove_file(fixture.folder.path().join("paulina.db-lease")).unwrap();
    fixture.registry = open(&fixture.clock, fixture.retention, fixture.path()).await;
    assert_eq!(prune_and_list_healthy(&fixture).await, ["a"]);
    let moved = fixture.registry.stats().await.unwrap().revision;
    assert_ne!(moved.epoch, after.epoch);
    fixture.reopen_after(Duration::from_secs(1)).await;
    assert_eq!(
        fixture.registry.stats().await.unwrap().revision.epoch,
        moved.epoch,
        "a clean shutdown keeps the epoch"
    );
}
