//! Watching over HTTP with server-sent events, <https://html.spec.whatwg.org/multipage/server-sent-events.html>.
//!
//! The body pulls the next event once the client has received the last one, so nothing accumulates for a slow client. One that
//! reads nothing for the write timeout is disconnected like any other.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use tokio_util::sync::CancellationToken;

use super::query;
use crate::http::extract::Caller;
use crate::http::openapi::schemas::{FilterQuery, WatchQuery};
use crate::http::pipeline::admission::{AdmissionPermit, MemoryPermit};
use crate::http::pipeline::body::CHUNK_SIZE;
use crate::http::pipeline::route::AdmissionClass;
use crate::http::problem::Problem;
use crate::http::state::App;
use crate::model::{Actor, Revision, push_time};
use crate::registry::{Watch, WatchItem};
use crate::store::time;

/// How often an idle stream sends a comment.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVE: &str = ": alive\n\n";

/// Watch changes of servers.
///
/// A stream of server-sent events. It begins with `snapshot`: all servers that match now, which replaces the client's state.
/// After it, each change is one event, in order: `registered` (also when a late refresh revives a server), `updated`,
/// `deregistered`, `expired`. Refreshes are not changes, nor is the deletion of an expired server. A server that stops
/// matching the filters is reported as `deregistered`, and one that starts matching as `registered`. `id` is the revision:
/// with `Last-Event-ID` or `since` the stream resumes after it, or begins with a snapshot if that is not possible. A comment
/// every 15 s keeps the connection open. A client that reads nothing for 30 s is disconnected, and can resume.
#[utoipa::path(
    get, path = "/v1/watch", operation_id = "watch", tag = "discovery",
    params(FilterQuery, WatchQuery, ("Last-Event-ID" = Option<String>, Header, description = "the `id` of the last event that was received")),
    responses((status = 200, description = "The stream.", body = String, content_type = "text/event-stream"))
)]
pub(in crate::http) async fn watch(
    State(app): State<App>,
    Caller(actor): Caller,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let (filter, since) = query::watch(&uri)?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
    let permit = app.admission().admit(AdmissionClass::Watch)?;
    let watch = match last.or(since) {
        Some(since) => app.registry().watch_since(filter, since)?,
        None => app.registry().watch(filter)?,
    };
    let stopping = app.stopping().clone();
    let mut stream =
        SseStream { watch, actor, stopping, app, pending: PendingText::default(), _permit: permit };
    if stream.watch.is_snapshot_next() {
        // An error must be found now, while it can still be sent as a status.
        let snapshot = stream.watch.next_item().await?;
        stream.enqueue(&snapshot)?;
    } else {
        // A proxy may delay even the header until a body follows.
        stream.pending.text = Bytes::from_static(KEEPALIVE.as_bytes());
    }
    let body = unfold(stream, |mut stream| async move {
        let chunk = stream.next_chunk().await?;
        Some((Ok::<_, std::convert::Infallible>(chunk), stream))
    });
    let content_type = HeaderValue::from_static("text/event-stream");
    let no_store = HeaderValue::from_static("no-store");
    // Proxies like nginx would buffer events.
    let unbuffered = ("x-accel-buffering", HeaderValue::from_static("no"));
    let headers = [
        (header::CONTENT_TYPE.as_str(), content_type),
        (header::CACHE_CONTROL.as_str(), no_store),
        unbuffered,
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// The event stream of one client.
struct SseStream {
    watch: Watch,
    app: App,
    actor: Actor,
    stopping: CancellationToken,
    pending: PendingText,
    _permit: AdmissionPermit,
}

/// Text that is not sent yet; a large one counts against the memory limit.
#[derive(Default)]
struct PendingText {
    text: Bytes,
    memory: Option<MemoryPermit>,
}

impl SseStream {
    /// Returns the next chunk to send, or `None` at the end of the stream.
    async fn next_chunk(&mut self) -> Option<Bytes> {
        if self.pending.text.is_empty() {
            self.pending.memory = None;
            let item = tokio::select! {
                biased;
                () = self.stopping.cancelled() => return None,
                item = tokio::time::timeout(KEEPALIVE_INTERVAL, self.watch.next_item()) => item,
            };
            // The token may have been revoked since, or the first token created.
            if !self.app.is_still_authorized(&self.actor) {
                return None;
            }
            match item {
                Err(_) => return Some(Bytes::from_static(KEEPALIVE.as_bytes())),
                // The client reconnects, and gets the error then.
                Ok(Err(_)) => return None,
                Ok(Ok(item)) => self.enqueue(&item).ok()?,
            }
        }
        let length = CHUNK_SIZE.min(self.pending.text.len());
        Some(self.pending.text.split_to(length))
    }

    fn enqueue(&mut self, item: &WatchItem) -> Result<(), Problem> {
        let text = event_text(item, &self.watch);
        if text.len() > CHUNK_SIZE {
            self.pending.memory = Some(self.app.admission().reserve(AdmissionClass::Other, text.len())?);
        }
        self.pending.text = text.into();
        Ok(())
    }
}

/// Serializes an event. Its data is one line, since JSON escapes line breaks.
fn event_text(item: &WatchItem, watch: &Watch) -> String {
    match item {
        WatchItem::Snapshot { servers, revision, now } => {
            let bytes: usize = servers.iter().map(crate::store::Entry::bytes).sum();
            let mut text = String::with_capacity(bytes + 160);
            push_event_fields(&mut text, revision, "snapshot");
            text.push_str("{\"servers\":[");
            for (index, server) in servers.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                server.write_json(&mut text, *now);
            }
            text.push_str("],\"revision\":\"");
            text.push_str(&revision.to_string());
            text.push_str("\"}\n\n");
            text
        }
        WatchItem::Change { kind, which, event } => {
            let revision = Revision { number: event.revision, ..watch.revision().clone() };
            let json = event.side(*which).map_or("null", |side| &side.json);
            let mut text = String::with_capacity(json.len() + 200);
            push_event_fields(&mut text, &revision, kind.as_str());
            text.push_str("{\"revision\":\"");
            text.push_str(&revision.to_string());
            text.push_str("\",\"kind\":\"");
            text.push_str(kind.as_str());
            text.push_str("\",\"at\":\"");
            push_time(&mut text, &time(event.at));
            text.push_str("\",\"server\":");
            text.push_str(json);
            text.push_str("}\n\n");
            text
        }
    }
}

fn push_event_fields(text: &mut String, revision: &Revision, event: &str) {
    text.extend(["id: ", &revision.to_string(), "\nevent: ", event, "\ndata: "]);
}
