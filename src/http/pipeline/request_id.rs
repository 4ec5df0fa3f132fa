//! The request id: every response carries `x-request-id`, the client's own or a new one, and so does every log line.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use tracing::{Level, Span, field};

use super::route::Route;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MAX_LENGTH: usize = 128;

/// The seed of ids that differ between requests and between processes. They need not be unpredictable, and a system call for
/// each would cost more than many a response.
static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);
static COUNTER: AtomicU64 = AtomicU64::new(0);

fn generate() -> Option<HeaderValue> {
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    let bits = u128::from(SEED.hash_one(count)) << 64 | u128::from(SEED.hash_one(!count));
    let id = uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid();
    HeaderValue::from_str(id.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer())).ok()
}

/// Returns the id that a request carries, or a new one.
pub(in crate::http) fn of(headers: &HeaderMap) -> Option<HeaderValue> {
    let own = headers.get(&REQUEST_ID).filter(|id| {
        let bytes = id.as_bytes();
        (1..=MAX_LENGTH).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
    });
    own.cloned().or_else(generate)
}

/// Returns the tracing span of a request. The authenticator adds the name of the token.
pub(in crate::http) fn span(request: &Request, id: Option<&HeaderValue>, route: Route, level: Level) -> Span {
    let id = id.and_then(|id| id.to_str().ok()).unwrap_or_default();
    let (method, path, template) = (request.method(), request.uri().path(), route.template());
    if level == Level::INFO {
        tracing::info_span!("request", id, %method, route = template, path, token = field::Empty)
    } else {
        tracing::debug_span!("request", id, %method, route = template, path, token = field::Empty)
    }
}

/// Logs the outcome of a request and adds its id to the response.
pub(in crate::http) fn finish(
    response: &mut Response,
    id: Option<HeaderValue>,
    level: Level,
    took: Duration,
) {
    let (status, duration_ms) = (response.status().as_u16(), took.as_secs_f64() * 1_000.0);
    if level == Level::INFO {
        tracing::info!(status, duration_ms, "request completed");
    } else {
        tracing::debug!(status, duration_ms, "request completed");
    }
    if let Some(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
}
