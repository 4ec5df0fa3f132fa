//! Heartbeats on a manual clock, against the real API on a socket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use paulina::client::{Client, ClientOptions, Heartbeat, HeartbeatStatus};
use paulina::clock::ManualClock;
use paulina::http::{HttpServer, Limits, Listener};
use paulina::{Filter, Options, Registration, Registry};

use crate::client::free_address;
use crate::standby_http::StandbyApi;
use crate::support::tcp_proxy::{Fault, TcpProxy};
use crate::support::{Api, edit};

/// Half and a quarter of the default TTL of 30 s.
const HALF_TTL: Duration = Duration::from_secs(15);
const QUARTER_TTL: Duration = Duration::from_millis(7_500);

fn client(address: impl std::fmt::Display, clock: &ManualClock) -> Client {
    ClientOptions::new().address(format!("http://{address}")).clock(clock.clone()).build().unwrap()
}

fn files_server() -> Registration {
    Registration::stdio("files", ["mcp-files"]).id("files-1")
}

/// A registry on the given clock, with its API.
async fn registry_with_api(clock: &ManualClock) -> (Registry, Serving) {
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
    let server = HttpServer::new(registry.clone(), Limits::default());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopped = async move { drop(stopped.await) };
    let task = tokio::spawn(server.run(listener, stopped, Duration::ZERO));
    Serving { address, task, stop: Some(stop) }
}

/// Waits for a status.
async fn wait_until(heartbeat: &Heartbeat, wanted: impl Fn(&HeartbeatStatus) -> bool) {
    heartbeat.status().wait_for(wanted).await.unwrap();
}

/// Runs `trigger`, and waits for the next status.
async fn next_status(heartbeat: &Heartbeat, trigger: impl FnOnce()) -> HeartbeatStatus {
    let mut status = heartbeat.status();
    status.mark_unchanged();
    trigger();
    status.changed().await.unwrap();
    status.borrow_and_update().clone()
}

fn is_alive(status: &HeartbeatStatus) -> bool {
    matches!(status, HeartbeatStatus::Alive(_))
}

