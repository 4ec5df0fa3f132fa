//! Open connections, and which of them to close.
//!
//! A connection is idle, reads a header, reads a body, processes a request, or streams events. A periodic sweep closes those
//! that take too long. At the connection limit, connections that never completed a request are evicted first, then the one
//! idle longest; so a flood of idle or byte-by-byte connections cannot lock out other clients.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use hyper::body::{Body as _, Frame, SizeHint};
use tokio::sync::Notify;

use super::limits::Limits;
use crate::http::metrics::Metrics;
use crate::http::pipeline::body::CHUNK_SIZE;

/// How often overdue connections are closed.
pub(in crate::http) const SWEEP_INTERVAL: Duration = Duration::from_millis(250);

const IDLE: u8 = 0;
const READING_HEADER: u8 = 1;
const READING_BODY: u8 = 2;
const PROCESSING: u8 = 3;
const STREAMING: u8 = 4;

/// The phase of a connection, and what decides when to close it.
#[derive(Debug)]
pub(in crate::http) struct ConnectionState {
    phase: AtomicU8,
    phase_since: AtomicU64,
    /// When the client stopped reading what is written, or 0.
    write_stalled_since: AtomicU64,
    has_completed_request: AtomicBool,
    now: Arc<AtomicU64>,
    close: Notify,
}

impl ConnectionState {
    fn phase(&self) -> u8 {
        self.phase.load(Ordering::Relaxed)
    }

