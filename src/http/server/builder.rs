//! A complete server: configuration, accept loop, graceful shutdown.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::connections::{Connection, Connections, SWEEP_INTERVAL, TrackedRequestBody, TrackedResponseBody};
use super::limits::Limits;
use super::listener::{Handshake, Listener};
use super::tracked_io::TrackedIo;
use crate::clock::{Clock, SystemClock};
use crate::http::mcp_service::McpService;
use crate::http::metrics::Metrics;
use crate::http::official_registry::NAMESPACE;
use crate::http::pipeline::admission::AdmissionControl;
use crate::http::pipeline::auth::{Authenticator, Policy};
use crate::http::pipeline::host_check::HostPolicy;
use crate::http::pipeline::service::Pipeline;
use crate::http::promoter::Promoter;
use crate::http::response::is_stream;
use crate::http::router::all_routes;
use crate::http::state::{App, AppParts};
use crate::registry::Registry;

/// An HTTP server for a registry, and its configuration.
#[derive(Debug)]
pub struct HttpServer {
    registry: Registry,
    limits: Limits,
    allowed_hosts: Vec<String>,
    allowed_origins: Vec<String>,
    policy: Policy,
    promoter: Option<Promoter>,
    mcp_service: Option<McpService>,
    namespace: String,
}

/// The largest size of a connection's buffer, and so of a request header.
const MAX_BUFFER_SIZE: usize = 64 * 1024;

impl HttpServer {
    /// Returns a server for a registry, with default settings.
    #[must_use]
    pub fn new(registry: Registry, limits: Limits) -> Self {
        let (allowed_hosts, allowed_origins) = (Vec::new(), Vec::new());
        Self {
            registry,
            limits,
            allowed_hosts,
            allowed_origins,
            policy: Policy::default(),
            promoter: None,
            mcp_service: None,
            namespace: NAMESPACE.to_owned(),
        }
    }

    /// Sets the hosts that requests may name, in addition to loopback and the listen address.
    #[must_use]
    pub fn allowed_hosts(mut self, hosts: Vec<String>) -> Self {
        self.allowed_hosts = hosts;
        self
    }

    /// Sets the origins whose web pages may send requests, in addition to the registry's own, such as `https://app.example`.
    /// Only they get CORS headers.
    #[must_use]
    pub fn allowed_origins(mut self, origins: Vec<String>) -> Self {
        self.allowed_origins = origins;
        self
    }

    /// Sets whether reads need no token even if tokens exist.
    #[must_use]
    pub fn anonymous_read(mut self, allowed: bool) -> Self {
        self.policy.anonymous_read = allowed;
        self
    }

    /// Sets whether requests are rejected while there is no token, instead of accepted.
    #[must_use]
    pub fn require_token(mut self, required: bool) -> Self {
        self.policy.require_token = required;
        self
    }

    /// Sets whether the API of the official MCP registry (`/v0.1`) is readable without a token and from any web page.
    #[must_use]
    pub fn public_catalog(mut self, public: bool) -> Self {
        self.policy.public_catalog = public;
        self
    }

    /// Sets the namespace of names without one, in the API of the official MCP registry: up to 100 characters of
    /// `[a-zA-Z0-9.-]`; default `local`.
    #[must_use]
    pub fn catalog_namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Sets the handler for `POST /v1/promote`, which promotes a [standby](crate::Standby). Its argument is `true` if promotion
    /// is forced although the peer is primary. An error is returned to the client.
    #[must_use]
    pub fn on_promote<F>(mut self, promote: impl Fn(bool) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.promoter = Some(Promoter::new(promote));
        self
    }