#[tokio::test]
async fn refreshes_at_half_the_ttl_and_deregisters_on_stop_and_drop() {
    let clock = ManualClock::new();
    let (registry, api) = registry_with_api(&clock).await;
    let address = api.address;
    let refreshed_at = async || registry.get("files-1").await.unwrap().unwrap().refreshed_at;
    let heartbeat = client(address, &clock).keep_alive(files_server().tool("a")).unwrap();
    let registered = heartbeat.registered().await.unwrap();
    assert_eq!((heartbeat.id(), registered.server.id.as_str()), ("files-1", "files-1"));
    for _ in 0..3 {
        let before = refreshed_at().await;
        assert!(is_alive(&next_status(&heartbeat, || clock.advance(HALF_TTL)).await));
        assert_eq!(refreshed_at().await - before, chrono::TimeDelta::seconds(15));
    }
    assert!(is_alive(
        &next_status(&heartbeat, || heartbeat.replace(files_server().tool("b")).unwrap()).await
    ));
    let changed = registry.find(Filter::new().tool("b")).await.unwrap();
    assert_eq!(changed.servers.len(), 1);
    assert!(heartbeat.replace(files_server().ttl(0)).is_err());
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
async fn registers_again_after_the_registration_was_lost() {
    let api = Api::new().await;
    let clock = ManualClock::new();
    let heartbeat = client(api.address, &clock).keep_alive(files_server()).unwrap();
    let first = heartbeat.registered().await.unwrap();
    api.registry.deregister("files-1").await.unwrap();
    let HeartbeatStatus::Alive(second) = next_status(&heartbeat, || clock.advance(HALF_TTL)).await else {
        panic!("not alive")
    };
    assert_ne!(first.lease, second.lease);
    assert!(api.registry.get("files-1").await.unwrap().is_some());
}

#[tokio::test]
async fn stops_refreshing_after_another_process_registered_the_id() {
    let api = Api::new().await;
    let clock = ManualClock::new();
    let heartbeat = client(api.address, &clock).keep_alive(files_server()).unwrap();
    heartbeat.registered().await.unwrap();
    api.registry.register(files_server()).await.unwrap();
    clock.advance(HALF_TTL);
    wait_until(&heartbeat, |status| matches!(status, HeartbeatStatus::Replaced)).await;
    assert!(heartbeat.registered().await.is_err());
    heartbeat.stop().await;
    assert!(
        api.registry.get("files-1").await.unwrap().is_some(),
        "the registration of the other process stays"
    );
}

#[tokio::test]
async fn reclaims_the_id_once_it_is_free() {
    let api = Api::new().await;
    let clock = ManualClock::new();
    let heartbeat = client(api.address, &clock).keep_alive(files_server().tool("ours")).unwrap();
    heartbeat.registered().await.unwrap();
    let successor = api.registry.register(files_server().tool("theirs")).await.unwrap();
    clock.advance(HALF_TTL);
    wait_until(&heartbeat, |status| matches!(status, HeartbeatStatus::Replaced)).await;
    api.registry.deregister(&successor).await.unwrap();
    clock.advance(2 * HALF_TTL);
    wait_until(&heartbeat, is_alive).await;
    let found = api.registry.find(Filter::new().tool("ours")).await.unwrap();
    assert_eq!(found.servers.len(), 1);
    heartbeat.stop().await;
    assert_eq!(api.registry.get("files-1").await.unwrap(), None);
}

/// The new lease, which the client does not know, is its own.
#[tokio::test]
async fn a_lost_response_is_not_mistaken_for_another_process() {
    let api = Api::new().await;
    let clock = ManualClock::new();
    let proxy = TcpProxy::start(api.address, Fault::None).await;
    let heartbeat = client(proxy.address, &clock).keep_alive(files_server()).unwrap();
    let first = heartbeat.registered().await.unwrap();
    proxy.fault.send_replace(Fault::DropResponse("POST /v1/servers"));
    let status = next_status(&heartbeat, || heartbeat.replace(files_server().tool("new")).unwrap()).await;
    assert!(matches!(status, HeartbeatStatus::Failing(error) if error.is_temporary()));
    let found = api.registry.find(Filter::new().tool("new")).await.unwrap();
    assert_eq!(found.servers.len(), 1, "the registration took effect");
    proxy.fault.send_replace(Fault::None);
    let HeartbeatStatus::Alive(again) = next_status(&heartbeat, || clock.advance(QUARTER_TTL)).await else {
        panic!("not alive")
    };
    assert_ne!(again.lease, first.lease);
}

#[tokio::test]
async fn a_standby_is_preferred_for_a_while_after_failover() {
    let standby = StandbyApi::new(|server, _| server).await;
    let clock = ManualClock::new();
    let (registry, mut primary) = registry_with_api(&clock).await;
    let proxy = TcpProxy::start(standby.api.address, Fault::None).await;
    let addresses = [primary.address, proxy.address].map(|address| format!("http://{address}"));
    let client = ClientOptions::new().clock(clock.clone());
    let client = addresses.into_iter().fold(client, ClientOptions::address).build().unwrap();
    let servers_found = async || client.find(Filter::new()).await.unwrap().servers.len();
    assert_eq!(servers_found().await, 0, "the primary has none");
    primary.stop().await;
    assert_eq!(servers_found().await, 1, "the standby has one");
    let _primary = serve(&registry, primary.address);
    assert_eq!(servers_found().await, 1, "the standby is preferred for a while");
    proxy.fault.send_replace(Fault::Delay("GET"));
    let (pending, ()) = tokio::join!(servers_found(), async {
        proxy.request_delayed().await;
        clock.advance(Duration::from_secs(30));
        assert_eq!(servers_found().await, 0, "then the primary is preferred again");
        proxy.fault.send_replace(Fault::None);
    });
    assert_eq!(pending, 1, "the request to the standby was sent before");
    assert_eq!(servers_found().await, 0, "the primary is still preferred");
}

/// The backup contains an earlier lease of the same server.
#[tokio::test]
async fn registers_again_after_the_registry_was_restored_from_a_backup() {
    let folder = tempfile::tempdir().unwrap();
    let (path, backup) = (folder.path().join("paulina.db"), folder.path().join("backup.db"));
    let clock = ManualClock::new();
    let registry = Registry::open(&path).await.unwrap();
    let mut api = serve(&registry, "127.0.0.1:0".parse().unwrap());
    let heartbeat = client(api.address, &clock).keep_alive(files_server()).unwrap();
    let first = heartbeat.registered().await.unwrap();
    edit(&path, &format!("VACUUM INTO '{}'", backup.display())).await;
    registry.deregister("files-1").await.unwrap();
    let HeartbeatStatus::Alive(second) = next_status(&heartbeat, || clock.advance(HALF_TTL)).await else {
        panic!("not alive")
    };
    assert_ne!(first.lease, second.lease);

    api.stop().await;
    registry.close().await;
    let restored = Registry::open(&backup).await.unwrap();
    let _serving = serve(&restored, api.address);
    clock.advance(HALF_TTL);
    wait_until(
        &heartbeat,
        |status| matches!(status, HeartbeatStatus::Alive(third) if third.lease != second.lease),
    )
    .await;
    heartbeat.stop().await;
    assert_eq!(restored.get("files-1").await.unwrap(), None);
}

#[tokio::test]
async fn a_rejected_replacement_keeps_the_current_registration_alive() {
    let clock = ManualClock::new();
    let registry = Options::new().clock(clock.clone()).open(":memory:").await.unwrap();
    let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.address().unwrap();
    let server = HttpServer::new(registry.clone(), Limits { body_bytes: 2_000, ..Limits::default() });
    tokio::spawn(server.run(listener, std::future::pending(), Duration::ZERO));
    let heartbeat = client(address, &clock).keep_alive(files_server()).unwrap();
    heartbeat.registered().await.unwrap();
    let before = registry.get("files-1").await.unwrap().unwrap().refreshed_at;
    clock.advance(Duration::from_secs(1));
    let large = files_server().description("x".repeat(5_000));
    let status = next_status(&heartbeat, || heartbeat.replace(large).unwrap()).await;
    assert!(matches!(status, HeartbeatStatus::Failing(error) if !error.is_temporary()));
    let server = registry.get("files-1").await.unwrap().unwrap();
    assert!(
        server.description.is_none() && server.refreshed_at > before,
        "the current registration is still refreshed"
    );
}

#[tokio::test]
async fn keeps_trying_until_the_registry_starts() {
    let address = free_address().await;
    let clock = ManualClock::new();
    let heartbeat = client(address, &clock).keep_alive(files_server()).unwrap();
    for _ in 0..8 {
        let status = next_status(&heartbeat, || clock.advance(QUARTER_TTL)).await;
        assert!(
            matches!(status, HeartbeatStatus::Failing(error) if error.is_temporary()),
            "retried after a quarter of the TTL"
        );
    }
    let registry = Registry::in_memory().await.unwrap();
    let _serving = serve(&registry, address);
    clock.advance(QUARTER_TTL);
    heartbeat.registered().await.unwrap();
    assert!(registry.get("files-1").await.unwrap().is_some());
}

#[tokio::test]
async fn permanent_errors_are_reported() {
    let api = Api::new().await;
    api.token("admin", paulina::Role::Admin).await;
    let clock = ManualClock::new();
    let heartbeat = client(api.address, &clock).keep_alive(files_server()).unwrap();
    let refused = heartbeat.registered().await.unwrap_err();
    assert!(refused.to_string().contains("requires a token"), "{refused}");
    assert!(client(api.address, &clock).keep_alive(files_server().ttl(0)).is_err());
}

#[tokio::test]
async fn keep_alive_while_skips_refreshes_of_a_server_that_is_down() {
    let clock = ManualClock::new();
    let (registry, api) = registry_with_api(&clock).await;
    let address = api.address;
    let alive = Arc::new(AtomicBool::new(true));
    let alive_in_check = Arc::clone(&alive);
    let is_up = move || std::future::ready(alive_in_check.load(Ordering::Relaxed));
    let heartbeat = client(address, &clock).keep_alive_while(files_server(), is_up).unwrap();
    heartbeat.registered().await.unwrap();
    alive.store(false, Ordering::Relaxed);
    let refreshed = registry.get("files-1").await.unwrap().unwrap().refreshed_at;
    for advance in [HALF_TTL, QUARTER_TTL, QUARTER_TTL] {
        assert!(matches!(next_status(&heartbeat, || clock.advance(advance)).await, HeartbeatStatus::Lapsing));
    }
    assert_eq!(registry.get("files-1").await.unwrap().unwrap().refreshed_at, refreshed);
    alive.store(true, Ordering::Relaxed);
    assert!(is_alive(&next_status(&heartbeat, || clock.advance(QUARTER_TTL)).await));
}
