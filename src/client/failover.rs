//! Sends one request to the first address that can answer it.
//!
//! The address that answered last is tried first; a standby only for a while, since its data may be old. If the connection is
//! lost, the request is sent to the same address once more: it may have been a kept connection that the server had closed. The
//! next address is tried if nothing could be sent, if the response is lost and the request is idempotent, or if the registry
//! is unavailable (502–504), as a standby is for writes.
//! A request is idempotent if sending it twice has the effect of sending it once: a refresh, a registration under an id, a
//! deregistration, every read. A registration that must not replace another one is not: the second attempt would take the
//! first one for another process.
//!
//! [`decide`] contains these rules; `tests/vectors/failover.json` tests that the Rust, Python and TypeScript clients agree.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::HeaderValue;
use http::{HeaderMap, StatusCode};
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

use super::transport::{Failure, HttpTransport, Reply, Request};
use super::{ApiError, ClientError};
use crate::clock::Clock;
use crate::net::media_type::is_event_stream;

/// How long a standby that answered in place of another address is tried first.
const STANDBY_PREFERENCE: Duration = Duration::from_secs(30);

/// The addresses of a registry, and the order in which they are tried.
#[derive(Debug)]
pub(super) struct Failover {
    transports: Vec<HttpTransport>,
    order: Mutex<AddressOrder>,
    token: Option<HeaderValue>,
    clock: Arc<dyn Clock>,
}

/// The outcome of one attempt, as far as the next step depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Deserialize), serde(tag = "outcome", rename_all = "snake_case"))]
enum Outcome {
    Response {
        status: u16,
        from_standby: bool,
    },
    /// Nothing was sent.
    Unsent,
    /// The connection was lost, maybe a kept one that the server had closed; the request may have been processed.
    ConnectionLost,
    /// The request may have been processed.
    Unknown,
}

/// What follows an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Deserialize), serde(rename_all = "snake_case"))]
enum Decision {
    Return,
    RetrySame,
    TryNext,
    Stop,
}

/// Decides what follows an attempt. A retry is the second attempt at the same address.
fn decide(outcome: Outcome, is_retry: bool, not_idempotent: bool) -> Decision {
    match outcome {
        // A standby has done nothing. Another server may have: a proxy answers 504 for a request that it passed on.
        Outcome::Response { status: 502..=504, from_standby } if from_standby || !not_idempotent => {
            Decision::TryNext
        }
        Outcome::Response { .. } => Decision::Return,
        Outcome::ConnectionLost | Outcome::Unknown if not_idempotent => Decision::Stop,
        Outcome::ConnectionLost if !is_retry => Decision::RetrySame,
        Outcome::Unsent | Outcome::ConnectionLost | Outcome::Unknown => Decision::TryNext,
    }
}

impl Outcome {
    fn of(result: &Result<Reply, Failure>) -> Self {
        match result {
            Ok(reply) => {
                Self::Response { status: reply.status.as_u16(), from_standby: is_standby(&reply.headers) }
            }
            Err(Failure::Unsent(_) | Failure::Tls(_)) => Self::Unsent,
            Err(Failure::ConnectionLost(_)) => Self::ConnectionLost,
            Err(Failure::Unknown(_) | Failure::NotHttp(_)) => Self::Unknown,
        }
    }

    /// Whether the server may have carried out the request although there is no response.
    fn may_have_been_processed(self) -> bool {
        matches!(self, Self::ConnectionLost | Self::Unknown)
    }
}

/// Which address is tried first.
#[derive(Debug, Default)]
struct AddressOrder {
    primary: usize,
    /// The standby that answered in place of another address, and until when it is preferred.
    preferred_standby: Option<(usize, Duration)>,
}

impl AddressOrder {
    /// Returns the indexes of all addresses in the order in which they are tried.
    fn ordered(&self, count: usize, now: Duration) -> impl Iterator<Item = usize> + use<> {
        let standby = self.preferred_standby.filter(|(_, until)| now < *until);
        let first = standby.map_or(self.primary, |(index, _)| index);
        (0..count).cycle().skip(first).take(count)
    }

    /// Records which address answered.
    fn record_response(&mut self, index: usize, now: Duration, from_standby: bool, was_first: bool) {
        if !from_standby {
            *self = Self { primary: index, preferred_standby: None };
        } else if !was_first {
            // A standby that was tried first gets no more time: a client that sends requests often would never try the
            // primary again.
            self.preferred_standby = Some((index, now.saturating_add(STANDBY_PREFERENCE)));
        }
    }
}

/// A response, its address, and whether an earlier attempt may have been processed.
pub(crate) struct Answer {
    reply: Reply,
    address: String,
    pub(super) repeated: bool,
}

