//! JSON responses, with a weak `ETag` where they can be revalidated.

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::problem::{Code, Problem};
use crate::net::media_type::is_event_stream;

/// Returns a response with a JSON body.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(body) => json_text(status, body),
        Err(error) => serialization_error(&error),
    }
}

fn json_text(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Returns the response to a value that cannot be serialized.
pub(super) fn serialization_error(error: &serde_json::Error) -> Response {
    tracing::error!(%error, "cannot serialize a response as JSON");
    Problem::new(Code::Internal, "the response cannot be serialized as JSON").into_response()
}

/// Returns a hash of what a response depends on.
pub(super) fn fingerprint(parts: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

/// Returns a JSON body, or 304 if the client has it already. The tag is weak: it does not cover lease times.
pub(super) fn json_with_etag<B: Into<Body>>(
    request: &HeaderMap,
    fingerprint: u64,
    body: impl FnOnce() -> B,
) -> Response {
    let tag = format!("W/\"{fingerprint:016x}\"");
    let mut response = if matches_etag(request, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        json_text(StatusCode::OK, body())
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// Whether the client already has the representation with this tag.
pub(super) fn matches_etag(request: &HeaderMap, tag: &str) -> bool {
    let lists = request.get_all(header::IF_NONE_MATCH).iter().filter_map(|list| list.to_str().ok());
    let mut tags = lists.flat_map(|list| list.split(',')).map(str::trim);
    tags.any(|known| known == "*" || weakly_equal(known, tag))
}

/// RFC 9110, section 8.8.3.2: weak comparison ignores the prefix `W/`.
fn weakly_equal(one: &str, other: &str) -> bool {
    one.trim_start_matches("W/") == other.trim_start_matches("W/")
}

/// Whether a response is an event stream.
pub(super) fn is_stream(response: &Response) -> bool {
    response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| is_event_stream(kind.as_bytes()))
}
