//! How a client is made.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::HeaderValue;

use super::failover::Exchange;
use super::transport;
use super::transport::Wire;
use super::{Client, ClientError};
use crate::clock::{Clock, SystemClock};

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How a [`Client`] is made.
///
/// ```
/// # fn main() -> Result<(), paulina::client::ClientError> {
/// let client = paulina::client::ClientOptions::new()
///     .address("http://10.0.0.1:7285")
///     .address("http://10.0.0.2:7285")
///     .token("secret")
///     .build()?;
/// # let _ = client;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct ClientOptions {
    addresses: Vec<String>,
    token: Option<String>,
    timeout: Duration,
    clock: Option<Arc<dyn Clock>>,
}

impl fmt::Debug for ClientOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = self.token.as_ref().map(|_| "…");
        formatter
            .debug_struct("ClientOptions")
            .field("addresses", &self.addresses)
            .field("token", &token)
            .finish_non_exhaustive()
    }
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl ClientOptions {
    /// No address, no token, 10 s for an answer.
    #[must_use]
    pub fn new() -> Self {
        Self { addresses: Vec::new(), token: None, timeout: TIMEOUT, clock: None }
    }

    /// Adds an address: `http://…`, `https://…`, or `unix:` and a path. The one that answered last is asked first.
    #[must_use]
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.addresses.push(address.into());
        self
    }

    /// The token to ask with.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// How long one address may take to answer.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Where heartbeats take their time from.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// The client. It connects when it is asked something.
    ///
    /// # Errors
    /// [`ClientError::Address`], when an address is none, or the token is no token.
    pub fn build(self) -> Result<Client, ClientError> {
        let wrong =
            |address: &str, detail: String| ClientError::Address { address: address.to_owned(), detail };
        let first = self.addresses.first().ok_or_else(|| wrong("", "there is none".to_owned()))?;
        let spoken = self.addresses.iter().any(|address| address.starts_with("https:"));
        let tls = transport::trusting(spoken).map_err(|error| wrong(first, error.to_string()))?;
        let wires = self.addresses.iter().map(|address| Wire::new(address, &tls));
        let wires = wires.collect::<Result<Vec<_>, _>>()?;
        let token = self.token.map(|token| {
            let mut value = HeaderValue::try_from(format!("Bearer {token}"))
                .ok()
                .filter(|_| token.bytes().all(|byte| byte.is_ascii_graphic()))
                .ok_or_else(|| wrong(first, "the token to ask it with is no token".to_owned()))?;
            value.set_sensitive(true);
            Ok::<_, ClientError>(value)
        });
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock::new()));
        Ok(Client {
            exchange: Arc::new(Exchange::new(wires, token.transpose()?, Arc::clone(&clock))),
            clock,
            timeout: self.timeout,
        })
    }
}
