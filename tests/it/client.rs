//! The client against the real API on a socket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use paulina::client::{Client, ClientError, ClientOptions};
use paulina::http::Limits;
use paulina::{Filter, LeaseRef, Registration, Role, View};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::Api;
use crate::support::binary::Binary;

fn client(api: &Api) -> Client {
    Client::new(format!("http://{}", api.address)).unwrap()
}

fn files() -> Registration {
    let tool = serde_json::json!({"name": "read_file", "inputSchema": {"type": "object", "z": 1, "a": 0.10}, "x-note": 1});
    Registration::stdio("files", ["mcp-files", "/srv"])
        .id("files-1")
        .version("1.0.0")
        .tool(paulina::Tool::from_json(tool).unwrap())
        .resource("file:///{path}")
        .prompt("summarize")
        .capability("logging")
        .tag("local")
        .metadata("team", "search")
}

#[tokio::test]
async fn the_client_returns_the_same_as_the_registry_in_process() {
    let api = Api::new().await;
    let client = client(&api);
    let registered = client.register(files()).await.unwrap();
    assert!(registered.created);
    assert!(!client.register(files()).await.unwrap().created, "the id is registered already");
    let registered = client.register(files().description("new")).await.unwrap();
    assert_eq!(client.refresh(&registered).await.unwrap().refresh_after_ms, 15_000);

    let stored = api.registry.get("files-1").await.unwrap().unwrap();
    let fetched = client.get("files-1").await.unwrap().unwrap();
    assert_eq!(fetched.record(), stored.record(), "schemas keep every digit");
    assert_eq!(client.get("other").await.unwrap(), None);
    let full = client.find(Filter::new().tool("read_file").view(View::Full)).await.unwrap();
    assert_eq!(full.servers[0].record(), stored.record());
    let page = client.find(Filter::new().resource("file:///etc/hosts").tags(["local"])).await.unwrap();
    assert_eq!(page.servers[0].id, "files-1");
    let found = api.registry.find(Filter::new()).await.unwrap();
    assert_eq!((page.revision, page.next_cursor), (found.revision, None));
    let tools = client.tools(Filter::new().search("read")).await.unwrap();
    assert_eq!(tools.tools, api.registry.tools(Filter::new().search("read")).await.unwrap().tools);
    let searched = client.find(Filter::new().search("read")).await.unwrap();
    let stored_search = api.registry.find(Filter::new().search("read")).await.unwrap();
    assert_eq!((searched.servers.len(), searched.servers[0].score), (1, stored_search.servers[0].score));
    assert!(searched.servers[0].score.is_some() && stored.score.is_none());
    assert_eq!(client.stats().await.unwrap(), api.registry.stats().await.unwrap());
    let health = client.health("files-1").await.unwrap().unwrap();
    assert_eq!((health.name.as_str(), health.ttl), ("files", 30));
    assert_eq!(client.health("other").await.unwrap(), None);
    let many = client.refresh_many(&["files-1".to_owned(), "gone".to_owned()]).await.unwrap();
    assert_eq!((many.refreshed[0].id.as_str(), many.not_registered), ("files-1", vec!["gone".to_owned()]));

    client.deregister(&registered).await.unwrap();
    assert!(
        matches!(client.deregister(&registered).await, Err(ClientError::NotRegistered { id }) if id == "files-1")
    );
    assert!(matches!(client.refresh("files-1").await, Err(ClientError::NotRegistered { .. })));
}

