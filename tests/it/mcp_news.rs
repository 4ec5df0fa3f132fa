//! What changes right after a client of `paulina mcp` was promised to be told of it, while the registry is slow to be watched.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::watch;

use crate::support::binary::Binary;
use crate::support::http_client;

/// Stands before a registry and lets all questions through at once, but those to watch only once it is opened.
async fn gate(registry: &Binary) -> (String, watch::Sender<bool>) {
    let upstream = registry.url.strip_prefix("http://").unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (open, opened) = watch::channel(false);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(passed_on(client, upstream.clone(), opened.clone()));
        }
    });
    (url, open)
}

async fn passed_on(client: TcpStream, upstream: String, mut opened: watch::Receiver<bool>) {
    let (mut questions, mut answered) = client.into_split();
    let (mut answers, mut asked) = TcpStream::connect(upstream).await.unwrap().into_split();
    tokio::spawn(async move { tokio::io::copy(&mut answers, &mut answered).await });
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = questions.read(&mut buffer).await {
        if buffer[..count].starts_with(b"GET /v1/watch") {
            opened.wait_for(|opened| *opened).await.unwrap();
        }
        asked.write_all(&buffer[..count]).await.unwrap();
    }
}

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
    let registry = Binary::start(&folder.path().join("paulina.db"));
    let (url, open) = gate(&registry).await;
    let mut mcp = Mcp::of(&url);
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
    open.send_replace(true);
    assert_eq!(mcp.told(2).await, CHANGED);
}

#[tokio::test]
async fn what_follows_a_greeting_at_once_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Binary::start(&folder.path().join("paulina.db"));
    let (url, open) = gate(&registry).await;
    let mut mcp = Mcp::of(&url);
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}});
    mcp.send(json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params})).await;
    assert_eq!(mcp.next().await["result"]["serverInfo"]["name"], "paulina");
    mcp.send(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
    let uri = json!({"uri": "paulina://servers"});
    mcp.send(json!({"jsonrpc": "2.0", "id": 2, "method": "resources/subscribe", "params": uri})).await;
    assert_eq!(mcp.next().await["id"], 2);
    register(&registry).await;
    open.send_replace(true);
    assert_eq!(mcp.told(2).await, CHANGED);
}
