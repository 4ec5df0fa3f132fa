//! Large responses, sent piece by piece and accounted for until they are sent.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Frame, SizeHint};

use super::admission;
use super::admission::{Load, Place};
use super::route::AdmissionClass;
use crate::http::problem::{Code, Problem};
use crate::http::response::is_stream;

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
