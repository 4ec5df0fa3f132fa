//! **Paulina is a registry for MCP servers** (Model Context Protocol): which are there, what can they do, are they
//! alive? It runs inside a process, as here, or as a service (`paulina serve`), and lives in SQLite.
//!
//! A server *registers* itself with its tools, resources and prompts, and holds a *lease* that it *refreshes*; what
//! stops refreshing is *unhealthy* and is pruned. Clients *find* servers by what they can do.
//!
//! # A registry in an orchestrator
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use paulina::{Filter, Registration, Registry};
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("paulina.db");
//! let registry = Registry::open(path).await?;
//!
//! // A server comes, and names its lease when it refreshes: at half the ttl.
//! let registered = registry
//!     .register(Registration::stdio("filesystem", ["/usr/local/bin/mcp-filesystem", "/srv"])
//!         .tool("read_file")
//!         .resource("file:///{path}")
//!         .tag("production"))
//!     .await?;
//! registry.refresh(&registered).await?;
//!
//! // A client asks.
//! let page = registry.find(Filter::new().tool("read_file").tags(["production"])).await?;
//! assert_eq!(page.servers[0].id, registered.server.id);
//! let page = registry.find(Filter::new().resource("file:///etc/hosts")).await?;
//! assert_eq!(page.servers.len(), 1);
//!
//! // The server leaves.
//! registry.deregister(&registered).await?;
//! registry.close().await;
//! # Ok(()) }
//! ```
//!
//! With the feature `server` `http::router` is the HTTP API as an axum router, to nest in an application of one's own;
//! `examples/orchestrator.rs` does that. With the feature `client`, `client::Client` asks a registry that runs as a service,
//! in the same words. The default feature, `cli`, has both, and the command `paulina`.
//!
//! # Words
//!
//! | word | meaning |
//! |---|---|
//! | [`Registration`] | what a server says of itself |
//! | [`Server`] | the record that the registry keeps of it |
//! | lease, ttl | a server is [healthy](Health) for `ttl` seconds after each refresh |
//! | [`Filter`] | what a client asks for |
//! | capability | a named flag, or having any tools, resources or prompts |
//! | token, [`Role`], owner | who may do what over HTTP; a server belongs to the token, by name, that registered it |
//! | [`Revision`] | the number of the last change: registered, updated, deregistered, expired |
//!
//! # Time
//!
//! A lease runs only while the registry is awake and can commit. Downtime, suspend, a full disk and steps of the wall
//! clock age no lease; after each, leases stand still for five seconds, so that every server gets its turn.
//!
//! # Where things are
//!
//! `model` ← `search` ← `store` ← `registry` ← `http` ← `cli`: plain types, ranking, the only SQL, the registry itself,
//! status codes, the command line. Each knows only what stands to its left. Beside them, `client` knows `model` alone, and `mcp` speaks to
//! MCP servers, and is one, for `cli`.

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
