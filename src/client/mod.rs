//! A client for a registry that runs as a service: the questions and answers of [`Registry`](crate::Registry), over HTTP.
//!
//! ```no_run
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use paulina::client::Client;
//! use paulina::{Filter, Registration};
//!
//! let client = Client::new("http://127.0.0.1:7285")?;
//!
//! // Registered, and refreshed for as long as this is kept.
//! let heartbeat = client.keep_alive(Registration::stdio("files", ["mcp-files", "/srv"]).tool("read_file"))?;
//!
//! let page = client.find(Filter::new().tool("read_file")).await?;
//! let server = client.pick("files").await?;
//! # let _ = (page, server);
//! heartbeat.stop().await;
//! # Ok(()) }
//! ```
//!
//! Give it the addresses of a primary and its standby, and it asks whichever answers.

mod error;
mod failover;
mod heartbeat;
mod options;
mod queries;
mod transport;
#[cfg(unix)]
mod unix;
mod watch;

pub use error::{ClientError, Refusal};
pub use heartbeat::{Beat, Heartbeat};
pub use options::ClientOptions;
#[cfg(feature = "cli")]
pub(crate) use transport::{innermost, trusting};
pub use watch::ClientWatch;

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};

use crate::clock::Clock;
use crate::model::{Invalid, LeaseRef, Refreshed, RefreshedMany, Registered, Registration, new_id};
pub(crate) use failover::Answer;
use failover::Exchange;
use transport::Call;

/// A client of one registry. Cloning gives another handle with the same connections.
#[derive(Debug, Clone)]
pub struct Client {
    exchange: Arc<Exchange>,
    clock: Arc<dyn Clock>,
    timeout: Duration,
}

/// How long a promotion may take: it restores the replica, and checks it.
#[cfg(feature = "cli")]
const PROMOTION: Duration = Duration::from_mins(5);

impl Client {
    /// A client of the registry at this address: `http://…`, `https://…`, or `unix:` and a path.
    ///
    /// # Errors
    /// [`ClientError::Address`], when it is no address.
    pub fn new(address: impl Into<String>) -> Result<Self, ClientError> {
        ClientOptions::new().address(address).build()
    }

    /// Where it asks, for people.
    #[must_use]
    pub fn addresses(&self) -> String {
        self.exchange.addresses()
    }

    /// Registers a server, or replaces what was registered under its id. Whoever registers keeps the lease alive: see
    /// [`keep_alive`](Self::keep_alive).
    ///
    /// A registration without an id is given one first, so that a second try replaces the first instead of standing beside
    /// it.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with all that is wrong with it, and whatever keeps the registry from answering.
    pub async fn register(&self, registration: Registration) -> Result<Registered, ClientError> {
        self.put(registration, false).await
    }

    /// Registers a server, unless its id is taken: [`Refusal::code`] is `already_registered` then.
    ///
    /// # Errors
    /// As [`register`](Self::register).
    pub async fn register_new(&self, registration: Registration) -> Result<Registered, ClientError> {
        self.put(registration, true).await
    }

    async fn put(&self, mut registration: Registration, new_only: bool) -> Result<Registered, ClientError> {
        let id = registration.id.take().unwrap_or_else(|| new_id(&registration.name));
        registration.id = Some(id.clone());
        let mut call = Call::new(Method::POST, ["v1", "servers"]);
        call.body = Some(json(&registration));
        call.new_only = new_only;
        let answer = self.ask(&call).await?;
        let created = answer.status() == StatusCode::CREATED;
        answer.json(&id).map(|registered: Registered| Registered { created, ..registered })
    }

    /// Renews a lease.
    ///
    /// # Errors
    /// [`ClientError::NotRegistered`]: register again. [`ClientError::LeaseReplaced`]: leave it alone.
    pub async fn refresh(&self, lease: impl Into<LeaseRef>) -> Result<Refreshed, ClientError> {
        let lease = lease.into();
        let mut call = Call::new(Method::PUT, ["v1", "servers", &lease.id, "refresh"]);
        call.lease(&lease);
        self.ask(&call).await?.json(&lease.id)
    }

    /// Renews the leases of many ids in one call, and says which of them are not registered.
    ///
    /// # Errors
    /// Whatever keeps the registry from answering.
    pub async fn refresh_many(&self, ids: &[String]) -> Result<RefreshedMany, ClientError> {
        let mut call = Call::new(Method::POST, ["v1", "refresh"]);
        call.body = Some(json(&serde_json::json!({ "ids": ids })));
        self.ask(&call).await?.json("")
    }

