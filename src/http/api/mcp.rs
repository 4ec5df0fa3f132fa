//! The handler of a mounted service. Bodies are read within the limits of all bodies, and an endless stream takes a watcher's
//! permit before it begins.

use std::borrow::Cow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use serde::Deserialize;

use crate::http::extract::{Caller, JsonBody};
use crate::http::mcp_service::Mounted;
use crate::http::pipeline::admission::Place;
use crate::http::pipeline::route::AdmissionClass;
use crate::http::response::is_stream;
use crate::http::state::App;
use crate::model::Actor;

/// What a client of MCP says that listens: its stream goes on for as long as it likes. All other streams that answer a POST end
/// with their answer.
const LISTENING: &str = "subscriptions/listen";

/// What is to be known of a message.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    method: Cow<'a, str>,
}

pub(in crate::http) async fn answer(service: Mounted, app: App, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Caller(actor) = Caller::of(&parts);
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
    let response = service.call(Request::from_parts(parts, body)).await;
    if is_stream(&response) {
        // Who listens has a watcher's place instead.
        let read = read.filter(|_| place.is_none());
        response.map(|body| Body::new(Going { body, app, actor, _place: place, _read: read }))
    } else {
        response
    }
}

/// A stream that ends when its caller would no longer be authorized to read.
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
