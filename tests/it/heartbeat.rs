//! Heartbeats, by a clock in hand, against the real API on a socket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use paulina::client::{Beat, Client, ClientOptions, Heartbeat};
use paulina::clock::ManualClock;
use paulina::http::{Limits, Listener, Server};
use paulina::{Filter, Options, Registration, Registry};

use crate::client::free_address;
use crate::standby_http::StandbyApi;
use crate::support::between::{Between, Mood};
use crate::support::{Api, edit};

/// Half the ttl of 30 s, and a quarter of it.
const HALF: Duration = Duration::from_secs(15);
const QUARTER: Duration = Duration::from_millis(7_500);

fn client(address: impl std::fmt::Display, clock: &ManualClock) -> Client {
    ClientOptions::new().address(format!("http://{address}")).clock(clock.clone()).build().unwrap()
}

fn files() -> Registration {
    Registration::stdio("files", ["mcp-files"]).id("files-1")
}

/// A registry by the same clock, served.
async fn served(clock: &ManualClock) -> (Registry, Serving) {
    let registry = Options::new().clock(clock.clone()).open(":memory:").await.unwrap();
    let serving = serve(&registry, "127.0.0.1:0".parse().unwrap());
    (registry, serving)
}

struct Serving {
    address: SocketAddr,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
}

impl Serving {
    async fn stop(&mut self) {
        self.stop.take();
        (&mut self.task).await.unwrap().unwrap();
    }
}

fn serve(registry: &Registry, address: SocketAddr) -> Serving {
    let listener = Listener::tcp(address).unwrap();
    let address = listener.address().unwrap();
    let server = Server::new(registry.clone(), Limits::default());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopped = async move { drop(stopped.await) };
    let task = tokio::spawn(server.run(listener, stopped, Duration::ZERO));
    Serving { address, task, stop: Some(stop) }
}

/// Waits until the heartbeat says what is waited for.
async fn until(heartbeat: &Heartbeat, wanted: impl Fn(&Beat) -> bool) {
    heartbeat.beat().wait_for(wanted).await.unwrap();
}

/// Waits for the next thing that the heartbeat says.
async fn next(heartbeat: &Heartbeat, after: impl FnOnce()) -> Beat {
    let mut beat = heartbeat.beat();
    beat.mark_unchanged();
    after();
    beat.changed().await.unwrap();
    beat.borrow_and_update().clone()
}

fn is_alive(beat: &Beat) -> bool {
    matches!(beat, Beat::Alive(_))
}