    /// Takes a server out.
    ///
    /// # Errors
    /// [`ClientError::NotRegistered`], [`ClientError::LeaseReplaced`].
    pub async fn deregister(&self, lease: impl Into<LeaseRef>) -> Result<(), ClientError> {
        let lease = lease.into();
        let mut call = Call::new(Method::DELETE, ["v1", "servers", &lease.id]);
        call.lease(&lease);
        let answer = self.ask(&call).await?;
        if answer.status().is_success() {
            return Ok(());
        }
        match (answer.repeated, answer.refusal(&lease.id)) {
            // The first time has done it, and only its answer was lost.
            (true, ClientError::NotRegistered { .. }) => Ok(()),
            (_, refusal) => Err(refusal),
        }
    }

    /// Whether the registry is ready, and as what: `primary` or `standby`.
    #[cfg(feature = "cli")]
    pub(crate) async fn role(&self) -> Result<String, ClientError> {
        #[derive(serde::Deserialize)]
        struct Ready {
            role: String,
        }
        self.fetch(&["readyz"]).await?.json("").map(|Ready { role }| role)
    }

    /// Makes a primary of a standby.
    #[cfg(feature = "cli")]
    pub(crate) async fn promote(&self, force: bool) -> Result<(), ClientError> {
        let mut call = Call::new(Method::POST, ["v1", "promote"]);
        call.query.push(("force".to_owned(), force.to_string()));
        let answer = self.exchange.ask(&call, PROMOTION).await?;
        if answer.status().is_success() { Ok(()) } else { Err(answer.refusal("")) }
    }

    /// Registers a server, keeps its lease alive, registers it again when the registry has lost it, and takes it out when
    /// the [`Heartbeat`] is stopped or dropped. It begins at once in the background, and does not mind that the registry is
    /// down.
    ///
    /// # Errors
    /// When the registration is not valid, with all that is wrong with it.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn keep_alive(&self, registration: Registration) -> Result<Heartbeat, Invalid> {
        Heartbeat::start(self.clone(), registration, None)
    }

    /// As [`keep_alive`](Self::keep_alive), for a server that is asked before each time whether it is alive. While it is
    /// not, its lease runs out.
    ///
    /// # Errors
    /// When the registration is not valid, with all that is wrong with it.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn keep_alive_while<F>(
        &self,
        registration: Registration,
        is_alive: impl Fn() -> F + Send + Sync + 'static,
    ) -> Result<Heartbeat, Invalid>
    where
        F: Future<Output = bool> + Send + 'static,
    {
        let check = heartbeat::Check(Arc::new(move || Box::pin(is_alive())));
        Heartbeat::start(self.clone(), registration, Some(check))
    }

    /// What is answered at a path, whatever it is.
    #[cfg(feature = "cli")]
    pub(crate) async fn fetch(&self, path: &[&str]) -> Result<Answer, ClientError> {
        self.ask(&Call::new(Method::GET, path.iter().copied())).await
    }

    async fn ask(&self, call: &Call) -> Result<Answer, ClientError> {
        // No URL can name these: they would lead elsewhere. Nor can anything be registered under them.
        if let Some(id) = call.path.iter().find(|segment| matches!(segment.as_str(), "." | "..")) {
            return Err(ClientError::NotRegistered { id: id.clone() });
        }
        self.exchange.ask(call, self.timeout).await
    }

    fn patience(&self, timeout: Duration) -> Self {
        Self { timeout: timeout.min(self.timeout), ..self.clone() }
    }
}

impl Call {
    fn new<'a>(method: Method, path: impl IntoIterator<Item = &'a str>) -> Self {
        let path = path.into_iter().map(str::to_owned).collect();
        Self { method, path, query: Vec::new(), body: None, new_only: false }
    }

    fn lease(&mut self, lease: &LeaseRef) {
        self.query.extend(lease.lease.map(|lease| ("lease".to_owned(), lease.to_string())));
    }
}

/// A body. What it is made of has no keys but texts, so that it is always JSON.
fn json(body: &impl serde::Serialize) -> bytes::Bytes {
    serde_json::to_vec(body).unwrap_or_default().into()
}

/// Any number; always the same one where the operating system gives none.
fn random() -> u32 {
    let mut bytes = [0; 4];
    let _ = getrandom::fill(&mut bytes);
    u32::from_le_bytes(bytes)
}
