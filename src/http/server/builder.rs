//! A whole server: the API, and what a server needs that others can reach.

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
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::connections::{Connection, Connections, SWEEP, Tracked, Upload};
use super::limits::Limits;
use super::listener::{Handshake, Listener};
use super::tracked_io::Watched;
use crate::clock::{Clock, SystemClock};
use crate::http::mcp_service::Mounted;
use crate::http::metrics::Metrics;
use crate::http::official_registry::NAMESPACE;
use crate::http::pipeline::admission::Load;
use crate::http::pipeline::auth::{Gate, Policy};
use crate::http::pipeline::host_check::Hosts;
use crate::http::pipeline::service::Front;
use crate::http::promoter::Promoter;
use crate::http::response::is_stream;
use crate::http::router::routes_of;
use crate::http::state::App;
use crate::registry::Registry;

/// A server on its way up: what it serves, and to whom.
#[derive(Debug)]
pub struct Server {
    registry: Registry,
    limits: Limits,
    allowed_hosts: Vec<String>,
    allowed_origins: Vec<String>,
    policy: Policy,
    promoter: Option<Promoter>,
    mounted: Option<Mounted>,
    namespace: String,
}

/// What one connection's buffers may grow to, and so the most that the header of a request may take.
const BUFFER: usize = 64 * 1024;

impl Server {
    /// Serves a registry.
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
            mounted: None,
            namespace: NAMESPACE.to_owned(),
        }
    }

    /// The names beside loopback and the listen address that a `Host` may say.
    #[must_use]
    pub fn allowed_hosts(mut self, hosts: Vec<String>) -> Self {
        self.allowed_hosts = hosts;
        self
    }

    /// The origins beside the registry's own whose pages may ask, like `https://app.example`. They alone get CORS headers.
    #[must_use]
    pub fn allowed_origins(mut self, origins: Vec<String>) -> Self {
        self.allowed_origins = origins;
        self
    }

    /// Whether reading needs no token although there are some.
    #[must_use]
    pub fn anonymous_read(mut self, allowed: bool) -> Self {
        self.policy.anonymous_read = allowed;
        self
    }

    /// Whether nobody is let in while there is no token, instead of everybody.
    #[must_use]
    pub fn tokens_required(mut self, required: bool) -> Self {
        self.policy.closed = required;
        self
    }

    /// Whether everybody may read the API of the official MCP registry (`/v0.1`), without a token and from any web page.
    #[must_use]
    pub fn public_catalogue(mut self, public: bool) -> Self {
        self.policy.public_catalogue = public;
        self
    }

    /// The namespace of names that have none, in the API of the official MCP registry; `local` if not set. Of
    /// `[a-zA-Z0-9.-]`, up to 100 characters.
    #[must_use]
    pub fn catalogue_namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// How a [standby](crate::Standby) is promoted when `POST /v1/promote` asks for it; the flag says whether although there
    /// is another primary. An error is told to who asked.
    #[must_use]
    pub fn promoted_by<F>(mut self, promote: impl Fn(bool) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.promoter = Some(Promoter::new(promote));
        self
    }

    /// Serves somebody else's answers at a path, behind the same checks and limits: whoever may read with GET may ask there.
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
        self.mounted = Some(Mounted::new(path, service));
        self
    }

    /// Serves until `stop` is done; then takes no new connection, lets running requests finish for up to `grace`, and
    /// returns. The registry stays open.
    ///
    /// # Errors
    /// When an allowed origin is none.
    pub async fn run(
        self,
        listener: Listener,
        stop: impl Future<Output = ()> + Send + 'static,
        grace: Duration,
    ) -> io::Result<()> {
        let metrics = Metrics::with(self.registry.clone());
        let load = Load::new(self.limits, metrics.clone());
        let app =
            App::with(self.registry.clone(), load, self.policy, self.promoter, self.mounted, &self.namespace);
        let hosts = Hosts::new(&listener, &self.allowed_hosts, &self.allowed_origins);
        let gate = Gate::new(self.registry, self.policy);
        let public = self.policy.public_catalogue;
        let front = Front::new(
            routes_of(app.clone()),
            app.load().clone(),
            hosts,
            gate,
            &self.allowed_origins,
            public,
        )?;
        let connections = Connections::new(self.limits, metrics);
        let (stopping, stopped) = watch::channel(false);
        let mut running = JoinSet::new();
        let mut stop = std::pin::pin!(stop);
        let clock = SystemClock::new();
        let mut sweep = clock.monotonic();
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                () = clock.sleep_until(sweep) => {
                    sweep = clock.monotonic() + SWEEP;
                    connections.sweep(clock.monotonic());
                    while running.try_join_next().is_some() {}
                }
                accepted = listener.accept() => match accepted {
                    Ok(handshake) => {
                        if let Some(connection) = connections.add() {
                            running.spawn(serve(handshake, connection, front.clone(), stopped.clone()));
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot take a connection");
                        clock.sleep_until(clock.monotonic() + ACCEPT_AGAIN).await;
                    }
                }
            }
        }
        drop(listener);
        app.stop();
        stopping.send_replace(true);
        let deadline = clock.monotonic() + grace;
        loop {
            tokio::select! {
                ended = running.join_next() => if ended.is_none() { break },
                () = clock.sleep_until(sweep.min(deadline)) => {
                    sweep = clock.monotonic() + SWEEP;
                    connections.sweep(clock.monotonic());
                    if clock.monotonic() >= deadline {
                        connections.clear();
                        break;
                    }
                }
            }
        }
        Ok(())
    }
}

/// How long to wait when the system has no more connections to give.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// Serves one connection until it ends or is cut off.
async fn serve(
    handshake: Handshake,
    connection: Connection,
    front: Front,
    mut stopped: watch::Receiver<bool>,
) {
    let peer = Arc::clone(&connection.peer);
    let serving = async {
        // Agreeing on TLS may take as long as a header. Who cannot is told so by TLS.
        peer.received();
        let Ok(stream) = handshake.await else { return };
        peer.waits();
        let stream = TokioIo::new(Watched::new(stream, Arc::clone(&peer)));
        let answering = Answering { front, connection: &connection };
        let mut http = http1::Builder::new();
        http.half_close(true).max_buf_size(BUFFER).header_read_timeout(None);
        let mut http = std::pin::pin!(http.serve_connection(stream, answering));
        tokio::select! {
            _ = &mut http => return,
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
        http.as_mut().graceful_shutdown();
        // An error of one connection is its client's to see.
        let _ = http.await;
    };
    tokio::select! {
        biased;
        () = peer.end() => {}
        () = serving => {}
    }
}

/// What a connection does with a request.
struct Answering<'a> {
    front: Front,
    connection: &'a Connection,
}

impl Service<Request<Incoming>> for Answering<'_> {
    type Response = Response<Tracked>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Tracked>, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let peer = &self.connection.peer;
        let whole = request.body().is_end_stream();
        let busy = peer.busy(whole);
        let body = |body| if whole { Body::empty() } else { Body::new(Upload::new(body, Arc::clone(peer))) };
        let answering = self.front.clone().answer(request.map(body));
        Box::pin(async move {
            let response = answering.await;
            if is_stream(&response) {
                busy.begins_to_watch();
            }
            Ok(response.map(|body| Tracked::new(body, busy)))
        })
    }
}
