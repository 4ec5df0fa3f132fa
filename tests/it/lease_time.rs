//! Leases run only while the registry is awake: nobody who lives expires, and the dead are gone in time.

use std::time::Duration;

use chrono::TimeDelta;
use paulina::{Filter, HealthFilter, Registration};

use crate::support::{Fixture, open};

const TTL: Duration = Duration::from_secs(30);

async fn register(fixture: &Fixture, id: &str) {
    fixture.registry.register(Registration::stdio("s", ["/s"]).id(id).tool("t")).await.unwrap();
}

/// Prunes, and says who is there and healthy.
async fn alive(fixture: &Fixture) -> Vec<String> {
    fixture.registry.prune().await.unwrap();
    let page = fixture.registry.find(Filter::new().tool("t")).await.unwrap();
    page.servers.iter().map(|server| server.id.clone()).collect()
}

/// What may come between a server's last heartbeat and its next.
#[derive(Debug, Clone, Copy)]
enum Gap {
    /// The registry is closed for this long.
    Down(Duration),
    /// The registry is killed and comes back after this long.
    Killed(Duration),
    /// The process stands still: suspended, stopped, or stuck in a commit.
    Stall(Duration),
    /// The wall clock is set.
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
    /// Whether leases stand still after it.
    fn is_noticed(self) -> bool {
        match self {
            Self::Down(_) | Self::Killed(_) => true,
            Self::Stall(time) => time > Duration::from_secs(2),
            Self::Step(_) => false,
        }
    }

    async fn happen(self, fixture: &mut Fixture) {
        match self {
            Self::Down(time) => fixture.reopen_after(time).await,
            Self::Killed(time) => fixture.kill_and_reopen_after(time).await,
            Self::Stall(time) => fixture.clock.advance(time),
            Self::Step(by) => fixture.clock.step_wall(by),
        }
    }
}

/// When the first heartbeat comes that has to do with a gap.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Heartbeat {
    /// Just before it.
    Before,
    /// In it: it waits at the door, and is the first thing that happens after.
    Within,
    /// When its client gets its turn: within the standstill, where there is one.
    After,
}

#[tokio::test]
async fn no_live_server_expires_over_a_gap_and_no_lookup_is_wrongly_empty() {
    for gap in GAPS {
        for heartbeat in [Heartbeat::Before, Heartbeat::Within, Heartbeat::After] {
            for since_refresh in [0, 5, 14, 15, 25, 29] {
                let case = format!(
                    "{gap:?}, {since_refresh} s after the last heartbeat, the next one {heartbeat:?}"
                );
                let mut fixture = Fixture::new().await;
                register(&fixture, "a").await;
                fixture.pass(Duration::from_secs(since_refresh)).await;
                if heartbeat == Heartbeat::Before {
                    fixture.registry.refresh("a").await.unwrap();
                }
                gap.happen(&mut fixture).await;
                if heartbeat == Heartbeat::Within {
                    fixture.registry.refresh("a").await.unwrap();
                }
                let page = fixture.registry.find(Filter::new().tool("t")).await.unwrap();
                assert_eq!(page.servers.len(), 1, "{case}: a lookup right after it");
                assert_eq!(alive(&fixture).await, ["a"], "{case}: right after it");
                if heartbeat == Heartbeat::After {
                    let turn = if gap.is_noticed() { 4 } else { 0 };
                    fixture.pass(Duration::from_secs(turn)).await;
                    assert_eq!(alive(&fixture).await, ["a"], "{case}: at its turn");
                    fixture.registry.refresh("a").await.unwrap();
                }
                for _ in 0..2 {
                    fixture.pass(Duration::from_secs(15)).await;
                    assert_eq!(alive(&fixture).await, ["a"], "{case}: until the next heartbeat");
                    fixture.registry.refresh("a").await.unwrap();
                }
            }
        }
    }
}

