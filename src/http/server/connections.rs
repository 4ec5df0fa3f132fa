//! The connections there are, and which of them to cut off.
//!
//! A connection waits for a request, receives its header, then its body, or is busy with it. A sweep once in a while closes
//! those that take too long about it. When there are as many as there may be, one that has never sent a whole request makes
//! room for a new one, or else the one that has been waiting longest: whoever opens thousands and says nothing, or says it
//! byte by byte, locks nobody out.

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
use crate::http::pipeline::body::PIECE;

/// How often the sweep comes.
pub(in crate::http) const SWEEP: Duration = Duration::from_millis(250);

const WAITING: u8 = 0;
const RECEIVING: u8 = 1;
const UPLOADING: u8 = 2;
const BUSY: u8 = 3;
const WATCHING: u8 = 4;

/// One connection.
#[derive(Debug)]
pub(in crate::http) struct Peer {
    phase: AtomicU8,
    since: AtomicU64,
    /// When the client last stopped taking what is written, or 0.
    stalled: AtomicU64,
    /// Whether it has ever sent a whole request.
    known: AtomicBool,
    now: Arc<AtomicU64>,
    end: Notify,
}

impl Peer {
    fn turn(&self, phase: u8) {
        self.phase.store(phase, Ordering::Relaxed);
        self.since.store(self.now.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Bytes came in.
    pub(in crate::http) fn received(&self) {
        if self.phase.load(Ordering::Relaxed) == WAITING {
            self.turn(RECEIVING);
        }
    }

    /// It waits for a request.
    pub(in crate::http) fn waits(&self) {
        self.turn(WAITING);
    }

    /// The client takes nothing, or takes something again.
    pub(in crate::http) fn written(&self, stalled: bool) {
        if !stalled {
            self.stalled.store(0, Ordering::Relaxed);
        } else if self.stalled.load(Ordering::Relaxed) == 0 {
            self.stalled.store(self.now.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// The header of a request is there, and perhaps its body; it is in hand until what this gives is dropped.
    pub(in crate::http) fn busy(self: &Arc<Self>, whole: bool) -> Busy {
        self.turn(UPLOADING);
        if whole {
            self.arrived();
        }
        Busy(Arc::clone(self))
    }

    /// The body of the request is there, or is not waited for any more.
    fn arrived(&self) {
        if self.phase.load(Ordering::Relaxed) == UPLOADING {
            self.turn(BUSY);
            self.known.store(true, Ordering::Relaxed);
        }
    }

    /// What is sent from now on is a stream of events.
    pub(in crate::http) fn begins_to_watch(&self) {
        self.turn(WATCHING);
    }

    /// Whether a stream of events goes out.
    pub(in crate::http) fn watches(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == WATCHING
    }

    /// The client of a stream of events has left, or has nothing more to say, which is the same there.
    pub(in crate::http) fn has_left(&self) {
        self.end.notify_one();
    }

    /// Waits until it is to be cut off.
    pub(in crate::http) async fn end(&self) {
        self.end.notified().await;
    }

    /// Why it is to be cut off by now.
    fn overdue(&self, now: u64, limits: &Limits) -> Option<&'static str> {
        let over = |since: u64, limit: Duration| u128::from(now.saturating_sub(since)) >= limit.as_millis();
        let stalled = self.stalled.load(Ordering::Relaxed);
        if stalled != 0 && over(stalled, limits.write_time) {
            return Some("write");
        }
        let since = self.since.load(Ordering::Relaxed);
        match self.phase.load(Ordering::Relaxed) {
            WAITING if over(since, limits.idle_time) => Some("idle"),
            RECEIVING if over(since, limits.header_time) => Some("header"),
            _ => None,
        }
    }
}

/// A request in hand.
#[derive(Debug)]
pub(in crate::http) struct Busy(Arc<Peer>);

impl Busy {
    /// See [`Peer::begins_to_watch`].
    pub(in crate::http) fn begins_to_watch(&self) {
        self.0.begins_to_watch();
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.waits();
    }
}

/// All of them.
#[derive(Debug)]
pub(in crate::http) struct Connections {
    peers: Mutex<HashMap<u64, Arc<Peer>>>,
    next: AtomicU64,
    now: Arc<AtomicU64>,
    limits: Limits,
    metrics: Metrics,
}

impl Connections {
    pub(in crate::http) fn new(limits: Limits, metrics: Metrics) -> Arc<Self> {
        Arc::new(Self {
            peers: Mutex::default(),
            next: AtomicU64::new(0),
            now: Arc::new(AtomicU64::new(1)),
            limits,
            metrics,
        })
    }

    fn peers(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<Peer>>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one more, if need be in the place of one that waits or still sends. None if all are busy.
    pub(in crate::http) fn add(self: &Arc<Self>) -> Option<Connection> {
        let mut peers = self.peers();
        if peers.len() >= self.limits.connections {
            let waiting = |(_, peer): &(&u64, &Arc<Peer>)| peer.phase.load(Ordering::Relaxed) < BUSY;
            let rank = |(number, peer): &(&u64, &Arc<Peer>)| {
                (peer.known.load(Ordering::Relaxed), peer.since.load(Ordering::Relaxed), **number)
            };
            let longest = peers.iter().filter(waiting).min_by_key(rank).map(|(number, _)| *number);
            self.metrics.cut_off("limit");
            peers.remove(&longest?)?.end.notify_one();
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let peer = Arc::new(Peer {
            phase: AtomicU8::new(WAITING),
            since: AtomicU64::new(self.now.load(Ordering::Relaxed)),
            stalled: AtomicU64::new(0),
            known: AtomicBool::new(false),
            now: Arc::clone(&self.now),
            end: Notify::new(),
        });
        peers.insert(number, Arc::clone(&peer));
        drop(peers);
        self.metrics.connected();
        Some(Connection { peer, number, all: Arc::clone(self) })
    }

    /// Cuts off what takes too long, and goes by a new time: milliseconds of the monotonic clock.
    pub(in crate::http) fn sweep(&self, now: Duration) {
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
        self.now.store(now, Ordering::Relaxed);
        self.peers().retain(|_, peer| {
            let Some(reason) = peer.overdue(now, &self.limits) else { return true };
            self.metrics.cut_off(reason);
            peer.end.notify_one();
            false
        });
    }

    /// Cuts off all that there are.
    pub(in crate::http) fn clear(&self) {
        for (_, peer) in self.peers().drain() {
            peer.end.notify_one();
        }
    }
}

/// A place among the connections; given back when dropped.
#[derive(Debug)]
pub(in crate::http) struct Connection {
    pub(in crate::http) peer: Arc<Peer>,
    number: u64,
    all: Arc<Connections>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.all.peers().remove(&self.number);
        self.all.metrics.disconnected();
    }
}

/// The body of a request, which its connection is told the end of.
pub(in crate::http) struct Upload<B> {
    body: B,
    peer: Arc<Peer>,
}

impl<B> Upload<B> {
    pub(in crate::http) fn new(body: B, peer: Arc<Peer>) -> Self {
        Self { body, peer }
    }
}

impl<B: hyper::body::Body + Unpin> hyper::body::Body for Upload<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) || self.body.is_end_stream() {
            self.peer.arrived();
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

impl<B> Drop for Upload<B> {
    fn drop(&mut self) {
        self.peer.arrived();
    }
}

/// A body that keeps its connection busy until the client has taken it.
pub(in crate::http) struct Tracked {
    body: Body,
    _busy: Option<Busy>,
}

impl Tracked {
    /// What goes out in one piece is as good as sent.
    pub(in crate::http) fn new(body: Body, busy: Busy) -> Self {
        let small = body.size_hint().exact().is_some_and(|bytes| bytes <= PIECE as u64);
        Self { body, _busy: (!small).then_some(busy) }
    }
}

impl hyper::body::Body for Tracked {
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

    fn ended(connection: &Connection) -> bool {
        let mut context = Context::from_waker(std::task::Waker::noop());
        std::pin::pin!(connection.peer.end()).poll(&mut context).is_ready()
    }

    #[test]
    fn who_never_asked_makes_room_and_then_who_waits_longest() {
        let (all, _) = connections(3);
        let busy = all.add().unwrap();
        let in_hand = busy.peer.busy(true);
        let known = all.add().unwrap();
        drop(known.peer.busy(true));
        all.sweep(Duration::from_secs(1));
        let silent = all.add().unwrap();
        let first = all.add().unwrap();
        assert!(ended(&silent) && !ended(&known) && !ended(&busy), "who has sent nothing yet goes first");
        drop(first.peer.busy(true));
        let second = all.add().unwrap();
        assert!(ended(&known) && !ended(&first), "then who has been waiting longest");
        let held = [first.peer.busy(true), second.peer.busy(true)];
        assert!(all.add().is_none(), "all are busy");
        drop((held, in_hand));
        assert!(all.add().is_some());
    }

    #[test]
    fn a_body_that_trickles_in_keeps_no_place() {
        let (all, _) = connections(2);
        let waiting = all.add().unwrap();
        drop(waiting.peer.busy(true));
        let trickling = all.add().unwrap();
        let in_hand = trickling.peer.busy(false);
        let whole = all.add().unwrap();
        assert!(ended(&trickling) && !ended(&waiting), "it has never sent a whole request");
        drop(in_hand);
        let upload = Upload::new(Body::empty(), Arc::clone(&whole.peer));
        let _in_hand = whole.peer.busy(false);
        drop(upload);
        let _next = all.add().unwrap();
        assert!(ended(&waiting) && !ended(&whole), "whose body is there is busy");
    }

    #[test]
    fn each_phase_has_its_time() {
        let (all, limits) = connections(9);
        all.sweep(Duration::from_secs(1));
        let [idle, receiving, busy, stalled, sound] = std::array::from_fn(|_| all.add().unwrap());
        receiving.peer.received();
        let _in_hand = busy.peer.busy(true);
        stalled.peer.written(true);
        sound.peer.written(true);
        sound.peer.written(false);
        all.sweep(Duration::from_secs(1) + limits.header_time);
        assert!(ended(&receiving) && !ended(&idle) && !ended(&stalled));
        all.sweep(Duration::from_secs(1) + limits.write_time);
        assert!(ended(&stalled) && !ended(&idle));
        drop(sound.peer.busy(true));
        all.sweep(Duration::from_secs(1) + limits.idle_time);
        assert!(ended(&idle) && !ended(&busy) && !ended(&sound));
    }
}
