//! A client for a registry that runs as a service: the API of [`Registry`](crate::Registry), over HTTP.
//!
//! ```no_run
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use paulina::client::Client;
//! use paulina::{Filter, Registration};
//!
//! let client = Client::new("http://127.0.0.1:7285")?;
//!
//! // Registered, and refreshed until this is stopped or dropped.
//! let heartbeat = client.keep_alive(Registration::stdio("files", ["mcp-files", "/srv"]).tool("read_file"))?;
//!
//! let page = client.find(Filter::new().tool("read_file")).await?;
//! let server = client.pick("files").await?;
//! # let _ = (page, server);
//! heartbeat.stop().await;
//! # Ok(()) }
//! ```
//!
//! With the addresses of a primary and its standby, it uses the one that responds.

mod error;
mod failover;
mod heartbeat;
mod options;
mod queries;
mod transport;
#[cfg(unix)]
mod unix;
mod watch;

pub use error::{ApiError, ClientError};
pub use heartbeat::{Heartbeat, HeartbeatStatus};
pub use options::ClientOptions;
#[cfg(feature = "cli")]
pub(crate) use transport::root_cause;
pub use watch::ClientWatch;

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};

use crate::clock::Clock;
use crate::model::{
    InvalidRegistration, LeaseRef, Refreshed, RefreshedMany, Registered, Registration, new_id,
};
pub(crate) use failover::Answer;
use failover::Failover;
use transport::Request;

/// A client of one registry. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Client {
    failover: Arc<Failover>,
    clock: Arc<dyn Clock>,
    timeout: Duration,
}

/// How long a promotion may take: it restores the replica, and checks it.
#[cfg(feature = "cli")]
const PROMOTION_TIMEOUT: Duration = Duration::from_mins(5);

impl Client {
    /// Creates a client of the registry at this address: `http://…`, `https://…`, or `unix:` and a path.
    ///
    /// # Errors
    /// [`ClientError::Address`] if the address is not valid.
    pub fn new(address: impl Into<String>) -> Result<Self, ClientError> {
        ClientOptions::new().address(address).build()
    }

    /// Returns the addresses, for messages.
    #[must_use]
    pub fn addresses(&self) -> String {
        self.failover.addresses()
    }

    /// Registers a server, or replaces the registration of its id. The caller has to refresh the lease: see
    /// [`keep_alive`](Self::keep_alive).
    ///
    /// A registration without an id gets one first, so that a retry replaces it instead of adding another.
    ///
    /// # Errors
    /// [`ClientError::Api`] with every violation if the registration is not valid, and all errors of a request.
    pub async fn register(&self, registration: Registration) -> Result<Registered, ClientError> {
        self.post_registration(registration, false).await
    }

    /// Registers a server unless its id is taken; then [`ApiError::code`] is `already_registered`.
    ///
    /// # Errors
    /// As [`register`](Self::register).
    pub async fn register_new(&self, registration: Registration) -> Result<Registered, ClientError> {
        self.post_registration(registration, true).await
    }

    async fn post_registration(
        &self,
        mut registration: Registration,
        new_only: bool,
    ) -> Result<Registered, ClientError> {
        let id = registration.id.take().unwrap_or_else(|| new_id(&registration.record.name));
        registration.id = Some(id.clone());
        let mut request = Request::new(Method::POST, ["v1", "servers"]);
        request.body = Some(json(&registration));
        request.new_only = new_only;
        let answer = self.send(&request).await?;
        let created = answer.status() == StatusCode::CREATED;
        answer.json(&id).map(|registered: Registered| Registered { created, ..registered })
    }

    /// Refreshes a lease.
    ///
    /// # Errors
    /// [`ClientError::NotRegistered`]: register again. [`ClientError::LeaseReplaced`]: stop refreshing.
    pub async fn refresh(&self, lease: impl Into<LeaseRef>) -> Result<Refreshed, ClientError> {
        let lease = lease.into();
        let mut request = Request::new(Method::PUT, ["v1", "servers", &lease.id, "refresh"]);
        request.lease(&lease);
        self.send(&request).await?.json(&lease.id)
    }

    /// Refreshes the leases of many ids in one request, and returns which of them are not registered.
    ///
    /// # Errors
    /// All errors of a request.
    pub async fn refresh_many(&self, ids: &[String]) -> Result<RefreshedMany, ClientError> {
        let mut request = Request::new(Method::POST, ["v1", "refresh"]);
        request.body = Some(json(&serde_json::json!({ "ids": ids })));
        self.send(&request).await?.json("")
    }