#[tokio::test]
async fn refreshes_at_half_the_ttl_and_takes_the_server_out_in_the_end() {
    let clock = ManualClock::new();
    let (registry, api) = served(&clock).await;
    let address = api.address;
    let refreshed_at = async || registry.get("files-1").await.unwrap().unwrap().refreshed_at;
    let heartbeat = client(address, &clock).keep_alive(files().tool("a")).unwrap();
    let registered = heartbeat.registered().await.unwrap();
    assert_eq!((heartbeat.id(), registered.server.id.as_str()), ("files-1", "files-1"));
    for _ in 0..3 {
        let before = refreshed_at().await;
        assert!(is_alive(&next(&heartbeat, || clock.advance(HALF)).await));
        assert_eq!(refreshed_at().await - before, chrono::TimeDelta::seconds(15));
    }
    assert!(is_alive(&next(&heartbeat, || heartbeat.replace(files().tool("b")).unwrap()).await));
    let changed = registry.find(Filter::new().tool("b")).await.unwrap();
    assert_eq!(changed.servers.len(), 1);
    assert!(heartbeat.replace(files().ttl(0)).is_err());
    heartbeat.stop().await;
    assert_eq!(registry.get("files-1").await.unwrap(), None);

    let nameless = client(address, &clock).keep_alive(Registration::stdio("files", ["x"])).unwrap();
    let id = nameless.registered().await.unwrap().server.id.clone();
    assert_eq!(nameless.id(), id);
    drop(nameless);
    while registry.get(&id).await.unwrap().is_some() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn registers_again_what_the_registry_has_lost() {
    let api = Api::new().await;
    let clock = ManualClock::new();
    let heartbeat = client(api.address, &clock).keep_alive(files()).unwrap();
    let first = heartbeat.registered().await.unwrap();
    api.registry.deregister("files-1").await.unwrap();
    let Beat::Alive(second) = next(&heartbeat, || clock.advance(HALF)).await else { panic!("not alive") };
    assert_ne!(first.lease, second.lease);
    assert!(api.registry.get("files-1").await.unwrap().is_some());
}

#[tokio::test]
async fn leaves_the_id_to_who_has_registered_it_since() {
    let api = Api::new().await;
    let clock = ManualClock::new();
    let heartbeat = client(api.address, &clock).keep_alive(files()).unwrap();
    heartbeat.registered().await.unwrap();
    api.registry.register(files()).await.unwrap();
    clock.advance(HALF);
    until(&heartbeat, |beat| matches!(beat, Beat::Replaced)).await;
    assert!(heartbeat.registered().await.is_err());
    heartbeat.stop().await;
    assert!(api.registry.get("files-1").await.unwrap().is_some(), "its successor stays");
}

#[tokio::test]
async fn takes_the_id_up_again_when_nobody_holds_it() {
    let api = Api::new().await;
    let clock = ManualClock::new();
    let heartbeat = client(api.address, &clock).keep_alive(files().tool("ours")).unwrap();
    heartbeat.registered().await.unwrap();
    let successor = api.registry.register(files().tool("theirs")).await.unwrap();
    clock.advance(HALF);
    until(&heartbeat, |beat| matches!(beat, Beat::Replaced)).await;
    api.registry.deregister(&successor).await.unwrap();
    clock.advance(2 * HALF);
    until(&heartbeat, is_alive).await;
    let found = api.registry.find(Filter::new().tool("ours")).await.unwrap();
    assert_eq!(found.servers.len(), 1);
    heartbeat.stop().await;
    assert_eq!(api.registry.get("files-1").await.unwrap(), None);
}

/// The lease that it does not know of then is its own.
#[tokio::test]
async fn an_answer_that_is_lost_makes_nobody_else_of_it() {
    let api = Api::new().await;
    let clock = ManualClock::new();
    let between = Between::before(api.address, Mood::Passing).await;
    let heartbeat = client(between.address, &clock).keep_alive(files()).unwrap();
    let first = heartbeat.registered().await.unwrap();
    between.mood.send_replace(Mood::Losing("POST /v1/servers"));
    let beat = next(&heartbeat, || heartbeat.replace(files().tool("new")).unwrap()).await;
    assert!(matches!(beat, Beat::Failing(error) if error.is_temporary()));
    let found = api.registry.find(Filter::new().tool("new")).await.unwrap();
    assert_eq!(found.servers.len(), 1, "it was done");
    between.mood.send_replace(Mood::Passing);
    let Beat::Alive(again) = next(&heartbeat, || clock.advance(QUARTER)).await else { panic!("not alive") };
    assert_ne!(again.lease, first.lease);
}

#[tokio::test]
async fn a_standby_stands_in_for_a_while() {
    let standby = StandbyApi::new(|server, _| server).await;
    let clock = ManualClock::new();
    let (registry, mut primary) = served(&clock).await;
    let between = Between::before(standby.api.address, Mood::Passing).await;
    let addresses = [primary.address, between.address].map(|address| format!("http://{address}"));
    let client = ClientOptions::new().clock(clock.clone());
    let client = addresses.into_iter().fold(client, ClientOptions::address).build().unwrap();
    let asked = async || client.find(Filter::new()).await.unwrap().servers.len();
    assert_eq!(asked().await, 0, "the primary has none");
    primary.stop().await;
    assert_eq!(asked().await, 1, "the standby has one");
    let _primary = serve(&registry, primary.address);
    assert_eq!(asked().await, 1, "it is asked first for a while");
    between.mood.send_replace(Mood::Holding("GET"));
    let (late, ()) = tokio::join!(asked(), async {
        between.held().await;
        clock.advance(Duration::from_secs(30));
        assert_eq!(asked().await, 0, "and then the primary again");
        between.mood.send_replace(Mood::Passing);
    });
    assert_eq!(late, 1, "the standby was asked before");
    assert_eq!(asked().await, 0, "it is the primary's turn still");
}

/// A registry that was restored from a backup holds an earlier lease of the same server.
#[tokio::test]
async fn comes_back_to_a_registry_that_has_gone_back_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let (path, backup) = (folder.path().join("paulina.db"), folder.path().join("backup.db"));
    let clock = ManualClock::new();
    let registry = Registry::open(&path).await.unwrap();
    let mut api = serve(&registry, "127.0.0.1:0".parse().unwrap());
    let heartbeat = client(api.address, &clock).keep_alive(files()).unwrap();
    let first = heartbeat.registered().await.unwrap();
    edit(&path, &format!("VACUUM INTO '{}'", backup.display())).await;
    registry.deregister("files-1").await.unwrap();
    let Beat::Alive(second) = next(&heartbeat, || clock.advance(HALF)).await else { panic!("not alive") };
    assert_ne!(first.lease, second.lease);

    api.stop().await;
    registry.close().await;
    let restored = Registry::open(&backup).await.unwrap();
    let _serving = serve(&restored, api.address);
    clock.advance(HALF);
    until(&heartbeat, |beat| matches!(beat, Beat::Alive(third) if third.lease != second.lease)).await;
    heartbeat.stop().await;
    assert_eq!(restored.get("files-1").await.unwrap(), None);
}

