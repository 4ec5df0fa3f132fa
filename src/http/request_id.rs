//! Every response carries `x-request-id`: the caller's own, or a new one. It is on every log line of the request.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use tracing::Span;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const LONGEST: usize = 128;

/// Numbers that differ between requests and between processes. They keep no secret: asking the operating system for
/// each would cost more than many an answer.
static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);
static COUNT: AtomicU64 = AtomicU64::new(0);

fn new() -> Option<HeaderValue> {
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let bits = u128::from(SEED.hash_one(count)) << 64 | u128::from(SEED.hash_one(!count));
    let id = uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid();
    HeaderValue::from_str(id.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer())).ok()
}

/// The id of a request.
pub(super) fn of(headers: &HeaderMap) -> Option<HeaderValue> {
    let own = headers.get(&REQUEST_ID).filter(|id| {
        let bytes = id.as_bytes();
        (1..=LONGEST).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
    });
    own.cloned().or_else(new)
}

/// The span of a request.
pub(super) fn span(request: &Request, id: Option<&HeaderValue>) -> Span {
    let id = id.and_then(|id| id.to_str().ok()).unwrap_or_default();
    tracing::debug_span!("request", id, method = %request.method(), path = request.uri().path())
}

/// Puts the id on a response.
pub(super) fn put(response: &mut Response, id: Option<HeaderValue>) {
    tracing::debug!(status = response.status().as_u16(), "answered");
    if let Some(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
}
