//! What a server takes from its clients.

use std::time::Duration;

/// What a server takes from its clients. Whoever is over a limit is told so, or cut off where there is nobody to tell.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once. When one more comes, one that has never sent a whole request is closed, or else the one that
    /// has been waiting longest for its next one.
    pub connections: usize,
    /// Requests handled at once; more are `overloaded`. Refreshes have as many places of their own: a registry that
    /// turned heartbeats away would expire the living.
    pub requests: usize,
    /// Watchers at once; more are `overloaded`.
    pub watchers: usize,
    /// The bytes of a body; more is `payload_too_large`.
    pub body_bytes: usize,
    /// The bytes of all bodies and large answers in memory at once; more is `overloaded`.
    pub memory_bytes: usize,
    /// How long the header of a request may take to arrive; then the connection is closed.
    pub header_time: Duration,
    /// How long a body may take to arrive; longer is `request_timeout`.
    pub body_time: Duration,
    /// How long a request may take in all; longer is `overloaded`.
    pub request_time: Duration,
    /// How long a client may take nothing of an answer; then the connection is closed.
    pub write_time: Duration,
    /// How long a connection may wait for its next request; then it is closed.
    pub idle_time: Duration,
}

impl Limits {
    /// 10,000 connections, 1,024 requests and 4,096 watchers; bodies of 4 MiB, 128 MiB together; 10 s for a header and for a body, 30 s
    /// for a request and for a client that takes nothing, 90 s idle.
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
