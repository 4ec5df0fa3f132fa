//! Limits on clients, and shutdown.

use std::time::Duration;

use paulina::Registry;
use paulina::http::Limits;
use reqwest::Method;
use serde_json::json;
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::Api;
use crate::support::binary::Binary;

const SHORT_TIMEOUT: Duration = Duration::from_millis(200);

/// Sends the start of a request, and reads until the server closes the connection.
async fn send_and_read_to_end(api: &Api, start_of_request: &str) -> String {
    let mut stream = TcpStream::connect(api.address).await.unwrap();
    stream.write_all(start_of_request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn incomplete_headers_and_idle_connections_are_closed() {
    let api =
        Api::with(Limits { header_time: SHORT_TIMEOUT, idle_time: SHORT_TIMEOUT, ..Limits::default() }, &[])
            .await;
    assert_eq!(send_and_read_to_end(&api, "").await, "");
    assert_eq!(send_and_read_to_end(&api, "GET /healthz HTTP/1.1\r\nhost: local").await, "");
    let idle = format!("GET /healthz HTTP/1.1\r\nhost: {}\r\n\r\n", api.address);
    assert!(
        send_and_read_to_end(&api, &idle).await.starts_with("HTTP/1.1 200"),
        "an idle connection is closed after its response"
    );
}

#[tokio::test]
async fn an_incomplete_body_gets_408() {
    let api = Api::with(Limits { body_time: SHORT_TIMEOUT, ..Limits::default() }, &[]).await;
    let slow = format!(
        "POST /v1/servers HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{{",
        api.address
    );
    let answer = send_and_read_to_end(&api, &slow).await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("request_timeout"), "{answer}");
}

#[tokio::test]
async fn slow_bodies_do_not_lock_out_other_clients() {
    let api = Api::with(Limits { connections: 2, ..Limits::default() }, &[]).await;
    let start_of_request = format!(
        "POST /v1/servers HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{{",
        api.address
    );
    let mut slow_clients = Vec::new();
    for _ in 0..5 {
        let mut stream = TcpStream::connect(api.address).await.unwrap();
        stream.write_all(start_of_request.as_bytes()).await.unwrap();
        slow_clients.push(stream);
    }
    assert_eq!(api.get("/healthz").await.status, 200);
    assert_eq!(slow_clients[0].read(&mut [0]).await.unwrap_or(0), 0, "the oldest connection was closed");
}

#[tokio::test]
async fn a_request_that_takes_too_long_gets_503() {
    let api = Api::with(Limits { request_time: Duration::ZERO, ..Limits::default() }, &[]).await;
    // Another connection holds the write lock, so that the request cannot finish in time.
    let options = SqliteConnectOptions::new().filename(api.database());
    let mut other = options.connect().await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let body = json!({"name": "n", "transport": "stdio", "command": ["x"]});
    let answer = api.post("/v1/servers", &body).await;
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "overloaded"));
    assert_eq!(answer.header("retry-after"), "1");
}

#[tokio::test]
async fn the_body_limit_is_configurable() {
    let api = Api::with(Limits { body_bytes: 10, ..Limits::default() }, &[]).await;
    let body = json!({"name": "n", "transport": "stdio", "command": ["x"]});
    assert_eq!(api.post("/v1/servers", &body).await.code(), "payload_too_large");
}

#[tokio::test]
async fn a_closed_registry_is_not_ready() {
    let api = Api::new().await;
    assert_eq!(api.get("/readyz").await.status, 200);
    assert_eq!(api.get("/healthz").await.json(), json!({"status": "ok"}));
    api.registry.close().await;
    assert_eq!(api.get("/readyz").await.code(), "overloaded");
    assert_eq!(api.get("/v1/servers").await.code(), "overloaded");
    assert_eq!(api.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_stopping_server_finishes_running_requests_and_accepts_no_new_ones() {
    let mut api = Api::new().await;
    let body = json!({"id": "late", "name": "n", "transport": "stdio", "command": ["x"]}).to_string();
    let head = format!(
        "POST /v1/servers HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        api.address,
        body.len()
    );
    let mut running = TcpStream::connect(api.address).await.unwrap();
    running.write_all(head.as_bytes()).await.unwrap();
    // A response on another connection proves that the first one was accepted.
    assert_eq!(api.get("/healthz").await.status, 200);
    api.stop();
    while TcpStream::connect(api.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    running.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    running.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert!(api.registry.get("late").await.unwrap().is_some());
}

#[tokio::test]
async fn sigterm_and_sigint_shut_down_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("paulina.db");
    let client = crate::support::http_client();
    for (number, signal) in ["-TERM", "-INT"].into_iter().enumerate() {
        let binary = Binary::start(&path);
        let body = json!({"id": format!("s{number}"), "name": "n", "transport": "stdio", "command": ["x"]});
        let request = client.request(Method::POST, format!("{}/v1/servers", binary.url)).json(&body);
        assert_eq!(request.send().await.unwrap().status(), 201);
        binary.signal(signal);
        let (status, log) = binary.wait();
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(log.contains("\"registered\"") && log.contains("stopped"), "{log}");
        assert!(!folder.path().join("paulina.db-wal").exists(), "the WAL was checkpointed and removed");
    }
    let registry = Registry::open(&path).await.unwrap();
    assert_eq!(registry.stats().await.unwrap().servers.total, 2);
    registry.close().await;
}

#[tokio::test]
async fn requests_over_a_limit_are_rejected_and_counted() {
    let api = Api::with(Limits { memory_bytes: 60, body_bytes: 200, ..Limits::default() }, &[]).await;
    let body = |padding: usize| json!({"name": "n", "transport": "stdio", "command": ["x"], "description": "x".repeat(padding)});
    for (padding, status, code) in [(1, 503, "overloaded"), (200, 413, "payload_too_large")] {
        let answer = api.post("/v1/servers", &body(padding)).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code));
        assert_eq!(answer.header("retry-after"), if status == 503 { "1" } else { "" });
    }
    api.send(api.request(Method::GET, "/v1/servers").header("host", "evil.example")).await;
    let metrics = api.get("/metrics").await;
    assert!(metrics.header("content-type").starts_with("application/openmetrics-text"), "{metrics:?}");
    for line in [
        "paulina_requests_shed_total{limit=\"memory\"} 1",
        "paulina_request_bodies_rejected_total{reason=\"size\"} 1",
        "paulina_requests_denied_total{code=\"host_not_allowed\"} 1",
        "paulina_in_flight_bytes 0",
        "paulina_requests_in_flight 0",
        "paulina_storage_failing 0",
        "# EOF",
    ] {
        assert!(metrics.text.lines().any(|own| own == line), "{line} in {}", metrics.text);
    }
}

#[tokio::test]
async fn ambiguous_requests_are_rejected_and_close_the_connection() {
    let api = Api::new().await;
    let host = format!("host: {}\r\n", api.address);
    let twice = format!("{host}{host}");
    for (headers, rest) in [
        (format!("{host}transfer-encoding: gzip, chunked\r\n"), "0\r\n\r\n"),
        (format!("{host}transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n"), "0\r\n\r\n"),
        (format!("{host}transfer-encoding: chunked\r\ncontent-length: 5\r\n"), "0\r\n\r\n"),
        (String::new(), ""),
        (twice, ""),
        ("host: evil.example@127.0.0.1\r\n".to_owned(), ""),
    ] {
        let request =
            format!("POST /v1/servers HTTP/1.1\r\ncontent-type: application/json\r\n{headers}\r\n{rest}");
        let answer = send_and_read_to_end(&api, &request).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{headers:?}: {answer}");
    }
}
