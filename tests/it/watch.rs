//! Watching: in process, over HTTP, and through the client.

use std::time::Duration;

use paulina::client::Client;
use paulina::{
    ChangeKind, Error, Filter, HealthFilter, Options, Registration, Registry, Revision, View, Watch,
    WatchEvent,
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;

use crate::support::binary::Binary;
use crate::support::{Api, Fixture, edit};

fn server(id: &str) -> Registration {
    Registration::stdio("s", ["x"]).id(id)
}

async fn snapshot(watch: &mut Watch) -> (Vec<String>, Revision) {
    match watch.next().await.unwrap() {
        WatchEvent::Snapshot(all) => {
            (all.servers.iter().map(|server| server.id.clone()).collect(), all.revision)
        }
        WatchEvent::Change(change) => panic!("no snapshot, but {change:?}"),
    }
}

async fn change(watch: &mut Watch) -> (ChangeKind, String) {
    match watch.next().await.unwrap() {
        WatchEvent::Change(change) => (change.kind, change.server.id.clone()),
        WatchEvent::Snapshot(all) => panic!("no change, but a snapshot of {}", all.servers.len()),
    }
}

#[tokio::test]
async fn a_watch_starts_with_a_snapshot_and_then_reports_every_change() {
    let fixture = Fixture::with_retention(Duration::from_mins(1)).await;
    let registry = &fixture.registry;
    registry.register(server("a").tool("t").ttl(10)).await.unwrap();
    registry.register(server("b")).await.unwrap();
    let mut all = registry.watch(Filter::new()).unwrap();
    let mut tool = registry.watch(Filter::new().tool("t")).unwrap();
    assert_eq!(snapshot(&mut all).await.0, ["a", "b"]);
    assert_eq!(snapshot(&mut tool).await.0, ["a"]);

    registry.refresh("a").await.unwrap();
    registry.register(server("a").tool("t").ttl(10)).await.unwrap();
    registry.register(server("b").tool("t")).await.unwrap();
    registry.register(server("b").tool("t").title("B")).await.unwrap();
    registry.register(server("b")).await.unwrap();
    let kinds = [ChangeKind::Updated; 3];
    for kind in kinds {
        assert_eq!(
            change(&mut all).await,
            (kind, "b".to_owned()),
            "a refresh is not a change, nor is an identical registration"
        );
    }
    for kind in [ChangeKind::Registered, ChangeKind::Updated, ChangeKind::Deregistered] {
        assert_eq!(change(&mut tool).await, (kind, "b".to_owned()));
    }

    fixture.run_for(Duration::from_secs(11)).await;
    registry.prune().await.unwrap();
    assert_eq!(change(&mut tool).await, (ChangeKind::Expired, "a".to_owned()));
    let mut late_watch = registry.watch(Filter::new().health(HealthFilter::Any)).unwrap();
    assert_eq!(
        snapshot(&mut late_watch).await.0,
        ["b"],
        "an expired server is not part of a snapshot, even while it is retained"
    );
    registry.refresh("a").await.unwrap();
    for watch in [&mut tool, &mut late_watch] {
        assert_eq!(
            change(watch).await,
            (ChangeKind::Registered, "a".to_owned()),
            "a late refresh revives it"
        );
    }
    registry.deregister("a").await.unwrap();
    assert_eq!(change(&mut tool).await, (ChangeKind::Deregistered, "a".to_owned()));
    registry.close().await;
    assert!(matches!(tool.next().await, Err(Error::Closed)));
}

#[tokio::test]
async fn unsupported_filters_are_rejected() {
    let registry = Registry::in_memory().await.unwrap();
    registry.register(server("a")).await.unwrap();
    registry.register(server("b")).await.unwrap();
    let page = registry.find(Filter::new().limit(1)).await.unwrap();
    let refused = [
        ("q", Filter::new().search("x")),
        ("healthy", Filter::new().health(HealthFilter::Unhealthy)),
        ("view", Filter::new().view(View::Full)),
        ("cursor", Filter::new().after(&page.next_cursor.unwrap())),
        ("tool", Filter::new().tool("")),
    ];
    for (parameter, filter) in refused {
        assert!(
            matches!(registry.watch(filter), Err(Error::InvalidFilter(error)) if error.parameter == parameter)
        );
    }
}

#[tokio::test]
async fn a_watch_resumes_right_after_the_given_revision() {
    let mut fixture = Fixture::new().await;
    let mut watch = fixture.registry.watch(Filter::new()).unwrap();
    let (_, mut since) = snapshot(&mut watch).await;
    drop(watch);
    for round in 0..3 {
        for number in 0..200 {
            fixture.registry.register(server(&format!("{round}-{number}"))).await.unwrap();
        }
        if round == 1 {
            fixture.kill_and_reopen_after(Duration::from_secs(1)).await;
        }
        let mut watch = fixture.registry.watch_since(Filter::new(), since.clone()).unwrap();
        for number in 0..200 {
            let WatchEvent::Change(change) = watch.next().await.unwrap() else { panic!("a snapshot") };
            assert_eq!(
                (change.revision.number, &change.server.id),
                (since.number + 1, &format!("{round}-{number}"))
            );
            since = change.revision;
        }
    }
    let foreign = Revision { epoch: "00000000".to_owned(), number: 1 };
    let future = Revision { number: since.number + 1, ..since };
    for since in [foreign, future] {
        let mut watch = fixture.registry.watch_since(Filter::new(), since).unwrap();
        assert_eq!(snapshot(&mut watch).await.0.len(), 600);
    }
}

#[tokio::test]
async fn a_revision_before_the_history_gets_a_snapshot() {
    for limit in ["rows", "bytes", "time"] {
        let (folder, clock) = (tempfile::tempdir().unwrap(), paulina::clock::ManualClock::new());
        let options = Options::new().clock(clock.clone());
        let options = match limit {
            "rows" => options.history_max_changes(10),
            "bytes" => options.history_max_bytes(5_000),
            _ => options.history_max_age(Duration::from_secs(30)),
        };
        let registry = options.open(folder.path().join("paulina.db")).await.unwrap();
        let (_, first_revision) = snapshot(&mut registry.watch(Filter::new()).unwrap()).await;
        for number in 0..50 {
            registry.register(server(&format!("s{number}")).ttl(86_400)).await.unwrap();
        }
        clock.advance(Duration::from_secs(61));
        registry.check_writable().await.unwrap();
        registry.register(server("last").ttl(86_400)).await.unwrap();
        // The change after this revision is recorded once the oldest are pruned.
        let mut recent = registry.watch(Filter::new()).unwrap();
        let (_, recent_revision) = snapshot(&mut recent).await;
        clock.advance(Duration::from_secs(61));
        registry.register(server("more").ttl(86_400)).await.unwrap();
        registry.check_writable().await.unwrap();
        loop {
            let mut old = registry.watch_since(Filter::new(), first_revision.clone()).unwrap();
            if let WatchEvent::Snapshot(all) = old.next().await.unwrap() {
                assert_eq!(all.servers.len(), 52, "{limit}");
                break;
            }
            clock.advance(Duration::from_secs(61));
            tokio::task::yield_now().await;
        }
        let mut resumed = registry.watch_since(Filter::new(), recent_revision).unwrap();
        assert_eq!(change(&mut resumed).await.1, "more", "{limit}: the latest change is always kept");
        registry.close().await;
    }
}

/// A watcher that falls behind reads from the table of changes; it delays no other, and its mailbox stays bounded.
#[tokio::test]
async fn a_slow_watcher_receives_every_change() {
    let registry = Registry::in_memory().await.unwrap();
    let mut watch = registry.watch(Filter::new()).unwrap();
    let (_, first_revision) = snapshot(&mut watch).await;
    for number in 0..2_000 {
        registry.register(server(&format!("s{number}"))).await.unwrap();
    }
    for number in 0..2_000 {
        let WatchEvent::Change(change) = watch.next().await.unwrap() else {
            panic!("a snapshot at {number}")
        };
        assert_eq!(change.revision.number, first_revision.number + number + 1);
    }
}

#[tokio::test]
async fn an_edit_of_the_database_triggers_a_new_snapshot() {
    let fixture = Fixture::new().await;
    fixture.registry.register(server("a")).await.unwrap();
    let mut watch = fixture.registry.watch(Filter::new().name("s")).unwrap();
    assert_eq!(snapshot(&mut watch).await.0, ["a"]);
    edit(&fixture.path(), "PRAGMA foreign_keys = ON; DELETE FROM servers WHERE id = 'a'").await;
    fixture.run_for(Duration::from_secs(1)).await;
    assert!(snapshot(&mut watch).await.0.is_empty());
}

/// Opens an event stream over HTTP; returns its lines.
async fn stream(api: &Api, path: &str, header: &str) -> Lines<BufReader<TcpStream>> {
    let mut stream = TcpStream::connect(api.address).await.unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{header}\r\n", api.address);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next_line().await.unwrap().unwrap();
    assert_eq!(first, "HTTP/1.1 200 OK");
    let mut headers = Vec::new();
    while let Some(line) = lines.next_line().await.unwrap().filter(|line| !line.is_empty()) {
        headers.push(line);
    }
    assert!(headers.contains(&"content-type: text/event-stream".to_owned()), "{headers:?}");
    assert!(headers.contains(&"cache-control: no-store".to_owned()), "{headers:?}");
    lines
}

/// Returns the next event: id, kind and data.
async fn event(lines: &mut Lines<BufReader<TcpStream>>) -> (String, String, serde_json::Value) {
    let mut fields = Vec::new();
    loop {
        let line = lines.next_line().await.unwrap().unwrap();
        if let Some((field, value)) = line.split_once(": ").filter(|(field, _)| !field.is_empty()) {
            fields.push((field.to_owned(), value.to_owned()));
        } else if line.is_empty() && !fields.is_empty() {
            break;
        }
    }
    let [(id_field, id), (kind_field, kind), (data_field, data)] = &fields[..] else { panic!("{fields:?}") };
    assert_eq!([id_field, kind_field, data_field], ["id", "event", "data"]);
    (id.clone(), kind.clone(), serde_json::from_str(data).unwrap())
}

#[tokio::test]
async fn watching_over_http() {
    let api = Api::new().await;
    api.registry.register(server("a").tool("t")).await.unwrap();
    let mut watch = stream(&api, "/v1/watch?tool=t", "accept-encoding: gzip\r\n").await;
    let (id, kind, data) = event(&mut watch).await;
    let listed = api.get("/v1/servers?tool=t").await.json();
    assert_eq!((kind.as_str(), &data["revision"]), ("snapshot", &listed["revision"]));
    assert_eq!(data["servers"], listed["servers"]);
    assert_eq!(data["revision"], id);
    api.registry.register(server("b").tool("t")).await.unwrap();
    let (after, kind, data) = event(&mut watch).await;
    assert_eq!(
        (kind.as_str(), &data["kind"], &data["revision"]),
        ("registered", &kind.clone().into(), &after.clone().into())
    );
    assert_eq!(data["server"], api.get("/v1/servers?tool=t").await.json()["servers"][1]);
    assert!(data["at"].as_str().unwrap().ends_with('Z'));

    for (path, header) in [
        ("/v1/watch", format!("last-event-id: {id}\r\n")),
        (&*format!("/v1/watch?since={id}"), String::new()),
    ] {
        let mut resumed = stream(&api, path, &header).await;
        let (resumed_id, kind, _) = event(&mut resumed).await;
        assert_eq!((resumed_id.as_str(), kind.as_str()), (after.as_str(), "registered"));
    }
    for query in [
        "q=x",
        "limit=1",
        "cursor=x",
        "view=full",
        "healthy=false",
        "since=x",
        "since=00000000-1&since=00000000-1",
        "color=red",
    ] {
        assert_eq!(api.get(&format!("/v1/watch?{query}")).await.code(), "invalid_query", "{query}");
    }
    let metrics = api.get("/metrics").await.text;
    assert!(metrics.contains("paulina_watchers 3") || metrics.contains("paulina_watchers 1"), "{metrics}");
}

#[tokio::test]
async fn streams_end_when_the_server_stops_or_access_is_lost() {
    let mut api = Api::with(paulina::http::Limits { watchers: 1, ..Default::default() }, &[]).await;
    let mut watch = stream(&api, "/v1/watch", "").await;
    event(&mut watch).await;
    let full = api.get("/v1/watch").await;
    assert_eq!((full.code().as_str(), full.header("retry-after")), ("overloaded", "1"));
    drop(watch);
    while api.get("/metrics").await.text.contains("paulina_watchers 1") {
        tokio::task::yield_now().await;
    }
    let mut watch = stream(&api, "/v1/watch", "").await;
    event(&mut watch).await;
    api.token("first", paulina::Role::Admin).await;
    api.registry.register(server("a")).await.unwrap();
    let mut remaining_lines = Vec::new();
    while let Some(line) = watch.next_line().await.unwrap() {
        remaining_lines.push(line);
    }
    assert!(
        !remaining_lines.iter().any(|line| line.contains("registered")),
        "the stream was opened before the first token existed: {remaining_lines:?}"
    );
    assert_eq!(api.get("/v1/watch").await.code(), "unauthorized");
    drop(watch);

    let token = api.token("reader", paulina::Role::Read).await;
    let mut watch = stream(&api, "/v1/watch", &format!("authorization: {token}\r\n")).await;
    event(&mut watch).await;
    api.stop();
    while watch.next_line().await.unwrap().is_some() {}
}

#[tokio::test]
async fn the_client_reconnects_and_resumes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("paulina.db");
    let address = crate::client::free_address().await.to_string();
    let listen = ["--listen", &address];
    let binary = Binary::with(&path, &listen);
    let client = Client::new(&binary.url).unwrap();
    let mut watch = client.watch(Filter::new().name("s")).unwrap();
    assert!(matches!(watch.next().await.unwrap(), WatchEvent::Snapshot(all) if all.servers.is_empty()));
    client.register(server("a")).await.unwrap();
    let first = watch.next().await.unwrap();
    assert!(matches!(&first, WatchEvent::Change(change) if change.server.id == "a"));
    binary.kill();
    let binary = Binary::with(&path, &listen);
    client.register(server("b")).await.unwrap();
    assert!(
        matches!(watch.next().await.unwrap(), WatchEvent::Change(change) if change.server.id == "b"),
        "the stream resumes without a snapshot"
    );
    binary.kill();
    std::fs::remove_file(&path).unwrap();
    let _binary = Binary::with(&path, &listen);
    assert!(
        matches!(watch.next().await.unwrap(), WatchEvent::Snapshot(all) if all.servers.is_empty()),
        "the history is another one"
    );
    let mut resumed = client.watch_since(Filter::new(), first.revision().clone()).unwrap();
    assert!(matches!(resumed.next().await.unwrap(), WatchEvent::Snapshot(_)));
}
