//! Servers in separate processes: the registry, and a bare axum server with responses of any size.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::{Path as Segment, State};
use axum::http::header::CONTENT_TYPE;
use axum::routing::any;

use crate::load::{Connection, request};

/// A server process, which is killed when dropped.
pub struct Process {
    child: Child,
    pub address: SocketAddr,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}

impl Process {
    /// Starts `paulina serve` with default options.
    pub async fn paulina(database: &Path, arguments: &[&str]) -> Self {
        let address = free_address();
        let mut command = Command::new(env!("CARGO_BIN_EXE_paulina"));
        command.args(["serve", "--listen", &address.to_string(), "--database"]).arg(database).args(arguments);
        Self::start(command, address, "/readyz").await
    }

    /// Starts a bare axum server, whose `/bytes/N` returns a constant of N bytes.
    pub async fn bare() -> Self {
        let address = free_address();
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--bare", &address.to_string()]);
        Self::start(command, address, "/bytes/1").await
    }

    async fn start(mut command: Command, address: SocketAddr, ready: &str) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let process = Self { child: child.expect("the program starts"), address };
        let start = Instant::now();
        while tokio::net::TcpStream::connect(address).await.is_err() {
            assert!(start.elapsed() < Duration::from_secs(30), "the server does not listen");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut connection = Connection::open(address).await;
        let (status, _) = connection.send(&request("GET", ready, "")).await;
        assert_eq!(status, 200);
        process
    }

    /// Returns the resident memory in MiB.
    pub fn resident(&self) -> f64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        kib.unwrap_or(f64::NAN) / 1_024.0
    }
}

/// Runs the bare axum server until the process is killed.
pub async fn serve_bare(address: SocketAddr) {
    async fn constant(
        State(body): State<Bytes>,
        Segment(length): Segment<usize>,
    ) -> impl axum::response::IntoResponse {
        ([(CONTENT_TYPE, "application/json")], body.slice(..length))
    }
    let body = Bytes::from(vec![b'x'; 1 << 20]);
    let app = axum::Router::new().route("/bytes/{length}", any(constant)).with_state(body);
    let listener = tokio::net::TcpListener::bind(address).await.expect("the port is free");
    axum::serve(listener, app).await.expect("it serves");
}