    /// Mounts an external service at a path, behind the same checks and limits. Every request to it needs permission to read.
    #[must_use]
    pub fn mount<S>(mut self, path: &'static str, service: S) -> Self
    where
        S: tower::Service<axum::extract::Request, Response = axum::response::Response, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send,
    {
        self.mcp_service = Some(McpService::new(path, service));
        self
    }

    /// Serves until `stop` completes; then accepts no new connection, waits up to `grace` for running requests, and returns.
    /// The registry stays open.
    ///
    /// # Errors
    /// If an allowed origin is not valid.
    pub async fn run(
        self,
        listener: Listener,
        stop: impl Future<Output = ()> + Send + 'static,
        grace: Duration,
    ) -> io::Result<()> {
        let (app, pipeline) = self.assemble(&listener)?;
        let limits = *app.admission().limits();
        let connections = Connections::new(limits, app.admission().metrics().clone());
        let mut accept_loop = AcceptLoop::new(pipeline, connections);
        accept_loop.accept_until(stop, &listener).await;
        drop(listener);
        app.stop();
        accept_loop.drain(grace).await;
        Ok(())
    }

    fn assemble(self, listener: &Listener) -> io::Result<(App, Pipeline)> {
        let metrics = Metrics::with_registry(self.registry.clone());
        let host_policy = HostPolicy::new(listener, &self.allowed_hosts, &self.allowed_origins);
        let authenticator = Authenticator::new(self.registry.clone(), self.policy);
        let app = App::new(AppParts {
            registry: self.registry,
            admission: AdmissionControl::new(self.limits, metrics),
            policy: self.policy,
            promoter: self.promoter,
            mcp_service: self.mcp_service,
            namespace: self.namespace,
        });
        let pipeline = Pipeline::new(
            all_routes(app.clone()),
            app.admission().clone(),
            host_policy,
            authenticator,
            &self.allowed_origins,
            self.policy.public_catalog,
        )?;
        Ok((app, pipeline))
    }
}

/// How long to wait after a failed accept, such as when the process has no file descriptors left.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);

/// Accepts connections, and waits for them to end.
struct AcceptLoop {
    pipeline: Pipeline,
    connections: Arc<Connections>,
    tasks: JoinSet<()>,
    stopping: CancellationToken,
    clock: SystemClock,
    next_sweep: Duration,
}

impl AcceptLoop {
    fn new(pipeline: Pipeline, connections: Arc<Connections>) -> Self {
        let clock = SystemClock::new();
        let next_sweep = clock.monotonic();
        let stopping = CancellationToken::new();
        Self { pipeline, connections, tasks: JoinSet::new(), stopping, clock, next_sweep }
    }

    async fn accept_until(&mut self, stop: impl Future<Output = ()> + Send, listener: &Listener) {
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                () = self.clock.sleep_until(self.next_sweep) => {
                    self.sweep();
                    while self.tasks.try_join_next().is_some() {}
                }
                accepted = listener.accept() => match accepted {
                    Ok(handshake) => self.spawn(handshake),
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        self.clock.sleep_until(self.clock.monotonic() + ACCEPT_RETRY_DELAY).await;
                    }
                }
            }
        }
    }

    fn spawn(&mut self, handshake: Handshake) {
        if let Some(connection) = self.connections.add() {
            let (pipeline, stopping) = (self.pipeline.clone(), self.stopping.clone());
            self.tasks.spawn(serve_connection(handshake, connection, pipeline, stopping));
        }
    }

    fn sweep(&mut self) {
        let now = self.clock.monotonic();
        self.connections.sweep(now);
        self.next_sweep = now + SWEEP_INTERVAL;
    }

    /// Lets requests in flight finish until the grace period ends, then closes all connections.
    async fn drain(&mut self, grace: Duration) {
        self.stopping.cancel();
        let deadline = self.clock.monotonic() + grace;
        loop {
            tokio::select! {
                ended = self.tasks.join_next() => if ended.is_none() { break },
                () = self.clock.sleep_until(self.next_sweep.min(deadline)) => {
                    self.sweep();
                    if self.clock.monotonic() >= deadline {
                        self.connections.close_all();
                        break;
                    }
                }
            }
        }
    }
}

/// Serves one connection until it ends or is closed.
async fn serve_connection(
    handshake: Handshake,
    connection: Connection,
    pipeline: Pipeline,
    stopping: CancellationToken,
) {
    let state = Arc::clone(&connection.state);
    let serving = async {
        // The TLS handshake may take as long as a header. TLS itself reports a failure to the client.
        state.record_read();
        let Ok(stream) = handshake.await else { return };
        state.set_idle();
        let stream = TokioIo::new(TrackedIo::new(stream, Arc::clone(&state)));
        let service = ConnectionService { pipeline, connection: &connection };
        let mut http = http1::Builder::new();
        http.half_close(true).max_buf_size(MAX_BUFFER_SIZE).header_read_timeout(None);
        let mut http = std::pin::pin!(http.serve_connection(stream, service));
        tokio::select! {
            _ = &mut http => return,
            () = stopping.cancelled() => {}
        }
        http.as_mut().graceful_shutdown();
        // Errors of one connection concern only its client.
        let _ = http.await;
    };
    tokio::select! {
        biased;
        () = state.close_requested() => {}
        () = serving => {}
    }
}

/// Handles the requests of one connection.
struct ConnectionService<'a> {
    pipeline: Pipeline,
    connection: &'a Connection,
}

impl Service<Request<Incoming>> for ConnectionService<'_> {
    type Response = Response<TrackedResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<TrackedResponseBody>, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let state = &self.connection.state;
        let is_complete = request.body().is_end_stream();
        let guard = state.begin_request(is_complete);
        let body = |body| {
            if is_complete {
                Body::empty()
            } else {
                Body::new(TrackedRequestBody::new(body, Arc::clone(state)))
            }
        };
        let handling = self.pipeline.clone().handle(request.map(body));
        Box::pin(async move {
            let response = handling.await;
            if is_stream(&response) {
                guard.begin_streaming();
            }
            Ok(response.map(|body| TrackedResponseBody::new(body, guard)))
        })
    }
}
