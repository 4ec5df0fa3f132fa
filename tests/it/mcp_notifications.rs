//! Notifications of `paulina mcp`: no change after an acknowledged subscription is missed, even if watching the registry
//! starts late.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::support::binary::Binary;
use crate::support::http_client;
use crate::support::tcp_proxy::{Fault, TcpProxy};

/// Starts a registry, a proxy with this fault, and `paulina mcp`, which connects through the proxy.
async fn mcp_behind_proxy(folder: &TempDir, fault: Fault) -> (Binary, TcpProxy, Mcp) {
    let registry = Binary::start(&folder.path().join("paulina.db"));
    let proxy = TcpProxy::start(registry.address(), fault).await;
    let mcp = Mcp::start(&format!("http://{}", proxy.address));
    (registry, proxy, mcp)
}

/// Requests to watch the registry are delayed.
const WATCH_DELAYED: Fault = Fault::Delay("GET /v1/watch");

/// `paulina mcp` on standard input and output.
struct Mcp {
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Mcp {
    fn start(registry: &str) -> Self {
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

    /// Starts a session with `initialize`, and subscribes to the list of servers.
    async fn initialize_and_subscribe(&mut self) {
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}});
        self.send(json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params})).await;
        assert_eq!(self.next().await["result"]["serverInfo"]["name"], "paulina");
        self.send(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        let uri = json!({"uri": "paulina://servers"});
        self.send(json!({"jsonrpc": "2.0", "id": 2, "method": "resources/subscribe", "params": uri})).await;
        assert_eq!(self.next().await["id"], 2);
    }

    /// Waits for this many notifications; returns their methods.
    async fn notifications(&mut self, count: usize) -> Vec<String> {
        let mut notifications = Vec::new();
        while notifications.len() < count {
            notifications.push(self.next().await["method"].as_str().unwrap().to_owned());
        }
        notifications
    }
}

async fn register(registry: &Binary) {
    let registration =
        json!({"id": "new", "name": "new", "transport": "stdio", "command": ["new"], "ttl": 600});
    let answer =
        http_client().post(format!("{}/v1/servers", registry.url)).json(&registration).send().await.unwrap();
    assert_eq!(answer.status(), 201);
}

const CHANGE_NOTIFICATIONS: [&str; 2] =
    ["notifications/resources/list_changed", "notifications/resources/updated"];

#[tokio::test]
async fn changes_right_after_an_acknowledged_subscription_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, proxy, mut mcp) = mcp_behind_proxy(&folder, WATCH_DELAYED).await;
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
    proxy.fault.send_replace(Fault::None);
    assert_eq!(mcp.notifications(2).await, CHANGE_NOTIFICATIONS);
}

#[tokio::test]
async fn changes_right_after_initialize_and_subscribe_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, proxy, mut mcp) = mcp_behind_proxy(&folder, WATCH_DELAYED).await;
    mcp.initialize_and_subscribe().await;
    register(&registry).await;
    proxy.fault.send_replace(Fault::None);
    assert_eq!(mcp.notifications(2).await, CHANGE_NOTIFICATIONS);
}

#[tokio::test]
async fn notifications_continue_after_a_proxy_returned_502() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, proxy, mut mcp) = mcp_behind_proxy(&folder, Fault::BadGateway("GET /v1/")).await;
    mcp.initialize_and_subscribe().await;
    proxy.fault.send_replace(Fault::None);
    assert_eq!(
        mcp.notifications(2).await,
        CHANGE_NOTIFICATIONS,
        "after an interruption, everything may have changed"
    );
    register(&registry).await;
    assert_eq!(mcp.notifications(2).await, CHANGE_NOTIFICATIONS);
}