#[tokio::test]
async fn the_dead_are_unhealthy_after_their_ttl_over_any_gap() {
    for gap in GAPS {
        let mut fixture = Fixture::new().await;
        register(&fixture, "dead").await;
        fixture.pass(Duration::from_secs(10)).await;
        gap.happen(&mut fixture).await;
        // The rest of the lease, the standstill, and two seconds.
        fixture.pass(TTL - Duration::from_secs(10) + Duration::from_secs(5) + Duration::from_secs(2)).await;
        assert_eq!(alive(&fixture).await, Vec::<String>::new(), "{gap:?}");
        assert_eq!(fixture.registry.get("dead").await.unwrap(), None, "{gap:?}");
    }
}

#[tokio::test]
async fn a_crash_loop_keeps_the_living_and_not_the_dead() {
    let mut fixture = Fixture::new().await;
    register(&fixture, "dead").await;
    register(&fixture, "live").await;
    let mut awake = Duration::ZERO;
    let mut ended = None;
    for round in 0..50 {
        fixture.registry.refresh("live").await.unwrap();
        for second in 0..10 {
            fixture.pass(Duration::from_secs(1)).await;
            // The first start found no leases, and every later one stands still for five seconds.
            if round == 0 || second >= 5 {
                awake += Duration::from_secs(1);
            }
            let there = alive(&fixture).await;
            assert!(there.contains(&"live".to_owned()), "round {round}");
            if there == ["live"] && ended.is_none() {
                ended = Some(awake);
            }
        }
        fixture.kill_and_reopen_after(Duration::from_secs(1)).await;
    }
    let ended = ended.expect("the dead server stayed");
    assert!(ended <= TTL + Duration::from_secs(2), "unhealthy after {ended:?} of awake time");
}

#[tokio::test]
async fn the_time_shown_is_the_wall_clock_at_which_the_lease_ends() {
    let mut fixture = Fixture::with_retention(Duration::from_hours(1)).await;
    register(&fixture, "a").await;
    for gap in GAPS {
        fixture.registry.refresh("a").await.unwrap();
        fixture.pass(Duration::from_secs(10)).await;
        gap.happen(&mut fixture).await;
        fixture.registry.check_writable().await.unwrap();
        let state = fixture.registry.health("a").unwrap().unwrap();
        let wall = paulina::clock::Clock::wall(&fixture.clock);
        let left = (state.expires_at - wall).to_std().unwrap();
        fixture.pass(left - Duration::from_millis(500)).await;
        assert_eq!(fixture.registry.find(Filter::new()).await.unwrap().servers.len(), 1, "{gap:?}");
        fixture.pass(Duration::from_secs(1)).await;
        let unhealthy = Filter::new().health(HealthFilter::Unhealthy);
        assert_eq!(fixture.registry.find(unhealthy).await.unwrap().servers.len(), 1, "{gap:?}");
    }
}

#[tokio::test]
async fn a_backup_put_back_keeps_its_leases_and_begins_a_new_epoch() {
    let mut fixture = Fixture::new().await;
    register(&fixture, "a").await;
    fixture.registry.close().await;
    let backup = std::fs::read(fixture.path()).unwrap();
    fixture.registry = open(&fixture.clock, fixture.retention, fixture.path()).await;
    let before = fixture.registry.stats().await.unwrap().revision;
    register(&fixture, "b").await;
    for _ in 0..120 {
        fixture.registry.refresh("a").await.unwrap();
        fixture.pass(Duration::from_secs(1)).await;
    }
    fixture.registry.close().await;
    std::fs::write(fixture.path(), backup).unwrap();
    fixture.registry = open(&fixture.clock, fixture.retention, fixture.path()).await;
    assert_eq!(alive(&fixture).await, ["a"]);
    let after = fixture.registry.stats().await.unwrap().revision;
    assert_ne!(after.epoch, before.epoch);

    // Moved without the file beside it: it can't be told from a backup.
    fixture.registry.close().await;
    std::fs::remove_file(fixture.folder.path().join("paulina.db-lease")).unwrap();
    fixture.registry = open(&fixture.clock, fixture.retention, fixture.path()).await;
    assert_eq!(alive(&fixture).await, ["a"]);
    let moved = fixture.registry.stats().await.unwrap().revision;
    assert_ne!(moved.epoch, after.epoch);
    fixture.reopen_after(Duration::from_secs(1)).await;
    assert_eq!(fixture.registry.stats().await.unwrap().revision.epoch, moved.epoch, "an orderly end goes on");
}