#[tokio::test]
async fn find_all_follows_every_page() {
    let api = Api::new().await;
    for number in 0..25 {
        let server = Registration::stdio("s", ["x"]).id(format!("s-{number}")).tool(format!("t-{number:02}"));
        api.registry.register(server).await.unwrap();
    }
    let client = client(&api);
    let filter = Filter::new().name("s").limit(10);
    // In tasks, to check that the futures are `Send`.
    let all = tokio::spawn({
        let (client, filter) = (client.clone(), filter.clone());
        async move { client.find_all(filter).await }
    });
    let expected: Vec<_> = (0..25).map(|number| format!("s-{number}")).collect();
    let found = all.await.unwrap().unwrap();
    assert_eq!(found.iter().map(|server| server.id.clone()).collect::<Vec<_>>(), expected);
    let tools = tokio::spawn(async move { client.all_tools(filter).await }).await.unwrap().unwrap();
    let expected: Vec<_> = (0..25).map(|number| format!("t-{number:02}")).collect();
    assert_eq!(tools.iter().map(|tool| tool.name.clone()).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn errors_carry_the_problem_of_the_api() {
    let api = Api::new().await;
    let client = client(&api);
    let refused = client.register(files().ttl(0).tag("a,b")).await.unwrap_err();
    let ClientError::Api(refusal) = refused else { panic!("{refused}") };
    assert_eq!((refusal.status, refusal.code.as_str()), (422, "invalid_registration"));
    assert_eq!(refusal.errors.len(), 2, "{refusal:?}");
    let empty = client.find(Filter::new().tool("")).await.unwrap_err();
    assert!(matches!(empty, ClientError::InvalidFilter(_)) && !empty.is_temporary());

    client.register_new(files()).await.unwrap();
    let taken = client.register_new(files()).await.unwrap_err();
    assert!(matches!(&taken, ClientError::Api(error) if error.code == "already_registered"), "{taken}");
    let first = client.register(files()).await.unwrap();
    client.register(files()).await.unwrap();
    let replaced = LeaseRef::new("files-1", Some(first.lease));
    assert!(matches!(client.refresh(replaced.clone()).await, Err(ClientError::LeaseReplaced { .. })));
    assert!(matches!(client.deregister(replaced).await, Err(ClientError::LeaseReplaced { .. })));

    let bearer = api.token("reader", Role::Read).await;
    let denied = client.stats().await.unwrap_err();
    assert!(matches!(&denied, ClientError::Api(error) if error.code == "unauthorized"), "{denied}");
    let options =
        ClientOptions::new().address(client.addresses()).token(bearer.trim_start_matches("Bearer "));
    assert_eq!(options.build().unwrap().stats().await.unwrap().servers.total, 1);
}

#[tokio::test]
async fn pick_returns_a_random_healthy_server() {
    let api = Api::new().await;
    let client = client(&api);
    let none = client.pick("files").await.unwrap_err();
    assert!(matches!(&none, ClientError::NoHealthyServers { name } if name == "files"), "{none}");
    for number in 0..3 {
        api.registry.register(Registration::stdio("files", ["x"]).id(format!("f{number}"))).await.unwrap();
    }
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..200 {
        seen.insert(client.pick("files").await.unwrap().id.clone());
    }
    assert_eq!(seen.len(), 3, "200 picks return each of the three servers");
}

#[tokio::test]
async fn requests_fail_over_to_the_next_address() {
    let api = Api::new().await;
    let closed = free_address().await;
    let good = format!("http://{}", api.address);
    let options = ClientOptions::new().address(format!("http://{closed}")).address(&good);
    let client = options.build().unwrap();
    client.register_new(files()).await.unwrap();
    assert_eq!(client.stats().await.unwrap().servers.total, 1);

    let busy = Api::with(Limits { requests: 0, ..Limits::default() }, &[]).await;
    let options = ClientOptions::new().address(format!("http://{}", busy.address)).address(&good);
    assert_eq!(
        options.build().unwrap().stats().await.unwrap().servers.total,
        1,
        "503 at the first address, a response from the second"
    );
    let busy_only = Client::new(format!("http://{}", busy.address)).unwrap();
    let overloaded = busy_only.stats().await.unwrap_err();
    assert!(matches!(&overloaded, ClientError::Api(error) if error.code == "overloaded"));
    assert!(overloaded.is_temporary());

    let unreachable = Client::new(format!("http://{closed}")).unwrap().stats().await.unwrap_err();
    let text = unreachable.to_string();
    assert!(
        text.starts_with(&format!("no registry answers at http://{closed}: ")) && unreachable.is_temporary(),
        "{text}"
    );
}

/// Starts a proxy to the registry that drops every response, and counts the requests.
async fn proxy_that_drops_responses(to: SocketAddr, requests: Arc<AtomicUsize>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut server = TcpStream::connect(to).await.unwrap();
            let mut request = vec![0; 65_536];
            let count = client.read(&mut request).await.unwrap();
            requests.fetch_add(1, Ordering::Relaxed);
            server.write_all(&request[..count]).await.unwrap();
            assert!(server.read(&mut request).await.unwrap() > 0);
        }
    });
    address
}

