//! The HTTP API: sockets in `server`, the request pipeline in `pipeline`, the handlers in `api`.
//!
//! [`router`] returns only the API, to be nested in another axum application. [`HttpServer`] is a complete server around it, with
//! limits, checks of `Host` and `Origin`, TLS, compression and graceful shutdown.

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
#[cfg(feature = "cli")]
pub(crate) use problem::codes as problem_codes;
pub use problem::{Code, Problem};
pub use router::router;
pub use server::builder::HttpServer;
pub use server::limits::Limits;
pub use server::listener::{Listener, TlsError};
