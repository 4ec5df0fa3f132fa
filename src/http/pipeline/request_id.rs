//! Every response carries `x-request-id`: the caller's own, or a new one. It is on every log line of the request.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::response::Response;
use tracing::{Span, field};

use super::route;

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
pub(in crate::http) fn of(headers: &HeaderMap) -> Option<HeaderValue> {
    let own = headers.get(&REQUEST_ID).filter(|id| {
        let bytes = id.as_bytes();
        (1..=LONGEST).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
    });
    own.cloned().or_else(new)
}

/// Whether a request is one that operators want to see: not a read, and not one of thousands of heartbeats. What a model asks
/// at `/mcp` is a read; the registry itself says what is registered there.
pub(in crate::http) fn is_loud(request: &Request) -> bool {
    let quiet = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    !quiet && !request.uri().path().ends_with("/refresh") && request.uri().path() != "/mcp"
}

/// The span of a request to a [route](route::of). The gate adds the name of its token.
pub(in crate::http) fn span(request: &Request, id: Option<&HeaderValue>, route: usize, loud: bool) -> Span {
    let id = id.and_then(|id| id.to_str().ok()).unwrap_or_default();
    let (method, path) = (request.method(), request.uri().path());
    let route = route::ALL.get(route).copied().unwrap_or_default();
    if loud {
        tracing::info_span!("request", id, %method, route, path, token = field::Empty)
    } else {
        tracing::debug_span!("request", id, %method, route, path, token = field::Empty)
    }
}

/// Puts the id on a response, and says how it went.
pub(in crate::http) fn put(response: &mut Response, id: Option<HeaderValue>, loud: bool, took: Duration) {
    let (status, duration_ms) = (response.status().as_u16(), took.as_secs_f64() * 1_000.0);
    if loud {
        tracing::info!(status, duration_ms, "answered");
    } else {
        tracing::debug!(status, duration_ms, "answered");
    }
    if let Some(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
}
