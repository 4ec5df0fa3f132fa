//! The limits of a server.

use std::time::Duration;

/// The limits of a server. Exceeding a limit gets an error response, or closes the connection if none can be sent.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Open connections. At the limit, a connection that has never completed a request is closed for a new one, or else the
    /// one idle longest.
    pub connections: usize,
    /// Concurrent requests; more are `overloaded`. Refreshes have a separate limit of the same size: a registry that
    /// rejected heartbeats would expire servers that are alive.
    pub requests: usize,
    /// Concurrent watchers; more are `overloaded`.
    pub watchers: usize,
    /// Bytes of a request body; more is `payload_too_large`.
    pub body_bytes: usize,
    /// Bytes of all bodies and large responses in memory; more is `overloaded`.
    pub memory_bytes: usize,
    /// Time for the header of a request to arrive; then the connection is closed.
    pub header_time: Duration,
    /// Time for a body to arrive; longer is `request_timeout`.
    pub body_time: Duration,
    /// Time for a whole request; longer is `overloaded`.
    pub request_time: Duration,
    /// Time that a client may read nothing of a response; then the connection is closed.
    pub write_time: Duration,
    /// Time that a connection may be idle between requests; then it is closed.
    pub idle_time: Duration,
}

impl Limits {
    /// 10,000 connections, 1,024 requests and 4,096 watchers; bodies of 4 MiB, 128 MiB together; 10 s for a header and for a
    /// body, 30 s for a request and for a client that reads nothing, 90 s idle.
    pub const DEFAULT: Self = Self {
        connections: 10_000,
        requests: 1_024,
        watchers: 4_096,
        body_bytes: 4 * 1024 * 1024,
        memory_bytes: 128 * 1024 * 1024,
        header_time: Duration::from_secs(10),
        body_time: Duration::from_secs(10),
        request_time: Duration::from_secs(30),
        write_time: Duration::from_secs(30),
        idle_time: Duration::from_secs(90),
    };
}

impl Default for Limits {
    /// [`Limits::DEFAULT`].
    fn default() -> Self {
        Self::DEFAULT
    }
}
