//! The handler of a mounted service. It applies the limits for bodies, and an endless stream needs a watcher's permit before it
//! begins.

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
use crate::http::mcp_service::McpService;
use crate::http::pipeline::admission::AdmissionPermit;
use crate::http::pipeline::route::AdmissionClass;
use crate::http::problem::Problem;
use crate::http::response::is_stream;
use crate::http::state::App;
use crate::model::Actor;

/// The MCP method that opens a stream without an end. All other streams in response to a POST end with the result.
const LISTEN_METHOD: &str = "subscriptions/listen";

/// The method of a message, without its other members.
#[derive(Deserialize)]
struct MethodOnly<'a> {
    #[serde(borrow)]
    method: Cow<'a, str>,
}

pub(in crate::http) async fn handle(service: McpService, app: App, request: Request) -> Response {
    forward(service, app, request).await.unwrap_or_else(Problem::into_response)
}

async fn forward(service: McpService, app: App, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let Caller(actor) = Caller::of(&parts);
    let mut listens = parts.method == Method::GET;
    let (body, message) = if parts.method == Method::POST {
        let mut message = JsonBody::from_request(Request::from_parts(parts.clone(), body), &app).await?;
        listens =
            serde_json::from_slice(&message.bytes).is_ok_and(|MethodOnly { method }| method == LISTEN_METHOD);
        (Body::from(std::mem::take(&mut message.bytes)), Some(message))
    } else {
        (body, None)
    };
    let permit = if listens { Some(app.admission().admit(AdmissionClass::Watch)?) } else { None };
    let response = service.call(Request::from_parts(parts, body)).await;
    if !is_stream(&response) {
        return Ok(response);
    }
    // A listening client holds a watcher's permit instead of a request's.
    let message = message.filter(|_| permit.is_none());
    Ok(response
        .map(|body| Body::new(RevocableStream { body, app, actor, _permit: permit, _message: message })))
}

/// A stream that ends when its caller would no longer be authorized to read.
struct RevocableStream {
    body: Body,
    app: App,
    actor: Actor,
    _permit: Option<AdmissionPermit>,
    /// The message that the stream responds to, which counts as in flight until its end.
    _message: Option<JsonBody>,
}

impl hyper::body::Body for RevocableStream {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        // The token may have been revoked since, or the first token created.
        Poll::Ready(frame.filter(|_| self.app.is_still_authorized(&self.actor)))
    }
}