impl Failover {
    pub(super) fn new(
        transports: Vec<HttpTransport>,
        token: Option<HeaderValue>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { transports, order: Mutex::default(), token, clock }
    }

    pub(super) fn addresses(&self) -> String {
        self.transports.iter().map(|transport| transport.address.as_str()).collect::<Vec<_>>().join(", ")
    }

    fn order(&self) -> MutexGuard<'_, AddressOrder> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All addresses in the order in which they are tried.
    fn ordered(&self) -> impl Iterator<Item = (usize, &HttpTransport)> {
        let now = self.clock.monotonic();
        let indexes = self.order().ordered(self.transports.len(), now);
        indexes.filter_map(move |index| self.transports.get(index).map(|transport| (index, transport)))
    }

    fn record_response(&self, index: usize, headers: &HeaderMap, was_first: bool) {
        let now = self.clock.monotonic();
        self.order().record_response(index, now, is_standby(headers), was_first);
    }

    /// Sends a request; the answer may have any status.
    pub(super) async fn send(&self, request: &Request, timeout: Duration) -> Result<Answer, ClientError> {
        let (mut repeated, mut unavailable, mut error) = (false, None, None);
        'addresses: for (number, (index, transport)) in self.ordered().enumerate() {
            for is_retry in [false, true] {
                let result = transport.send(request, self.token.as_ref(), timeout).await;
                let outcome = Outcome::of(&result);
                let decision = decide(outcome, is_retry, request.new_only);
                match result {
                    Ok(reply) => {
                        let answer = Answer { reply, address: transport.address.clone(), repeated };
                        if decision == Decision::Return {
                            self.record_response(index, &answer.reply.headers, number == 0);
                            return Ok(answer);
                        }
                        unavailable = Some(answer);
                    }
                    Err(failure) => error = Some(self.error(transport, failure)),
                }
                repeated |= outcome.may_have_been_processed();
                match decision {
                    Decision::RetrySame => {}
                    Decision::Return | Decision::TryNext => break,
                    Decision::Stop => break 'addresses,
                }
            }
        }
        unavailable.ok_or_else(|| error.unwrap_or_else(|| self.unreachable(String::new())))
    }

    /// Opens an event stream; returns its bytes and its address.
    pub(super) async fn open(
        &self,
        request: &Request,
        timeout: Duration,
    ) -> Result<(Incoming, String), ClientError> {
        let (mut rejection, mut error) = (None, None);
        for (number, (index, transport)) in self.ordered().enumerate() {
            let address = transport.address.clone();
            match transport.open(request, self.token.as_ref(), timeout).await {
                Ok(response) if response.status() == StatusCode::OK && is_stream(response.headers()) => {
                    self.record_response(index, response.headers(), number == 0);
                    return Ok((response.into_body(), address));
                }
                Ok(response) => match tokio::time::timeout(timeout, Reply::read(response)).await {
                    Ok(Ok(reply)) => {
                        rejection = Some(Answer { reply, address, repeated: false }.not_a_stream());
                    }
                    _ => error = Some(self.unreachable("the response is incomplete".to_owned())),
                },
                Err(failure) => error = Some(self.error(transport, failure)),
            }
        }
        Err(rejection.or(error).unwrap_or_else(|| self.unreachable(String::new())))
    }

    fn error(&self, transport: &HttpTransport, failure: Failure) -> ClientError {
        let address = transport.address.clone();
        match failure {
            Failure::Tls(detail) => ClientError::Tls { address, detail },
            Failure::NotHttp(detail) => ClientError::NotARegistry { address, detail },
            Failure::Unsent(reason) | Failure::ConnectionLost(reason) | Failure::Unknown(reason) => {
                self.unreachable(reason)
            }
        }
    }

    fn unreachable(&self, reason: String) -> ClientError {
        ClientError::Unreachable { addresses: self.addresses(), reason }
    }
}

fn is_stream(headers: &HeaderMap) -> bool {
    headers.get(http::header::CONTENT_TYPE).is_some_and(|kind| is_event_stream(kind.as_bytes()))
}

fn is_standby(headers: &HeaderMap) -> bool {
    headers.get("paulina-role").is_some_and(|role| role == "standby")
}

impl Answer {
    pub(crate) fn status(&self) -> StatusCode {
        self.reply.status
    }

    #[cfg(feature = "cli")]
    pub(crate) fn is_by_standby(&self) -> bool {
        is_standby(&self.reply.headers)
    }

    #[cfg(feature = "cli")]
    pub(crate) fn headers(&self) -> &http::HeaderMap {
        &self.reply.headers
    }

