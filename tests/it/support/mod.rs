//! What the tests share: a registry on a file with a clock in hand, the API on a socket, the real binary.

pub(crate) mod between;
pub(crate) mod binary;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use paulina::clock::ManualClock;
use paulina::http::{Limits, Listener, Server};
use paulina::{Options, Registry, Role};
use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tempfile::TempDir;

/// A registry whose pruner only runs when it is told to.
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

    /// Lets awake time pass: the registry is looked after four times a second, as its task does.
    pub(crate) async fn pass(&self, time: Duration) {
        let mut left = time;
        while !left.is_zero() {
            let step = left.min(Duration::from_millis(250));
            self.clock.advance(step);
            self.registry.check_writable().await.unwrap();
            left -= step;
        }
    }

    /// What a killed process leaves, the files as they are at this moment, opened after this time.
    pub(crate) async fn kill_and_reopen_after(&mut self, down: Duration) {
        let left = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(self.folder.path()).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), left.path().join(entry.file_name())).unwrap();
        }
        self.registry.close().await;
        self.folder = left;
        self.clock.advance(down);
        self.registry = open(&self.clock, self.retention, self.path()).await;
    }

    /// Closes and opens again, with this time in between.
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

/// Writes to a database as sqlite3 would, from outside the registry.
pub(crate) async fn edit(path: &Path, sql: &str) {
    let options = SqliteConnectOptions::new().filename(path).foreign_keys(false).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Takes a database back to before search by meaning: the third version of the schema.
pub(crate) const BACK_TO_3: &str = "
    DROP TRIGGER servers_leave_search; DROP TRIGGER search_entries_leave;
    DROP TABLE search_texts; DROP TABLE search_entries; DROP TABLE search_unused;
    ALTER TABLE settings DROP COLUMN search_version;
    CREATE VIRTUAL TABLE server_text USING fts5 (name, tags, tools, text, content = '', contentless_delete = 1);
    CREATE VIRTUAL TABLE tool_text USING fts5 (name, text, content = '', contentless_delete = 1);
    CREATE TRIGGER servers_leave_text AFTER DELETE ON servers BEGIN
      DELETE FROM server_text WHERE rowid = old.number;
    END;
    CREATE TRIGGER tools_leave_text AFTER DELETE ON tools BEGIN
      DELETE FROM tool_text WHERE rowid = old.number;
    END;
    DELETE FROM refinery_schema_history WHERE version >= 4;";

/// A client that is not ours. The feature `cli` gives reqwest TLS without a provider of its own.
pub(crate) fn http_client() -> reqwest::Client {
    // An error says that there is one already.
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// The API on a socket of its own.
pub(crate) struct Api {
    pub(crate) address: SocketAddr,
    pub(crate) registry: Registry,
    client: reqwest::Client,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    folder: TempDir,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The code of a problem that has all its members.
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

    pub(crate) async fn serving(limits: Limits, configure: impl FnOnce(Server) -> Server) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::open(folder.path().join("paulina.db")).await.unwrap();
        Self::of(registry, folder, limits, configure)
    }

    /// The API of this registry, whose files lie in this folder.
    pub(crate) fn of(
        registry: Registry,
        folder: TempDir,
        limits: Limits,
        configure: impl FnOnce(Server) -> Server,
    ) -> Self {
        let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.address().unwrap();
        let server = configure(Server::new(registry.clone(), limits));
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

    /// The registry's file.
    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join("paulina.db")
    }

    /// A token, as the value of `authorization`.
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

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        // A stream of events has no end.
        let endless = headers.get("content-type").is_some_and(|kind| kind == "text/event-stream");
        let text = if endless { String::new() } else { response.text().await.unwrap() };
        Answer { status, headers, text }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn put(&self, path: &str) -> Answer {
        self.send(self.request(Method::PUT, path)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn register(&self, body: &Value) -> Value {
        let answer = self.post("/v1/servers", body).await;
        assert!(answer.status.is_success(), "{answer:?}");
        answer.json()
    }

    /// The ids that a query finds, in order.
    pub(crate) async fn ids(&self, query: &str) -> Vec<String> {
        let answer = self.get(&format!("/v1/servers?{query}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        ids(&answer.json())
    }
}

pub(crate) fn ids(page: &Value) -> Vec<String> {
    let servers = page["servers"].as_array().unwrap();
    servers.iter().map(|server| server["id"].as_str().unwrap().to_owned()).collect()
}
