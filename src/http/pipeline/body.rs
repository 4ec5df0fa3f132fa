//! Large responses, sent in chunks and counted against the memory limit until they are sent.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Frame, SizeHint};

use super::admission::{AdmissionControl, AdmissionPermit, MemoryPermit};
use super::route::AdmissionClass;
use crate::http::problem::{Code, Problem};
use crate::http::response::is_stream;

/// The largest part of a body that is sent at once.
pub(in crate::http) const CHUNK_SIZE: usize = 64 * 1024;

/// Reserves memory for a large response, and holds its permits until it is sent. Small and static responses are exempt, and so
/// are streams, which reserve their own memory.
pub(in crate::http) async fn reserve_memory(
    response: Response,
    admission: &AdmissionControl,
    class: AdmissionClass,
    permit: AdmissionPermit,
) -> Response {
    let small = response.body().size_hint().upper().is_some_and(|bytes| bytes <= CHUNK_SIZE as u64);
    if small || matches!(class, AdmissionClass::Probe | AdmissionClass::Watch) || is_stream(&response) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let Ok(body) = body.collect().await else {
        return Problem::new(Code::Internal, "the response body cannot be read").into_response();
    };
    let bytes = body.to_bytes();
    match admission.reserve(class, bytes.len()) {
        Ok(memory) => {
            Response::from_parts(parts, Body::new(ChunkedBody { bytes, _memory: memory, _permit: permit }))
        }
        Err(problem) => problem.into_response(),
    }
}

/// A body that is sent in chunks, as the client reads it.
struct ChunkedBody {
    bytes: bytes::Bytes,
    _memory: MemoryPermit,
    _permit: AdmissionPermit,
}

impl hyper::body::Body for ChunkedBody {
    type Data = bytes::Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<bytes::Bytes>, Infallible>>> {
        let length = CHUNK_SIZE.min(self.bytes.len());
        let chunk = self.bytes.split_to(length);
        Poll::Ready((!chunk.is_empty()).then(|| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}
