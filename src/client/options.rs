//! The options of a client.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::HeaderValue;

use super::failover::Failover;
use super::transport::HttpTransport;
use super::{Client, ClientError};
use crate::clock::{Clock, SystemClock};
use crate::net::tls;

/// How long a response may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The options of a [`Client`].
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
    /// Returns options without an address and a token, and with a timeout of 10 s.
    #[must_use]
    pub fn new() -> Self {
        Self { addresses: Vec::new(), token: None, timeout: TIMEOUT, clock: None }
    }

    /// Adds an address: `http://…`, `https://…`, or `unix:` and a path. The address that responded last is tried first.
    #[must_use]
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.addresses.push(address.into());
        self
    }

    /// Sets the token.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Sets how long one address may take to respond; default 10 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the clock of heartbeats.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Creates the client. It connects with the first request.
    ///
    /// # Errors
    /// [`ClientError::Address`] if an address or the token is not valid.
    pub fn build(self) -> Result<Client, ClientError> {
        let wrong =
            |address: &str, detail: String| ClientError::Address { address: address.to_owned(), detail };
        let first = self.addresses.first().ok_or_else(|| wrong("", "no address is given".to_owned()))?;
        let uses_tls = self.addresses.iter().any(|address| address.starts_with("https:"));
        let tls = tls::client_config(uses_tls).map_err(|error| wrong(first, error.to_string()))?;
        let transports = self.addresses.iter().map(|address| HttpTransport::new(address, &tls));
        let transports = transports.collect::<Result<Vec<_>, _>>()?;
        let token = self.token.map(|token| {
            let mut value = HeaderValue::try_from(format!("Bearer {token}"))
                .ok()
                .filter(|_| token.bytes().all(|byte| byte.is_ascii_graphic()))
                .ok_or_else(|| wrong(first, "the token for it is not valid".to_owned()))?;
            value.set_sensitive(true);
            Ok::<_, ClientError>(value)
        });
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock::new()));
        Ok(Client {
            failover: Arc::new(Failover::new(transports, token.transpose()?, Arc::clone(&clock))),
            clock,
            timeout: self.timeout,
        })
    }
}