#[tokio::test]
async fn retried_writes_take_effect_once() {
    let api = Api::new().await;
    let requests = Arc::new(AtomicUsize::new(0));
    let lossy_address = proxy_that_drops_responses(api.address, Arc::clone(&requests)).await;
    let client = ClientOptions::new()
        .address(format!("http://{lossy_address}"))
        .address(format!("http://{}", api.address));
    let new_client = || client.clone().build().unwrap();
    let nameless = Registration::stdio("files", ["x"]);
    let registered = new_client().register(nameless).await.unwrap();
    assert_eq!(
        api.registry.stats().await.unwrap().servers.total,
        1,
        "both attempts register the id that the client generated"
    );
    new_client().deregister(&registered).await.unwrap();
    assert_eq!(api.registry.stats().await.unwrap().servers.total, 0);
    let before = requests.load(Ordering::Relaxed);
    let unsure = new_client().register_new(files()).await.unwrap_err();
    assert!(
        matches!(unsure, ClientError::Unreachable { .. }),
        "a second attempt would report its own registration as another server's"
    );
    assert_eq!(requests.load(Ordering::Relaxed), before + 1);
}

#[tokio::test]
async fn a_server_that_is_not_a_registry_is_recognized() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = axum::Router::new().fallback(|| async { "<html>Welcome</html>" });
    tokio::spawn(async move { axum::serve(listener, app).await });
    let error = Client::new(&url).unwrap().stats().await.unwrap_err();
    assert!(matches!(&error, ClientError::NotARegistry { address, .. } if *address == url), "{error}");
    for wrong in ["", "127.0.0.1:7285", "ftp://x", "http://"] {
        assert!(matches!(Client::new(wrong), Err(ClientError::Address { .. })), "{wrong}");
    }
    assert!(ClientOptions::new().address(url).token("two words").build().is_err());
}

#[cfg(unix)]
#[tokio::test]
async fn unix_sockets_and_path_prefixes_work() {
    let folder = tempfile::tempdir().unwrap();
    let socket = format!("unix:{}", folder.path().join("p.sock").display());
    let _binary = Binary::with(&folder.path().join("paulina.db"), &["--listen", &socket]);
    let client = Client::new(&socket).unwrap();
    client.register(files()).await.unwrap();
    assert_eq!(client.pick("files").await.unwrap().id, "files-1");

    let registry = paulina::Registry::in_memory().await.unwrap();
    let app = axum::Router::new().nest("/registry", paulina::http::router(registry));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nested = format!("http://{}/registry/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    assert_eq!(Client::new(nested).unwrap().stats().await.unwrap().servers.total, 0);
}

/// Returns an address at which nothing listens.
pub(crate) async fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn ids_that_no_url_can_name_are_not_registered() {
    let api = Api::new().await;
    let client = client(&api);
    for id in [".", ".."] {
        assert!(client.get(id).await.unwrap().is_none() && client.health(id).await.unwrap().is_none());
        for refused in [
            client.refresh(LeaseRef::new(id, None)).await.map(|_| ()),
            client.deregister(LeaseRef::new(id, None)).await,
        ] {
            assert!(matches!(refused, Err(ClientError::NotRegistered { .. })), "{refused:?}");
        }
    }
}

#[tokio::test]
async fn watch_fails_on_a_server_that_is_not_a_registry() {
    for status in ["404 Not Found", "200 OK"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 1024]).await;
                let page =
                    format!("HTTP/1.1 {status}\r\ncontent-type: text/html\r\ncontent-length: 5\r\n\r\nhello");
                let _ = stream.write_all(page.as_bytes()).await;
            }
        });
        let mut watch = Client::new(address).unwrap().watch(Filter::new()).unwrap();
        assert!(matches!(watch.next().await, Err(ClientError::NotARegistry { .. })), "{status}");
    }
}
