//! One question to whichever of the addresses answers.
//!
//! The address that answered last is asked first (a standby only for a while, since it may be behind), and once more if the
//! connection breaks off: it may be one that was kept and that the other side had given up. Another one is asked when nothing
//! could be sent, when the answer is lost and asking twice does no harm, or when the registry there cannot do it now
//! (502–504): it is a standby, say, which has done nothing.
//! Asking twice does no harm when the second time finds the first one done: a refresh, a registration under an id, a
//! deregistration, every read. Only "if the id is not taken" would take the first time for somebody else.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::HeaderValue;
use http::{HeaderMap, StatusCode};
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

use super::transport::{Call, Failure, Reply, Wire};
use super::{ClientError, Refusal};
use crate::clock::Clock;
use crate::net::media_type::is_event_stream;

/// How long a standby that has answered is asked before anybody else.
const STANDING_IN: Duration = Duration::from_secs(30);

/// The addresses, and which of them is asked first.
#[derive(Debug)]
pub(super) struct Exchange {
    wires: Vec<Wire>,
    turn: Mutex<Turn>,
    token: Option<HeaderValue>,
    clock: Arc<dyn Clock>,
}

/// Which address is asked first.
#[derive(Debug, Default)]
struct Turn {
    /// The one that answered last, standbys left aside.
    first: usize,
    /// A standby that has stood in for it, and until when.
    instead: Option<(usize, Duration)>,
}

/// An answer, from whom, and whether an earlier try may have been carried out already.
pub(crate) struct Answer {
    reply: Reply,
    address: String,
    pub(super) repeated: bool,
}

impl Exchange {
    pub(super) fn new(wires: Vec<Wire>, token: Option<HeaderValue>, clock: Arc<dyn Clock>) -> Self {
        Self { wires, turn: Mutex::default(), token, clock }
    }

    pub(super) fn addresses(&self) -> String {
        self.wires.iter().map(|wire| wire.address.as_str()).collect::<Vec<_>>().join(", ")
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All addresses, in the order in which they are asked.
    fn in_turn(&self) -> impl Iterator<Item = (usize, &Wire)> {
        let now = self.clock.monotonic();
        let mut turn = self.turn();
        turn.instead = turn.instead.filter(|(_, until)| now < *until);
        let first = turn.instead.map_or(turn.first, |(standby, _)| standby);
        drop(turn);
        self.wires.iter().enumerate().cycle().skip(first).take(self.wires.len())
    }

    /// A standby stands in from when it was asked after another one; what it is asked as the first makes that no longer, or
    /// who asks often would stay with it for ever.
    fn answered(&self, index: usize, headers: &HeaderMap, stands_in: bool) {
        let mut turn = self.turn();
        if !is_standby(headers) {
            *turn = Turn { first: index, instead: None };
        } else if stands_in {
            turn.instead = Some((index, self.clock.monotonic().saturating_add(STANDING_IN)));
        }
    }

    /// Asks; the answer has any status.
    pub(super) async fn ask(&self, call: &Call, limit: Duration) -> Result<Answer, ClientError> {
        let (mut repeated, mut busy, mut error) = (false, None, None);
        for (number, (index, wire)) in self.in_turn().enumerate() {
            let mut sent = wire.send(call, self.token.as_ref(), limit).await;
            if matches!(sent, Err(Failure::Broken(_))) && !call.new_only {
                repeated = true;
                sent = wire.send(call, self.token.as_ref(), limit).await;
            }
            match sent {
                Ok(reply) => {
                    let elsewhere = matches!(reply.status.as_u16(), 502..=504);
                    let undone = is_standby(&reply.headers);
                    let answer = Answer { reply, address: wire.address.clone(), repeated };
                    if !elsewhere || (call.new_only && !undone) {
                        self.answered(index, &answer.reply.headers, number > 0);
                        return Ok(answer);
                    }
                    busy = Some(answer);
                }
                Err(failure) => {
                    let unsent = matches!(failure, Failure::Unsent(_) | Failure::Tls(_));
                    error = Some(self.error(wire, failure));
                    if !unsent && call.new_only {
                        break;
                    }
                    repeated |= !unsent;
                }
            }
        }
        busy.ok_or_else(|| error.unwrap_or_else(|| self.unreachable(String::new())))
    }

    /// Asks for a stream; gives its bytes, and from whom they come.
    pub(super) async fn open(&self, call: &Call, limit: Duration) -> Result<(Incoming, String), ClientError> {
        let (mut refused, mut error) = (None, None);
        for (number, (index, wire)) in self.in_turn().enumerate() {
            let address = wire.address.clone();
            match wire.open(call, self.token.as_ref(), limit).await {
                Ok(response) if response.status() == StatusCode::OK && is_stream(response.headers()) => {
                    self.answered(index, response.headers(), number > 0);
                    return Ok((response.into_body(), address));
                }
                Ok(response) => match tokio::time::timeout(limit, Reply::read(response)).await {
                    Ok(Ok(reply)) => refused = Some(Answer { reply, address, repeated: false }.refusal("")),
                    _ => error = Some(self.unreachable("the answer broke off".to_owned())),
                },
                Err(failure) => error = Some(self.error(wire, failure)),
            }
        }
        Err(refused.or(error).unwrap_or_else(|| self.unreachable(String::new())))
    }

    fn error(&self, wire: &Wire, failure: Failure) -> ClientError {
        let address = wire.address.clone();
        match failure {
            Failure::Tls(detail) => ClientError::Tls { address, detail },
            Failure::NoHttp(detail) => ClientError::NotARegistry { address, detail },
            Failure::Unsent(reason) | Failure::Broken(reason) | Failure::Unknown(reason) => {
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

    /// What it says, if it says yes.
    pub(super) fn json<T: DeserializeOwned>(self, id: &str) -> Result<T, ClientError> {
        if !self.status().is_success() {
            return Err(self.refusal(id));
        }
        serde_json::from_slice(&self.reply.body).map_err(|error| self.strange(&error.to_string()))
    }

    /// Why it says no.
    pub(crate) fn refusal(self, id: &str) -> ClientError {
        let id = id.to_owned();
        match serde_json::from_slice::<Refusal>(&self.reply.body) {
            Ok(refusal) if refusal.code == "not_registered" => ClientError::NotRegistered { id },
            Ok(refusal) if refusal.code == "lease_replaced" => ClientError::LeaseReplaced { id },
            Ok(refusal) => ClientError::Refused(refusal),
            Err(_) => self.strange(&format!("status {}", self.status())),
        }
    }

    fn strange(&self, detail: &str) -> ClientError {
        ClientError::NotARegistry { address: self.address.clone(), detail: detail.to_owned() }
    }
}