#[tokio::test]
async fn what_cannot_be_registered_leaves_what_was_there_alive() {
    let clock = ManualClock::new();
    let registry = Options::new().clock(clock.clone()).open(":memory:").await.unwrap();
    let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.address().unwrap();
    let server = Server::new(registry.clone(), Limits { body_bytes: 2_000, ..Limits::default() });
    tokio::spawn(server.run(listener, std::future::pending(), Duration::ZERO));
    let heartbeat = client(address, &clock).keep_alive(files()).unwrap();
    heartbeat.registered().await.unwrap();
    let before = registry.get("files-1").await.unwrap().unwrap().refreshed_at;
    clock.advance(Duration::from_secs(1));
    let large = files().description("x".repeat(5_000));
    let beat = next(&heartbeat, || heartbeat.replace(large).unwrap()).await;
    assert!(matches!(beat, Beat::Failing(error) if !error.is_temporary()));
    let server = registry.get("files-1").await.unwrap().unwrap();
    assert!(server.description.is_none() && server.refreshed_at > before, "refreshed all the same");
}

#[tokio::test]
async fn does_not_mind_a_registry_that_comes_later() {
    let address = free_address().await;
    let clock = ManualClock::new();
    let heartbeat = client(address, &clock).keep_alive(files()).unwrap();
    for _ in 0..8 {
        let beat = next(&heartbeat, || clock.advance(QUARTER)).await;
        assert!(
            matches!(beat, Beat::Failing(error) if error.is_temporary()),
            "tried at a quarter of the ttl"
        );
    }
    let registry = Registry::in_memory().await.unwrap();
    let _serving = serve(&registry, address);
    clock.advance(QUARTER);
    heartbeat.registered().await.unwrap();
    assert!(registry.get("files-1").await.unwrap().is_some());
}

#[tokio::test]
async fn what_no_patience_mends_is_told() {
    let api = Api::new().await;
    api.token("admin", paulina::Role::Admin).await;
    let clock = ManualClock::new();
    let heartbeat = client(api.address, &clock).keep_alive(files()).unwrap();
    let refused = heartbeat.registered().await.unwrap_err();
    assert!(refused.to_string().contains("asks for a token"), "{refused}");
    assert!(client(api.address, &clock).keep_alive(files().ttl(0)).is_err());
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_not_refreshed() {
    let clock = ManualClock::new();
    let (registry, api) = served(&clock).await;
    let address = api.address;
    let alive = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&alive);
    let is_up = move || std::future::ready(asked.load(Ordering::Relaxed));
    let heartbeat = client(address, &clock).keep_alive_while(files(), is_up).unwrap();
    heartbeat.registered().await.unwrap();
    alive.store(false, Ordering::Relaxed);
    let refreshed = registry.get("files-1").await.unwrap().unwrap().refreshed_at;
    for advance in [HALF, QUARTER, QUARTER] {
        assert!(matches!(next(&heartbeat, || clock.advance(advance)).await, Beat::Lapsing));
    }
    assert_eq!(registry.get("files-1").await.unwrap().unwrap().refreshed_at, refreshed);
    alive.store(true, Ordering::Relaxed);
    assert!(is_alive(&next(&heartbeat, || clock.advance(QUARTER)).await));
}