    /// Deregisters a server.
    ///
    /// # Errors
    /// [`ClientError::NotRegistered`], [`ClientError::LeaseReplaced`].
    pub async fn deregister(&self, lease: impl Into<LeaseRef>) -> Result<(), ClientError> {
        let lease = lease.into();
        let mut request = Request::new(Method::DELETE, ["v1", "servers", &lease.id]);
        request.lease(&lease);
        let answer = self.send(&request).await?;
        if answer.status().is_success() {
            return Ok(());
        }
        match (answer.repeated, answer.error(&lease.id)) {
            // The first attempt succeeded, and only its response was lost.
            (true, ClientError::NotRegistered { .. }) => Ok(()),
            (_, error) => Err(error),
        }
    }

    /// Returns the role of a registry that is ready: `primary` or `standby`.
    #[cfg(feature = "cli")]
    pub(crate) async fn role(&self) -> Result<String, ClientError> {
        #[derive(serde::Deserialize)]
        struct Ready {
            role: String,
        }
        self.fetch(&["readyz"]).await?.json("").map(|Ready { role }| role)
    }

    /// Promotes a standby to primary.
    #[cfg(feature = "cli")]
    pub(crate) async fn promote(&self, force: bool) -> Result<(), ClientError> {
        let mut request = Request::new(Method::POST, ["v1", "promote"]);
        request.query.push(("force".to_owned(), force.to_string()));
        let answer = self.failover.send(&request, PROMOTION_TIMEOUT).await?;
        if answer.status().is_success() { Ok(()) } else { Err(answer.error("")) }
    }

    /// Registers a server, refreshes its lease, registers it again if the registry has lost it, and deregisters it when the
    /// [`Heartbeat`] is stopped or dropped. It starts in the background, also while the registry is down.
    ///
    /// # Errors
    /// If the registration is not valid, with every violation.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn keep_alive(&self, registration: Registration) -> Result<Heartbeat, InvalidRegistration> {
        Heartbeat::start(self.clone(), registration, None)
    }

    /// Does the same as [`keep_alive`](Self::keep_alive), but checks before each refresh whether the server is alive. While it
    /// is not, its lease expires.
    ///
    /// # Errors
    /// If the registration is not valid, with every violation.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn keep_alive_while<F>(
        &self,
        registration: Registration,
        is_alive: impl Fn() -> F + Send + Sync + 'static,
    ) -> Result<Heartbeat, InvalidRegistration>
    where
        F: Future<Output = bool> + Send + 'static,
    {
        let check = heartbeat::Check(Arc::new(move || Box::pin(is_alive())));
        Heartbeat::start(self.clone(), registration, Some(check))
    }

    /// Gets a path, and returns any response.
    #[cfg(feature = "cli")]
    pub(crate) async fn fetch(&self, path: &[&str]) -> Result<Answer, ClientError> {
        self.send(&Request::new(Method::GET, path.iter().copied())).await
    }

    async fn send(&self, request: &Request) -> Result<Answer, ClientError> {
        // No URL can name these ids, and no server can be registered under them.
        if let Some(id) = request.path.iter().find(|segment| matches!(segment.as_str(), "." | "..")) {
            return Err(ClientError::NotRegistered { id: id.clone() });
        }
        self.failover.send(request, self.timeout).await
    }

    fn with_timeout(&self, timeout: Duration) -> Self {
        Self { timeout: timeout.min(self.timeout), ..self.clone() }
    }
}

impl Request {
    fn new<'a>(method: Method, path: impl IntoIterator<Item = &'a str>) -> Self {
        let path = path.into_iter().map(str::to_owned).collect();
        Self { method, path, query: Vec::new(), body: None, new_only: false }
    }

    fn lease(&mut self, lease: &LeaseRef) {
        self.query.extend(lease.lease.map(|lease| ("lease".to_owned(), lease.to_string())));
    }
}

/// Serializes a body. All keys are strings, so this cannot fail.
fn json(body: &impl serde::Serialize) -> bytes::Bytes {
    serde_json::to_vec(body).unwrap_or_default().into()
}

/// Returns a random number; always the same if the operating system provides none.
fn random() -> u32 {
    let mut bytes = [0; 4];
    let _ = getrandom::fill(&mut bytes);
    u32::from_le_bytes(bytes)
}
