//! A whole server: the API, and what a server needs that others can reach.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use axum_server::Handle;
use tower::make::Shared;

use super::access::Hosts;
use super::front::Front;
use super::{App, BodyLimits};
use crate::registry::Registry;

/// What a server takes from its clients.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The bytes of a body; more is `payload_too_large`.
    pub body_bytes: usize,
    /// How long a body may take to arrive; longer is `request_timeout`.
    pub body_time: Duration,
    /// How long the header of a request may take to arrive, and how long a connection may idle before the next one; then
    /// the connection is closed.
    pub header_time: Duration,
    /// How long a request may take in all; longer is `overloaded`.
    pub request_time: Duration,
}

impl Default for Limits {
    /// 4 MiB; 10 s, 30 s, 30 s.
    fn default() -> Self {
        Self {
            body_bytes: BodyLimits::default().bytes,
            body_time: BodyLimits::default().time,
            header_time: Duration::from_secs(30),
            request_time: Duration::from_secs(30),
        }
    }
}

/// A server on its way up: what it serves, and under which names.
#[derive(Debug)]
pub struct Server {
    app: App,
    limits: Limits,
    allowed_hosts: Vec<String>,
}

impl Server {
    /// Serves a registry.
    #[must_use]
    pub fn new(registry: Registry, limits: Limits) -> Self {
        let body = BodyLimits { bytes: limits.body_bytes, time: limits.body_time };
        Self { app: App::new(registry, body), limits, allowed_hosts: Vec::new() }
    }

    /// The names beside loopback and the listen address that a `Host` may say.
    #[must_use]
    pub fn allowed_hosts(mut self, hosts: Vec<String>) -> Self {
        self.allowed_hosts = hosts;
        self
    }

    /// Serves until `stop` is done; then takes no new connection, lets running requests finish for up to `grace`, and
    /// returns. The registry stays open.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn run(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send + 'static,
        grace: Duration,
    ) -> io::Result<()> {
        let address = listener.local_addr()?;
        let app = self.app.clone();
        let hosts = Hosts::new(address, &self.allowed_hosts);
        let front = Front::new(self.app.router(), hosts, self.limits.request_time);
        let handle: Handle<SocketAddr> = Handle::new();
        let stopper = handle.clone();
        tokio::spawn(async move {
            stop.await;
            app.stop();
            stopper.graceful_shutdown(Some(grace));
        });
        let mut server = axum_server::from_tcp(listener)?.handle(handle).http1_only();
        server.http_builder().http1().header_read_timeout(self.limits.header_time);
        server.serve(Shared::new(front)).await
    }
}
