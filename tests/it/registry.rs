//! The registry in process, without HTTP.

use std::time::Duration;

use paulina::{Error, Filter, Health, HealthFilter, Json, Registration, Registry, Tool, View};
use serde_json::json;

use crate::support::Fixture;

fn filesystem() -> Registration {
    Registration::stdio("filesystem", ["/usr/local/bin/mcp-filesystem"])
        .id("fs")
        .tool("read_file")
        .tag("local")
}

#[tokio::test]
async fn a_registration_is_returned_unchanged() {
    let fixture = Fixture::new().await;
    let tool =
        Tool::from_json(Json::parse(r#"{"name":"t","inputSchema":{"maximum":1.10e400},"x":[1.0]}"#).unwrap());
    let registration = filesystem()
        .title("Files")
        .version("1.0.0")
        .description("Reads and writes files")
        .tool(tool.unwrap())
        .resource("file:///{path}")
        .prompt("summarize")
        .capability("sampling")
        .capability_options("logging", json!({"level": "info"}))
        .metadata("team", "search")
        .input(paulina::Input::new("API_KEY"))
        .ttl(60);
    let registered = fixture.registry.register(registration).await.unwrap();
    assert!(registered.created);
    let stored = fixture.registry.get("fs").await.unwrap().unwrap();
    assert_eq!(stored, registered.server);
    assert_eq!(
        stored.capabilities.tools[1].definition().as_str(),
        r#"{"name":"t","inputSchema":{"maximum":1.10e400},"x":[1.0]}"#
    );
    assert_eq!((stored.expires_at - stored.refreshed_at).num_seconds(), 60);
}

#[tokio::test]
async fn an_identical_registration_renews_only_the_lease() {
    let fixture = Fixture::new().await;
    let first = fixture.registry.register(filesystem()).await.unwrap();
    fixture.run_for(Duration::from_secs(10)).await;
    let before = fixture.registry.find(Filter::new()).await.unwrap().revision;
    let again = fixture.registry.register(filesystem()).await.unwrap();
    assert!(!again.created);
    assert_ne!(again.lease, first.lease);
    assert_eq!(again.server.record(), first.server.record());
    assert_eq!((again.server.expires_at - first.server.expires_at).num_seconds(), 10);
    assert_eq!(fixture.registry.find(Filter::new()).await.unwrap().revision, before);

    fixture.run_for(Duration::from_secs(1)).await;
    let other = fixture.registry.register(filesystem().tool("write_file")).await.unwrap();
    assert_eq!(other.server.registered_at, first.server.registered_at);
    assert!(other.server.updated_at > first.server.updated_at);
    let after = fixture.registry.find(Filter::new()).await.unwrap().revision;
    assert_eq!(after.number, before.number + 1);
}

#[tokio::test]
async fn a_replaced_lease_cannot_refresh_or_deregister() {
    let fixture = Fixture::new().await;
    let old = fixture.registry.register(filesystem()).await.unwrap();
    let new = fixture.registry.register(filesystem()).await.unwrap();
    assert!(matches!(fixture.registry.refresh(&old).await, Err(Error::LeaseReplaced(id)) if id == "fs"));
    assert!(matches!(fixture.registry.deregister(&old).await, Err(Error::LeaseReplaced(_))));
    fixture.registry.refresh(&new).await.unwrap();
    fixture.registry.refresh("fs").await.unwrap();
    fixture.registry.deregister("fs").await.unwrap();
    assert!(matches!(fixture.registry.refresh(&new).await, Err(Error::NotRegistered(_))));
    assert!(matches!(fixture.registry.deregister("fs").await, Err(Error::NotRegistered(_))));
    assert_eq!(fixture.registry.get("fs").await.unwrap(), None);
    assert_eq!(fixture.registry.health("fs").unwrap(), None);
}

#[tokio::test]
async fn a_server_without_refreshes_expires_then_is_pruned_unless_a_late_refresh_revives_it() {
    let fixture = Fixture::with_retention(Duration::from_mins(1)).await;
    fixture.registry.register(filesystem()).await.unwrap();
    let unhealthy = || fixture.registry.find(Filter::new().health(HealthFilter::Unhealthy));

    fixture.run_for(Duration::from_secs(31)).await;
    assert_eq!(fixture.registry.find(Filter::new()).await.unwrap().servers, []);
    assert_eq!(unhealthy().await.unwrap().servers[0].health, Health::Unhealthy);
    assert_eq!(fixture.registry.health("fs").unwrap().unwrap().expires_in_ms, 0);

    let before = fixture.registry.stats().await.unwrap().revision.number;
    fixture.registry.prune().await.unwrap();
    assert_eq!(fixture.registry.stats().await.unwrap().revision.number, before + 1, "expired");
    fixture.registry.prune().await.unwrap();
    assert_eq!(fixture.registry.stats().await.unwrap().revision.number, before + 1, "only once");

    fixture.registry.refresh("fs").await.unwrap();
    assert_eq!(fixture.registry.stats().await.unwrap().revision.number, before + 2, "registered again");
    assert_eq!(fixture.registry.find(Filter::new()).await.unwrap().servers.len(), 1);

    fixture.run_for(Duration::from_secs(91)).await;
    fixture.registry.prune().await.unwrap();
    assert_eq!(fixture.registry.get("fs").await.unwrap(), None);
    assert_eq!(fixture.registry.stats().await.unwrap().tools, 0, "its definitions were deleted with it");
}

#[tokio::test]
async fn refresh_many_refreshes_several_leases() {
    let fixture = Fixture::new().await;
    for id in ["a", "b"] {
        fixture.registry.register(filesystem().id(id)).await.unwrap();
    }
    let answer = fixture.registry.refresh_many(["b", "gone", "a", "b"]).await.unwrap();
    let refreshed: Vec<&str> = answer.refreshed.iter().map(|refreshed| refreshed.id.as_str()).collect();
    assert_eq!(refreshed, ["b", "a", "b"]);
    assert_eq!(answer.not_registered, ["gone"]);
    assert_eq!(answer.refreshed[0].refresh_after_ms, 15_000);
}

#[tokio::test]
async fn a_registry_in_memory_works_until_it_is_closed() {
    let registry = Registry::in_memory().await.unwrap();
    registry.register(filesystem()).await.unwrap();
    let page = registry.find(Filter::new().tool("read_file").view(View::Full)).await.unwrap();
    assert_eq!(page.servers.len(), 1);
    registry.close().await;
    assert!(matches!(registry.find(Filter::new()).await, Err(Error::Closed)));
    assert!(matches!(registry.refresh("fs").await, Err(Error::Closed)));
    registry.close().await;
}

#[tokio::test]
async fn close_and_drop_checkpoint_the_wal() {
    let fixture = Fixture::new().await;
    fixture.registry.register(filesystem()).await.unwrap();
    fixture.registry.close().await;
    assert!(!fixture.folder.path().join("paulina.db-wal").exists());

    let registry = Registry::open(fixture.path()).await.unwrap();
    assert!(registry.get("fs").await.unwrap().is_some());
    drop(registry);
    while fixture.folder.path().join("paulina.db-wal").exists() {
        tokio::task::yield_now().await;
    }
    let registry = loop {
        match Registry::open(fixture.path()).await {
            Ok(registry) => break registry,
            Err(paulina::OpenError::Served { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    assert!(registry.get("fs").await.unwrap().is_some());
    registry.close().await;
}

#[tokio::test]
async fn a_thousand_concurrent_registrations_succeed() {
    let fixture = Fixture::new().await;
    let register = |number: usize| {
        let registry = fixture.registry.clone();
        async move { registry.register(filesystem().id(format!("s{number}"))).await.unwrap() }
    };
    let tasks: Vec<_> = (0..1_000).map(|number| tokio::spawn(register(number))).collect();
    for task in tasks {
        assert!(task.await.unwrap().created);
    }
    let stats = fixture.registry.stats().await.unwrap();
    assert_eq!((stats.servers.total, stats.revision.number), (1_000, 1_000));
}
