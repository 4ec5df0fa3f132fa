//! Somebody else's routes behind the same front: the registry as an MCP server, say.
//!
//! Their bodies are read within the limits of all bodies, and a stream that goes on takes a watcher's place before it begins.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use serde::Deserialize;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt};

use super::pipeline::admission::Place;
use super::pipeline::body::JsonBody;
use super::pipeline::route::AdmissionClass;
use super::state::App;
use crate::model::{Access, Actor};

/// What a client of MCP says that listens: its stream goes on for as long as it likes. All other streams that answer a POST end
/// with their answer.
const LISTENING: &str = "subscriptions/listen";

/// What is to be known of a message.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    method: Cow<'a, str>,
}

/// A service at a path.
#[derive(Clone)]
pub(super) struct Mounted {
    pub(super) path: &'static str,
    service: BoxCloneSyncService<Request, Response, Infallible>,
}

impl fmt::Debug for Mounted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Mounted").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Whether an answer has no end.
pub(super) fn is_stream(response: &Response) -> bool {
    response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

impl Mounted {
    pub(super) fn new<S>(path: &'static str, service: S) -> Self
    where
        S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Future: Send,
    {
        Self { path, service: BoxCloneSyncService::new(service) }
    }

    pub(super) async fn answer(self, app: App, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let actor = parts.extensions.get::<Access>().map_or(Actor::Anybody, |access| access.actor.clone());
        let mut place = None;
        if parts.method == Method::GET {
            place = Some(app.load().admit(AdmissionClass::Watch));
        }
        let (body, read) = if parts.method == Method::POST {
            match JsonBody::from_request(Request::from_parts(parts.clone(), body), &app).await {
                Ok(mut read) => {
                    if serde_json::from_slice(&read.bytes).is_ok_and(|Head { method }| method == LISTENING) {
                        place = Some(app.load().admit(AdmissionClass::Watch));
                    }
                    (Body::from(std::mem::take(&mut read.bytes)), Some(read))
                }
                Err(problem) => return problem.into_response(),
            }
        } else {
            (body, None)
        };
        let place = match place.transpose() {
            Ok(place) => place,
            Err(problem) => return problem.into_response(),
        };
        let response = self.service.oneshot(Request::from_parts(parts, body)).await;
        let response = response.unwrap_or_else(|never| match never {});
        if is_stream(&response) {
            // Who listens has a watcher's place instead.
            let read = read.filter(|_| place.is_none());
            response.map(|body| Body::new(Going { body, app, actor, _place: place, _read: read }))
        } else {
            response
        }
    }
}

/// A stream that goes on for as long as whoever listens would be let in.
struct Going {
    body: Body,
    app: App,
    actor: Actor,
    _place: Option<Place>,
    /// The message that it answers, which counts as in hand until then.
    _read: Option<JsonBody>,
}

impl hyper::body::Body for Going {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        // A token may have been revoked since, or the first one made.
        Poll::Ready(frame.filter(|_| self.app.still_admits(&self.actor)))
    }
}
