//! Shared fixtures: a registry on a file with a manual clock, the API on a socket, the real binary, a TCP proxy.

pub(crate) mod binary;
pub(crate) mod older;
pub(crate) mod tcp_proxy;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use paulina::clock::ManualClock;
use paulina::http::{HttpServer, Limits, Listener};
use paulina::{Options, Registry, Role};
use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tempfile::TempDir;

/// A registry on a file; its pruner runs only when a test calls it.
pub(crate) struct Fixture {
    pub(crate) clock: ManualClock,
    pub(crate) folder: TempDir,
    pub(crate) registry: Registry,
    pub(crate) retention: Duration,
}

pub(crate) const NEVER: Duration = Duration::from_hours(24 * 3650);

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::with_retention(Duration::ZERO).await
    }

    pub(crate) async fn with_retention(retention: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new();
        let registry = open(&clock, retention, folder.path().join("paulina.db")).await;
        Self { clock, folder, registry, retention }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("paulina.db")
    }

    /// Advances the clock while the registry runs: four ticks per second, like its own task.
    pub(crate) async fn run_for(&self, time: Duration) {
        let mut remaining = time;
        while !remaining.is_zero() {
            let step = remaining.min(Duration::from_millis(250));
            self.clock.advance(step);
            self.registry.check_writable().await.unwrap();
            remaining -= step;
        }
    }

    /// Simulates a killed process: copies the files as they are now, and opens the copy after `down`.
    pub(crate) async fn kill_and_reopen_after(&mut self, down: Duration) {
        let copy = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(self.folder.path()).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
        self.registry.close().await;
        self.folder = copy;
        self.clock.advance(down);
        self.registry = open(&self.clock, self.retention, self.path()).await;
    }

    /// Closes the registry, and opens it again after `down`.
    pub(crate) async fn reopen_after(&mut self, down: Duration) {
        self.registry.close().await;
        self.clock.advance(down);
        self.registry = open(&self.clock, self.retention, self.path()).await;
    }
}

pub(crate) async fn open(clock: &ManualClock, retention: Duration, path: PathBuf) -> Registry {
    let options = Options::new().clock(clock.clone()).prune_interval(NEVER).retention(retention);
    options.open(path).await.unwrap()
}

/// Executes SQL on a database from outside the registry, as the `sqlite3` shell would.
pub(crate) async fn edit(path: &Path, sql: &str) {
    let options = SqliteConnectOptions::new().filename(path).foreign_keys(false).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Returns a plain HTTP client. The feature `cli` builds reqwest without a TLS provider, so this installs one.
pub(crate) fn http_client() -> reqwest::Client {
    // An error means that a provider is installed already.
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// The API on its own socket.
pub(crate) struct Api {
    pub(crate) address: SocketAddr,
    pub(crate) registry: Registry,
    client: reqwest::Client,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    folder: TempDir,
}

/// A response whose body has been read.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Response {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Returns the JSON body, indented for a snapshot.
    pub(crate) fn pretty_json(&self) -> String {
        serde_json::to_string_pretty(&self.json()).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Returns the problem code, after checking that the problem has all its members.
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        assert!(!self.header("x-request-id").is_empty(), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status.as_u16());
        let code = problem["code"].as_str().unwrap().to_owned();
        assert_eq!(problem["type"], format!("urn:paulina:problem:{code}"));
        for member in ["title", "detail"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{self:?}");
        }
        assert!(problem["errors"].is_array());
        code
    }
}

impl Api {
    pub(crate) async fn new() -> Self {
        Self::with(Limits::default(), &[]).await
    }

    pub(crate) async fn with(limits: Limits, allowed_hosts: &[&str]) -> Self {
        let hosts = allowed_hosts.iter().map(ToString::to_string).collect();
        Self::serving(limits, |server| server.allowed_hosts(hosts)).await
    }

    pub(crate) async fn serving(limits: Limits, configure: impl FnOnce(HttpServer) -> HttpServer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::open(folder.path().join("paulina.db")).await.unwrap();
        Self::of(registry, folder, limits, configure)
    }

    /// Serves the API of this registry, whose files are in this folder.
    pub(crate) fn of(
        registry: Registry,
        folder: TempDir,
        limits: Limits,
        configure: impl FnOnce(HttpServer) -> HttpServer,
    ) -> Self {
        let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.address().unwrap();
        let server = configure(HttpServer::new(registry.clone(), limits));
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        tokio::spawn(async move {
            let stop = async {
                let _ = stopped.await;
            };
            server.run(listener, stop, Duration::from_secs(5)).await.unwrap();
        });
        let client = http_client();
        Self { address, registry, client, stop: Some(stop), folder }
    }

    /// Returns the path of the database.
    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join("paulina.db")
    }

    /// Creates a token; returns the value of the header `authorization`.
    pub(crate) async fn token(&self, name: &str, role: Role) -> String {
        let secret = self.registry.create_token(name.parse().unwrap(), role).await.unwrap();
        format!("Bearer {}", secret.expose())
    }

    pub(crate) fn stop(&mut self) {
        self.stop.take();
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Response {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        // An event stream does not end.
        let is_event_stream = headers.get("content-type").is_some_and(|kind| kind == "text/event-stream");
        let text = if is_event_stream { String::new() } else { response.text().await.unwrap() };
        Response { status, headers, text }
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn put(&self, path: &str) -> Response {
        self.send(self.request(Method::PUT, path)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Response {
        self.send(self.request(Method::DELETE, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Response {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn register(&self, body: &Value) -> Value {
        let answer = self.post("/v1/servers", body).await;
        assert!(answer.status.is_success(), "{answer:?}");
        answer.json()
    }

    /// Returns the ids that a query finds, in order.
    pub(crate) async fn ids(&self, query: &str) -> Vec<String> {
        let answer = self.get(&format!("/v1/servers?{query}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        ids(&answer.json())
    }
}

/// Returns the JSON bodies of several responses, for one snapshot.
pub(crate) fn pretty_bodies(responses: &[Response]) -> String {
    responses.iter().map(Response::pretty_json).collect::<Vec<_>>().join("\n")
}

/// Replaces every part of the form of `pattern`, in which `0` stands for a hexadecimal digit.
pub(crate) fn redact(text: &str, pattern: &str, replacement: &str) -> String {
    let is_match = |part: &[u8]| {
        part.iter().zip(pattern.bytes()).all(|(byte, expected)| {
            if expected == b'0' { byte.is_ascii_hexdigit() } else { *byte == expected }
        })
    };
    let mut redacted = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if rest.as_bytes().get(..pattern.len()).is_some_and(is_match) {
            redacted.push_str(replacement);
            rest = &rest[pattern.len()..];
        } else {
            redacted.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    redacted
}

pub(crate) fn ids(page: &Value) -> Vec<String> {
    let servers = page["servers"].as_array().unwrap();
    servers.iter().map(|server| server["id"].as_str().unwrap().to_owned()).collect()
}
