//! Somebody else's routes behind the same front: the registry as an MCP server, say.
//!
//! Their bodies are read within the limits of all bodies, and a stream that one of them answers takes a watcher's place.

use std::convert::Infallible;
use std::fmt;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt};

use super::App;
use super::body::JsonBody;
use super::load::Kind;

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
        let (body, read) = if parts.method == Method::POST {
            match JsonBody::from_request(Request::from_parts(parts.clone(), body), &app).await {
                Ok(mut read) => (Body::from(std::mem::take(&mut read.bytes)), Some(read)),
                Err(problem) => return problem.into_response(),
            }
        } else {
            (body, None)
        };
        let response = self.service.oneshot(Request::from_parts(parts, body)).await;
        let response = response.unwrap_or_else(|never| match never {});
        drop(read);
        if !is_stream(&response) {
            return response;
        }
        match app.load().admit(Kind::Watch) {
            Ok(place) => response.map(|body| {
                Body::new(body.map_frame(move |frame| {
                    let _held = &place;
                    frame
                }))
            }),
            Err(problem) => problem.into_response(),
        }
    }
}
