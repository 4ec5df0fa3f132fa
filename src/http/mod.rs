//! The HTTP API: sockets in `server`, every request through `pipeline`, the handlers in `api`.
//!
//! [`router`] is the API alone, to nest in an axum application of one's own. [`Server`] is a whole server around it, with
//! what a server needs that others can reach: limits, checks of `Host` and `Origin`, TLS, compression, an orderly end.

mod api;
mod extract;
mod mcp_service;
mod metrics;
mod official_registry;
mod openapi;
mod pipeline;
mod problem;
mod promoter;
mod response;
mod router;
mod server;
mod state;
mod ui;

#[cfg(feature = "cli")]
pub(crate) use official_registry::{NAMESPACE, is_namespace};
pub use openapi::document::document;
pub use problem::{Code, Problem};
pub use router::router;
pub use server::builder::Server;
pub use server::limits::Limits;
pub use server::listener::{Listener, TlsError};
