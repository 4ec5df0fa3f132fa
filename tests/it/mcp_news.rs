//! What changes right after a client of `paulina mcp` was promised to be told of it, while the registry is slow to be watched.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::support::between::{Between, Mood};
use crate::support::binary::Binary;
use crate::support::http_client;

/// `paulina mcp` of a registry that it reaches over a network of this mood.
async fn behind(folder: &TempDir, mood: Mood) -> (Binary, Between, Mcp) {
    let registry = Binary::start(&folder.path().join("paulina.db"));
    let between = Between::before(registry.address(), mood).await;
    let mcp = Mcp::of(&format!("http://{}", between.address));
    (registry, between, mcp)
}

/// Nobody can watch it yet.
const SLOW: Mood = Mood::Holding("GET /v1/watch");

/// `paulina mcp`, asked line by line.
struct Mcp {
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Mcp {
    fn of(registry: &str) -> Self {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_paulina"));
        command.args(["mcp", "--registry", registry]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { input: child.stdin.take().unwrap(), output, _child: child }
    }

    async fn send(&mut self, message: Value) {
        self.input.write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }

    async fn next(&mut self) -> Value {
        let line = tokio::time::timeout(Duration::from_secs(20), self.output.next_line());
        serde_json::from_str(&line.await.unwrap().unwrap().unwrap()).unwrap()
    }

    /// As a client of the era of `initialize` that wants to know of all servers.
    async fn greet(&mut self) {
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}});
        self.send(json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params})).await;
        assert_eq!(self.next().await["result"]["serverInfo"]["name"], "paulina");
        self.send(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        let uri = json!({"uri": "paulina://servers"});
        self.send(json!({"jsonrpc": "2.0", "id": 2, "method": "resources/subscribe", "params": uri})).await;
        assert_eq!(self.next().await["id"], 2);
    }

    /// The methods of as many notifications.
    async fn told(&mut self, count: usize) -> Vec<String> {
        let mut told = Vec::new();
        while told.len() < count {
            told.push(self.next().await["method"].as_str().unwrap().to_owned());
        }
        told
    }
}

async fn register(registry: &Binary) {
    let one = json!({"id": "new", "name": "new", "transport": "stdio", "command": ["new"], "ttl": 600});
    let answer = http_client().post(format!("{}/v1/servers", registry.url)).json(&one).send().await.unwrap();
    assert_eq!(answer.status(), 201);
}

const CHANGED: [&str; 2] = ["notifications/resources/list_changed", "notifications/resources/updated"];

#[tokio::test]
async fn what_follows_an_acknowledgement_at_once_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, between, mut mcp) = behind(&folder, SLOW).await;
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let wanted = json!({"resourcesListChanged": true, "resourceSubscriptions": ["paulina://servers"]});
    mcp.send(json!({
        "jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen",
        "params": {"_meta": meta, "notifications": wanted},
    }))
    .await;
    assert_eq!(mcp.next().await["method"], "notifications/subscriptions/acknowledged");
    register(&registry).await;
    between.mood.send_replace(Mood::Passing);
    assert_eq!(mcp.told(2).await, CHANGED);
}

#[tokio::test]
async fn what_follows_a_greeting_at_once_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, between, mut mcp) = behind(&folder, SLOW).await;
    mcp.greet().await;
    register(&registry).await;
    between.mood.send_replace(Mood::Passing);
    assert_eq!(mcp.told(2).await, CHANGED);
}

#[tokio::test]
async fn a_proxy_that_answers_for_the_registry_ends_no_news() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, between, mut mcp) = behind(&folder, Mood::Strange("GET /v1/")).await;
    mcp.greet().await;
    between.mood.send_replace(Mood::Passing);
    assert_eq!(mcp.told(2).await, CHANGED, "all there is may be news");
    register(&registry).await;
    assert_eq!(mcp.told(2).await, CHANGED);
}
