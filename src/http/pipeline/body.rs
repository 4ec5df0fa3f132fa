//! Bodies: read within their size, time and the memory for all of them; large answers sent piece by piece.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Frame, SizeHint};

use super::admission;
use super::admission::{Load, Place};
use super::route::{AdmissionClass, Route};
use crate::http::mcp_service::is_stream;
use crate::http::problem::{Code, Problem};
use crate::http::state::App;

/// The bytes of a body that says it is JSON. They are accounted for, and its request has a place, until it is dropped.
pub(in crate::http) struct JsonBody {
    pub(in crate::http) bytes: Vec<u8>,
    _taken: admission::Bytes,
    _place: Place,
}

impl FromRequest<App> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            let detail = "send the body with content-type: application/json";
            return Err(Problem::new(Code::UnsupportedMediaType, detail));
        }
        let load = app.load();
        let limit = load.limits().body_bytes;
        let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        if length.and_then(|length| length.parse().ok()).is_some_and(|length: u64| length > limit as u64) {
            return Err(too_large(load));
        }
        let time = load.limits().body_time;
        let class = Route::of(request.uri().path()).admission(request.method());
        let read = tokio::time::timeout(time, read(request.into_body(), load, class)).await;
        let (bytes, taken) = read.unwrap_or_else(|_| {
            load.metrics().refused_body("time");
            let detail = format!("the body did not arrive within {} s", time.as_secs());
            Err(Problem::new(Code::RequestTimeout, detail))
        })?;
        Ok(Self { bytes, _taken: taken, _place: load.admit(class)? })
    }
}

fn too_large(load: &Load) -> Problem {
    load.metrics().refused_body("size");
    let limit = load.limits().body_bytes;
    Problem::new(Code::PayloadTooLarge, format!("the body is over the limit of {limit} bytes"))
}

async fn read(
    mut body: Body,
    load: &Load,
    class: AdmissionClass,
) -> Result<(Vec<u8>, admission::Bytes), Problem> {
    let mut taken = load.take(class, 0)?;
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|_| Problem::new(Code::MalformedJson, "the body ended before it was complete"))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > load.limits().body_bytes {
            return Err(too_large(load));
        }
        taken.add(load.take(class, data.len())?);
        bytes.extend_from_slice(&data);
    }
    Ok((bytes, taken))
}

/// What goes out in one piece.
pub(in crate::http) const PIECE: usize = 64 * 1024;

/// Accounts for a large answer, and keeps its place, until it is sent. A small one is no matter, nor is one that is there
/// once for all, or that accounts for itself.
pub(in crate::http) async fn accounted(
    response: Response,
    load: &Load,
    class: AdmissionClass,
    place: Place,
) -> Response {
    let small = response.body().size_hint().upper().is_some_and(|bytes| bytes <= PIECE as u64);
    if small || matches!(class, AdmissionClass::Probe | AdmissionClass::Watch) || is_stream(&response) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let Ok(body) = body.collect().await else {
        return Problem::new(Code::Internal, "the answer cannot be put together").into_response();
    };
    let bytes = body.to_bytes();
    match load.take(class, bytes.len()) {
        Ok(taken) => Response::from_parts(parts, Body::new(Pieces { bytes, _taken: taken, _place: place })),
        Err(problem) => problem.into_response(),
    }
}

/// A body that is sent piece by piece, as the client takes it.
struct Pieces {
    bytes: bytes::Bytes,
    _taken: admission::Bytes,
    _place: Place,
}

impl hyper::body::Body for Pieces {
    type Data = bytes::Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<bytes::Bytes>, Infallible>>> {
        let length = PIECE.min(self.bytes.len());
        let piece = self.bytes.split_to(length);
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}
