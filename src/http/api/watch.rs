//! Watching over HTTP: server-sent events, <https://html.spec.whatwg.org/multipage/server-sent-events.html>.
//!
//! The body of the answer asks for the next thing to tell when the client has taken the last one. A slow client is behind,
//! and nothing piles up for it; one that takes nothing for the time to write is cut off like any other.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use super::query;
use crate::http::extract::Caller;
use crate::http::openapi::schemas::{FilterQuery, WatchQuery};
use crate::http::pipeline::admission;
use crate::http::pipeline::admission::Place;
use crate::http::pipeline::body::PIECE;
use crate::http::pipeline::route::AdmissionClass;
use crate::http::problem::Problem;
use crate::http::state::App;
use crate::model::{Actor, Revision, push_time};
use crate::registry::{Item, Watch};
use crate::store::time;

/// How often a silent stream says that it is there.
const KEEP: Duration = Duration::from_secs(15);
const ALIVE: &str = ": alive\n\n";

/// Watch servers come, change and go.
///
/// A stream of server-sent events. It begins with `snapshot`: all that matches now, which replaces all that the client knew.
/// Then comes one event a change, in its order: `registered` (also when a late refresh revives a server), `updated`,
/// `deregistered`, `expired`. Refreshes are no change, nor is the deletion that follows an expiry. A server that stops
/// matching the filters is told as `deregistered`, one that starts to match as `registered`. `id` is the revision: with
/// `Last-Event-ID`, or `since`, the stream goes on right after it, or begins with a snapshot where that cannot be. A comment
/// every 15 s keeps the connection. A client that takes nothing for 30 s is cut off, and resumes.
#[utoipa::path(
    get, path = "/v1/watch", operation_id = "watch", tag = "finding",
    params(FilterQuery, WatchQuery, ("Last-Event-ID" = Option<String>, Header, description = "the `id` of the last event that was seen")),
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
    let place = app.load().admit(AdmissionClass::Watch)?;
    let watch = match last.or(since) {
        Some(since) => app.registry().watch_since(filter, since)?,
        None => app.registry().watch(filter)?,
    };
    let mut told =
        Told { watch, actor, stopping: app.stopping(), app, pieces: Pieces::default(), _place: place };
    if told.watch.begins_anew() {
        // What there is too much of is said now, while there is a status to say it with.
        let snapshot = told.watch.next_item().await?;
        told.take(&snapshot)?;
    } else {
        // A proxy may hold back even the header until something follows.
        told.pieces.text = Bytes::from_static(ALIVE.as_bytes());
    }
    let body = stream::unfold(told, |mut told| async move {
        let piece = told.next().await?;
        Some((Ok::<_, std::convert::Infallible>(piece), told))
    });
    let kind = HeaderValue::from_static("text/event-stream");
    let fresh = HeaderValue::from_static("no-store");
    // Proxies like nginx would hold events back until there are enough of them.
    let unbuffered = ("x-accel-buffering", HeaderValue::from_static("no"));
    let headers =
        [(header::CONTENT_TYPE.as_str(), kind), (header::CACHE_CONTROL.as_str(), fresh), unbuffered];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// What one client is told.
struct Told {
    watch: Watch,
    app: App,
    actor: Actor,
    stopping: tokio::sync::watch::Receiver<bool>,
    pieces: Pieces,
    _place: Place,
}

/// A text on its way out, piece by piece; a large one is accounted for.
#[derive(Default)]
struct Pieces {
    text: Bytes,
    taken: Option<admission::Bytes>,
}

impl Told {
    /// The next piece to send; none when the stream ends.
    async fn next(&mut self) -> Option<Bytes> {
        if self.pieces.text.is_empty() {
            self.pieces.taken = None;
            let item = tokio::select! {
                biased;
                _ = self.stopping.wait_for(|stopping| *stopping) => return None,
                item = tokio::time::timeout(KEEP, self.watch.next_item()) => item,
            };
            // A token may have been revoked since, or the first one made.
            if !self.app.still_admits(&self.actor) {
                return None;
            }
            match item {
                Err(_) => return Some(Bytes::from_static(ALIVE.as_bytes())),
                // The client comes again, and is told what is wrong.
                Ok(Err(_)) => return None,
                Ok(Ok(item)) => self.take(&item).ok()?,
            }
        }
        let length = PIECE.min(self.pieces.text.len());
        Some(self.pieces.text.split_to(length))
    }

    fn take(&mut self, item: &Item) -> Result<(), Problem> {
        let text = text(item, &self.watch);
        if text.len() > PIECE {
            self.pieces.taken = Some(self.app.load().take(AdmissionClass::Other, text.len())?);
        }
        self.pieces.text = text.into();
        Ok(())
    }
}

/// An event as it goes over the wire. Its data are one line: JSON has no line breaks but those that it escapes.
fn text(item: &Item, watch: &Watch) -> String {
    match item {
        Item::Snapshot { servers, revision, now } => {
            let bytes: usize = servers.iter().map(crate::store::Entry::bytes).sum();
            let mut text = String::with_capacity(bytes + 160);
            begin(&mut text, revision, "snapshot");
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
        Item::Change { kind, which, event } => {
            let revision = Revision { number: event.revision, ..watch.reached().clone() };
            let json = event.side(*which).map_or("null", |side| &side.json);
            let mut text = String::with_capacity(json.len() + 200);
            begin(&mut text, &revision, kind.as_str());
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

fn begin(text: &mut String, revision: &Revision, event: &str) {
    text.extend(["id: ", &revision.to_string(), "\nevent: ", event, "\ndata: "]);
}
