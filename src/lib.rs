//! **Paulina is a registry for MCP servers** (Model Context Protocol): find out which servers are running, what they offer,
//! and whether they are healthy. It runs in process, as shown here, or as a service (`paulina serve`), and stores its data in
//! SQLite.
//!
//! A server *registers* its tools, resources and prompts, and keeps its *lease* alive by *refreshing* it. A server that stops
//! refreshing becomes *unhealthy* and is pruned. Clients *find* servers by what they offer.
//!
//! # Embedding a registry
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use paulina::{Filter, Registration, Registry};
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("paulina.db");
//! let registry = Registry::open(path).await?;
//!
//! // A server registers. It refreshes its lease after half the ttl.
//! let registered = registry
//!     .register(Registration::stdio("filesystem", ["/usr/local/bin/mcp-filesystem", "/srv"])
//!         .tool("read_file")
//!         .resource("file:///{path}")
//!         .tag("production"))
//!     .await?;
//! registry.refresh(&registered).await?;
//!
//! // A client finds servers.
//! let page = registry.find(Filter::new().tool("read_file").tags(["production"])).await?;
//! assert_eq!(page.servers[0].id, registered.server.id);
//! let page = registry.find(Filter::new().resource("file:///etc/hosts")).await?;
//! assert_eq!(page.servers.len(), 1);
//!
//! // The server deregisters.
//! registry.deregister(&registered).await?;
//! registry.close().await;
//! # Ok(()) }
//! ```
//!
//! With the feature `server`, `http::router` is the HTTP API as an axum router that can be nested in another application,
//! see `examples/orchestrator.rs`. With the feature `client`, `client::Client` accesses a registry service with the same
//! types. The default feature, `cli`, includes both and the command `paulina`.
//!
//! # Vocabulary
//!
//! | term | meaning |
//! |---|---|
//! | catalog | all registered servers with their tools, resources and prompts |
//! | [`Registration`] | what a server registers: its name, transport, capabilities and metadata |
//! | [`Server`] | a registered server: its [`Record`] and the state of its lease |
//! | lease, `ttl` | a server is [healthy](Health) for `ttl` seconds after each refresh |
//! | [`Filter`] | the conditions and options of a query |
//! | capability | a named flag, or the existence of tools, resources or prompts |
//! | token, [`Role`], owner | permissions over HTTP; a server's owner is the name of the token that registered it |
//! | [`Revision`] | the position in the history of changes: registered, updated, deregistered, expired |
//! | epoch | the part of a revision that changes when a database is restored or promoted |
//! | [`Standby`] | a read-only registry that serves copies of another registry's database |
//!
//! # Time
//!
//! Leases only run while the registry is running and can commit: downtime, suspension, a full disk and steps of the wall
//! clock do not age them. After such a gap, leases are paused for a grace period of five seconds, so that every server has
//! time to refresh.
//!
//! # Architecture
//!
//! `model` ← `search` ← `store` ← `registry` ← `http` ← `cli`: domain types, ranking, all SQL, the registry, the HTTP API and
//! the command line. Each layer depends only on those to its left. In addition, `client` depends only on `model`, and `mcp`
//! connects to MCP servers and implements one, for `cli`.

pub mod clock;
mod model;
mod registry;
mod search;
mod store;
mod sync;

#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench_support;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "cli")]
mod config;
#[cfg(feature = "server")]
pub mod http;
#[cfg(feature = "cli")]
mod mcp;
#[cfg(any(feature = "client", feature = "server"))]
mod net;
#[cfg(feature = "cli")]
mod shutdown;
#[cfg(feature = "cli")]
mod telemetry;

pub use model::*;
pub use registry::{Error, Options, Registry, Standby, Watch};
pub use store::OpenError;