    fn set_phase(&self, phase: u8) {
        self.phase.store(phase, Ordering::Relaxed);
        self.phase_since.store(self.now.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Records that bytes were received.
    pub(in crate::http) fn record_read(&self) {
        if self.phase() == IDLE {
            self.set_phase(READING_HEADER);
        }
    }

    /// Records that the connection waits for its next request.
    pub(in crate::http) fn set_idle(&self) {
        self.set_phase(IDLE);
    }

    /// Records whether the client accepts what is written.
    pub(in crate::http) fn record_write(&self, stalled: bool) {
        if !stalled {
            self.write_stalled_since.store(0, Ordering::Relaxed);
        } else if self.write_stalled_since.load(Ordering::Relaxed) == 0 {
            self.write_stalled_since.store(self.now.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// Begins a request whose header, and perhaps whose body, has arrived. It is in flight until the guard is dropped.
    pub(in crate::http) fn begin_request(self: &Arc<Self>, body_complete: bool) -> RequestGuard {
        self.set_phase(READING_BODY);
        if body_complete {
            self.end_body();
        }
        RequestGuard(Arc::clone(self))
    }

    /// Records that the body has arrived or is no longer read.
    fn end_body(&self) {
        if self.phase() == READING_BODY {
            self.set_phase(PROCESSING);
            self.has_completed_request.store(true, Ordering::Relaxed);
        }
    }

    /// Records that the response is an event stream.
    pub(in crate::http) fn begin_streaming(&self) {
        self.set_phase(STREAMING);
    }

    /// Whether the response is an event stream.
    pub(in crate::http) fn is_streaming(&self) -> bool {
        self.phase() == STREAMING
    }

    /// Requests that the connection is closed.
    pub(in crate::http) fn request_close(&self) {
        self.close.notify_one();
    }

    /// Waits until the connection is to be closed.
    pub(in crate::http) async fn close_requested(&self) {
        self.close.notified().await;
    }

    /// The time limit that the connection has exceeded, as a label of the metric.
    fn exceeded_limit(&self, now: u64, limits: &Limits) -> Option<&'static str> {
        let over = |since: u64, limit: Duration| u128::from(now.saturating_sub(since)) >= limit.as_millis();
        let stalled = self.write_stalled_since.load(Ordering::Relaxed);
        if stalled != 0 && over(stalled, limits.write_time) {
            return Some("write");
        }
        let since = self.phase_since.load(Ordering::Relaxed);
        match self.phase() {
            IDLE if over(since, limits.idle_time) => Some("idle"),
            READING_HEADER if over(since, limits.header_time) => Some("header"),
            _ => None,
        }
    }
}

/// A request in flight.
#[derive(Debug)]
pub(in crate::http) struct RequestGuard(Arc<ConnectionState>);

impl RequestGuard {
    /// See [`ConnectionState::begin_streaming`].
    pub(in crate::http) fn begin_streaming(&self) {
        self.0.begin_streaming();
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.0.set_idle();
    }
}

/// The open connections of a server.
#[derive(Debug)]
pub(in crate::http) struct Connections {
    states: Mutex<HashMap<u64, Arc<ConnectionState>>>,
    next_id: AtomicU64,
    now: Arc<AtomicU64>,
    limits: Limits,
    metrics: Metrics,
}

impl Connections {
    pub(in crate::http) fn new(limits: Limits, metrics: Metrics) -> Arc<Self> {
        Arc::new(Self {
            states: Mutex::default(),
            next_id: AtomicU64::new(0),
            now: Arc::new(AtomicU64::new(1)),
            limits,
            metrics,
        })
    }

    fn states(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<ConnectionState>>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a connection, evicting an idle or sending one at the limit. Returns `None` if all are processing requests.
    pub(in crate::http) fn add(self: &Arc<Self>) -> Option<Connection> {
        let mut states = self.states();
        if states.len() >= self.limits.connections {
            let evictable = |(_, state): &(&u64, &Arc<ConnectionState>)| state.phase() < PROCESSING;
            let rank = |(id, state): &(&u64, &Arc<ConnectionState>)| {
                (
                    state.has_completed_request.load(Ordering::Relaxed),
                    state.phase_since.load(Ordering::Relaxed),
                    **id,
                )
            };
            let evicted = states.iter().filter(evictable).min_by_key(rank).map(|(id, _)| *id);
            self.metrics.connection_closed("limit");
            states.remove(&evicted?)?.request_close();
        }
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let state = Arc::new(ConnectionState {
            phase: AtomicU8::new(IDLE),
            phase_since: AtomicU64::new(self.now.load(Ordering::Relaxed)),
            write_stalled_since: AtomicU64::new(0),
            has_completed_request: AtomicBool::new(false),
            now: Arc::clone(&self.now),
            close: Notify::new(),
        });
        states.insert(id, Arc::clone(&state));
        drop(states);
        self.metrics.connection_opened();
        Some(Connection { state, id, connections: Arc::clone(self) })
    }

    /// Advances the time, in milliseconds of the monotonic clock, and closes connections that exceed a limit.
    pub(in crate::http) fn sweep(&self, now: Duration) {
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
        self.now.store(now, Ordering::Relaxed);
        self.states().retain(|_, state| {
            let Some(reason) = state.exceeded_limit(now, &self.limits) else { return true };
            self.metrics.connection_closed(reason);
            state.request_close();
            false
        });
    }

    /// Closes all connections.
    pub(in crate::http) fn close_all(&self) {
        for (_, state) in self.states().drain() {
            state.request_close();
        }
    }
}

/// An open connection; removed from [`Connections`] on drop.
#[derive(Debug)]
pub(in crate::http) struct Connection {
    pub(in crate::http) state: Arc<ConnectionState>,
    id: u64,
    connections: Arc<Connections>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.connections.states().remove(&self.id);
        self.connections.metrics.connection_ended();
    }
}

/// A request body that reports its end to the connection.
pub(in crate::http) struct TrackedRequestBody<B> {
    body: B,
    connection: Arc<ConnectionState>,
}

impl<B> TrackedRequestBody<B> {
    pub(in crate::http) fn new(body: B, connection: Arc<ConnectionState>) -> Self {
        Self { body, connection }
    }
}

impl<B: hyper::body::Body + Unpin> hyper::body::Body for TrackedRequestBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) || self.body.is_end_stream() {
            self.connection.end_body();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for TrackedRequestBody<B> {
    fn drop(&mut self) {
        self.connection.end_body();
    }
}

/// A response body that keeps its request in flight until the client has received it.
pub(in crate::http) struct TrackedResponseBody {
    body: Body,
    _request: Option<RequestGuard>,
}

impl TrackedResponseBody {
    /// Wraps a body. One that is sent in a single chunk counts as sent.
    pub(in crate::http) fn new(body: Body, request: RequestGuard) -> Self {
        let small = body.size_hint().exact().is_some_and(|bytes| bytes <= CHUNK_SIZE as u64);
        Self { body, _request: (!small).then_some(request) }
    }
}

impl hyper::body::Body for TrackedResponseBody {
    type Data = bytes::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<bytes::Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(count: usize) -> (Arc<Connections>, Limits) {
        let limits = Limits { connections: count, ..Limits::default() };
        (Connections::new(limits, Metrics::new()), limits)
    }

    fn is_closed(connection: &Connection) -> bool {
        let mut context = Context::from_waker(std::task::Waker::noop());
        std::pin::pin!(connection.state.close_requested()).poll(&mut context).is_ready()
    }

    #[test]
    fn at_the_limit_connections_without_a_request_are_evicted_before_the_longest_idle() {
        let (connections, _) = connections(3);
        let busy = connections.add().unwrap();
        let request = busy.state.begin_request(true);
        let idle = connections.add().unwrap();
        drop(idle.state.begin_request(true));
        connections.sweep(Duration::from_secs(1));
        let silent = connections.add().unwrap();
        let first = connections.add().unwrap();
        assert!(
            is_closed(&silent) && !is_closed(&idle) && !is_closed(&busy),
            "a connection without a request is evicted first"
        );
        drop(first.state.begin_request(true));
        let second = connections.add().unwrap();
        assert!(is_closed(&idle) && !is_closed(&first), "then the one idle longest");
        let requests = [first.state.begin_request(true), second.state.begin_request(true)];
        assert!(connections.add().is_none(), "all are processing requests");
        drop((requests, request));
        assert!(connections.add().is_some());
    }

    #[test]
    fn a_connection_that_still_sends_a_body_can_be_evicted() {
        let (connections, _) = connections(2);
        let idle = connections.add().unwrap();
        drop(idle.state.begin_request(true));
        let slow = connections.add().unwrap();
        let request = slow.state.begin_request(false);
        let complete = connections.add().unwrap();
        assert!(is_closed(&slow) && !is_closed(&idle), "it has never completed a request");
        drop(request);
        let body = TrackedRequestBody::new(Body::empty(), Arc::clone(&complete.state));
        let _request = complete.state.begin_request(false);
        drop(body);
        let _next = connections.add().unwrap();
        assert!(
            is_closed(&idle) && !is_closed(&complete),
            "a connection whose body has arrived is not evicted"
        );
    }

    #[test]
    fn each_phase_has_a_time_limit() {
        let (connections, limits) = connections(9);
        connections.sweep(Duration::from_secs(1));
        let [idle, receiving, busy, stalled, recovered] = std::array::from_fn(|_| connections.add().unwrap());
        receiving.state.record_read();
        let _request = busy.state.begin_request(true);
        stalled.state.record_write(true);
        recovered.state.record_write(true);
        recovered.state.record_write(false);
        connections.sweep(Duration::from_secs(1) + limits.header_time);
        assert!(is_closed(&receiving) && !is_closed(&idle) && !is_closed(&stalled));
        connections.sweep(Duration::from_secs(1) + limits.write_time);
        assert!(is_closed(&stalled) && !is_closed(&idle));
        drop(recovered.state.begin_request(true));
        connections.sweep(Duration::from_secs(1) + limits.idle_time);
        assert!(is_closed(&idle) && !is_closed(&busy) && !is_closed(&recovered));
    }
}