    #[cfg(feature = "cli")]
    pub(crate) fn text(&self) -> &[u8] {
        &self.reply.body
    }

    /// Returns the parsed body, or the error that the response contains.
    pub(super) fn json<T: DeserializeOwned>(self, id: &str) -> Result<T, ClientError> {
        if !self.status().is_success() {
            return Err(self.error(id));
        }
        serde_json::from_slice(&self.reply.body).map_err(|error| self.unexpected(&error.to_string()))
    }

    /// Returns the error that the response contains.
    pub(crate) fn error(self, id: &str) -> ClientError {
        let id = id.to_owned();
        match serde_json::from_slice::<ApiError>(&self.reply.body) {
            Ok(error) if error.code == "not_registered" => ClientError::NotRegistered { id },
            Ok(error) if error.code == "lease_replaced" => ClientError::LeaseReplaced { id },
            Ok(error) => ClientError::Api(error),
            Err(_) => self.unexpected(&format!("status {}", self.status())),
        }
    }

    fn not_a_stream(self) -> ClientError {
        if self.status().is_success() {
            self.unexpected("the response is not an event stream")
        } else {
            self.error("")
        }
    }

    fn unexpected(&self, detail: &str) -> ClientError {
        ClientError::NotARegistry { address: self.address.clone(), detail: detail.to_owned() }
    }
}

/// The test vectors that the Rust, Python and TypeScript clients share.
#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Vectors {
        decide: Vec<Attempt>,
        may_have_been_processed: Vec<Processed>,
        address_order: Vec<Sequence>,
        errors: Vec<ErrorResponse>,
    }

    #[derive(Debug, Deserialize)]
    struct Attempt {
        #[serde(flatten)]
        outcome: Outcome,
        is_retry: bool,
        not_idempotent: bool,
        decision: Decision,
    }

    #[derive(Debug, Deserialize)]
    struct Processed {
        #[serde(flatten)]
        outcome: Outcome,
        expected: bool,
    }

    #[derive(Deserialize)]
    struct Sequence {
        name: String,
        addresses: usize,
        steps: Vec<Step>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(untagged)]
    enum Step {
        Order { at: u64, order: Vec<usize> },
        Response { at: u64, response_from: usize, from_standby: bool, was_first: bool },
    }

    #[derive(Debug, Deserialize)]
    struct ErrorResponse {
        status: u16,
        body: String,
        error: String,
        temporary: bool,
        #[serde(default)]
        violations: usize,
    }

    fn vectors() -> Vectors {
        serde_json::from_str(include_str!("../../tests/vectors/failover.json")).unwrap()
    }

    #[test]
    fn an_attempt_decides_what_follows() {
        for attempt in vectors().decide {
            let decision = decide(attempt.outcome, attempt.is_retry, attempt.not_idempotent);
            assert_eq!(decision, attempt.decision, "{attempt:?}");
        }
        for processed in vectors().may_have_been_processed {
            let found = processed.outcome.may_have_been_processed();
            assert_eq!(found, processed.expected, "{processed:?}");
        }
    }

    #[test]
    fn the_address_that_answered_last_is_tried_first() {
        for Sequence { name, addresses, steps } in vectors().address_order {
            let mut order = AddressOrder::default();
            for step in steps {
                match &step {
                    Step::Order { at, order: expected } => {
                        let found = order.ordered(addresses, Duration::from_millis(*at));
                        assert_eq!(&found.collect::<Vec<_>>(), expected, "{name}: {step:?}");
                    }
                    Step::Response { at, response_from, from_standby, was_first } => {
                        let now = Duration::from_millis(*at);
                        order.record_response(*response_from, now, *from_standby, *was_first);
                    }
                }
            }
        }
    }

    #[test]
    fn a_response_contains_an_error() {
        for vector in vectors().errors {
            let status = StatusCode::from_u16(vector.status).unwrap();
            let body = vector.body.clone().into_bytes().into();
            let reply = Reply { status, headers: HeaderMap::new(), body };
            let error = Answer { reply, address: "http://127.0.0.1".to_owned(), repeated: false }.error("x");
            let (kind, violations) = match &error {
                ClientError::NotRegistered { .. } => ("not_registered", 0),
                ClientError::LeaseReplaced { .. } => ("lease_replaced", 0),
                ClientError::Api(error) => ("api_error", error.errors.len()),
                ClientError::NotARegistry { .. } => ("not_a_registry", 0),
                other => panic!("{other:?}"),
            };
            let expected = (vector.error.as_str(), vector.violations, vector.temporary);
            assert_eq!((kind, violations, error.is_temporary()), expected, "{vector:?}");
        }
    }
}
