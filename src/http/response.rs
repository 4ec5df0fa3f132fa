//! Answers in JSON, with a weak `ETag` where they can be asked for again.

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::problem::{Code, Problem};
use crate::net::media_type::is_event_stream;

/// A JSON body.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(body) => text(status, body),
        Err(error) => unwritable(&error),
    }
}

fn text(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An answer that is no JSON.
pub(super) fn unwritable(error: &serde_json::Error) -> Response {
    tracing::error!(%error, "cannot write an answer as JSON");
    Problem::new(Code::Internal, "the answer cannot be written as JSON").into_response()
}

/// The number of what an answer depends on.
pub(super) fn fingerprint(parts: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

/// A JSON body, or 304 when the caller has it already. The tag is weak: lease times are not part of it.
pub(super) fn tagged<B: Into<Body>>(
    request: &HeaderMap,
    fingerprint: u64,
    body: impl FnOnce() -> B,
) -> Response {
    let tag = format!("W/\"{fingerprint:016x}\"");
    let mut response = if is_known(request, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        text(StatusCode::OK, body())
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// Whether the caller has what bears this tag.
pub(super) fn is_known(request: &HeaderMap, tag: &str) -> bool {
    let known = request.get_all(header::IF_NONE_MATCH).iter().filter_map(|tags| tags.to_str().ok());
    let mut known = known.flat_map(|tags| tags.split(',')).map(str::trim);
    known.any(|known| known == "*" || weakly_equal(known, tag))
}

/// RFC 9110, section 8.8.3.2: weak comparison looks at the quoted part alone.
fn weakly_equal(one: &str, other: &str) -> bool {
    one.trim_start_matches("W/") == other.trim_start_matches("W/")
}

/// Whether an answer has no end.
pub(super) fn is_stream(response: &Response) -> bool {
    response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| is_event_stream(kind.as_bytes()))
}
