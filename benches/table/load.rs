//! A load generator with keep-alive connections, each with one request in flight.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The measurements of a round.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// Responses per second.
    pub rate: f64,
    /// Latencies in microseconds, sorted.
    pub latencies: Vec<u32>,
    /// The mean size of a response body in bytes.
    pub bytes: usize,
}

impl Sample {
    pub fn percentile(&self, percent: usize) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies.get(last * percent / 100).copied().map_or(0.0, f64::from)
    }
}

/// Creates the bytes of a request from its number.
pub type Requests = Arc<dyn Fn(usize) -> Vec<u8> + Send + Sync>;

pub fn request(method: &str, path: &str, body: &str) -> Vec<u8> {
    let head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
    if body.is_empty() && method == "GET" {
        return format!("{head}\r\n").into_bytes();
    }
    let length = body.len();
    format!("{head}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}

pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the server listens");
        stream.set_nodelay(true).expect("a socket");
        Self { stream, buffer: Vec::with_capacity(256 * 1024) }
    }

    /// Sends a request and returns the status and body of the response.
    pub async fn send(&mut self, request: &[u8]) -> (u16, &[u8]) {
        self.stream.write_all(request).await.expect("the connection stays open");
        self.buffer.clear();
        let mut head = None;
        loop {
            if head.is_none() {
                head = read_head(&self.buffer);
            }
            if let Some((status, start, length)) = head
                && self.buffer.len() >= start + length
            {
                return (status, &self.buffer[start..start + length]);
            }
            let read = self.stream.read_buf(&mut self.buffer).await.expect("the connection stays open");
            assert!(read > 0, "the server has closed the connection");
        }
    }
}

fn read_head(bytes: &[u8]) -> Option<(u16, usize, usize)> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).expect("a head in ASCII");
    let status = head.get(9..12)?.parse().ok()?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    Some((status, end + 4, length.map_or(0, |length| length.parse().expect("a length"))))
}

/// Sends requests over this number of connections for some time. Every response has to be successful.
pub async fn run(address: SocketAddr, connections: usize, time: Duration, requests: &Requests) -> Sample {
    let start = Instant::now();
    let end = start + time;
    let tasks: Vec<_> = (0..connections)
        .map(|number| {
            let requests = Arc::clone(requests);
            tokio::spawn(async move {
                let mut connection = Connection::open(address).await;
                let mut latencies = Vec::with_capacity(100_000);
                let mut bytes = 0;
                let mut index = number;
                while Instant::now() < end {
                    let request = requests(index);
                    index += connections;
                    let sent = Instant::now();
                    let (status, body) = connection.send(&request).await;
                    assert!((200..300).contains(&status), "{status}: {}", String::from_utf8_lossy(body));
                    bytes += body.len();
                    latencies.push(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX));
                }
                (latencies, bytes)
            })
        })
        .collect();
    let mut sample = Sample::default();
    for task in tasks {
        let (latencies, bytes) = task.await.expect("no task fails");
        sample.latencies.extend(latencies);
        sample.bytes += bytes;
    }
    sample.bytes /= sample.latencies.len().max(1);
    sample.rate = sample.latencies.len() as f64 / start.elapsed().as_secs_f64();
    sample.latencies.sort_unstable();
    sample
}

/// Sends `count` requests over this number of connections and returns the total time.
pub async fn send(
    address: SocketAddr,
    connections: usize,
    count: usize,
    requests: &Requests,
) -> (Duration, Sample) {
    let start = Instant::now();
    let tasks: Vec<_> = (0..connections)
        .map(|number| {
            let requests = Arc::clone(requests);
            tokio::spawn(async move {
                let mut connection = Connection::open(address).await;
                let mut latencies = Vec::new();
                for index in (number..count).step_by(connections) {
                    let request = requests(index);
                    let sent = Instant::now();
                    let (status, body) = connection.send(&request).await;
                    assert!((200..300).contains(&status), "{status}: {}", String::from_utf8_lossy(body));
                    latencies.push(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX));
                }
                latencies
            })
        })
        .collect();
    let mut sample = Sample::default();
    for task in tasks {
        sample.latencies.extend(task.await.expect("no task fails"));
    }
    let time = start.elapsed();
    sample.rate = count as f64 / time.as_secs_f64();
    sample.latencies.sort_unstable();
    (time, sample)
}
