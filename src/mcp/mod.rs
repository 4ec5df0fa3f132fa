//! MCP, the Model Context Protocol, <https://modelcontextprotocol.io>: a client that describes servers, and the registry as a
//! server ([`serve`]).
//!
//! A [`Session`] supports both eras of the protocol (`server/discover` of 2026-07-28, and `initialize`), over standard input and
//! output, Streamable HTTP, and the legacy HTTP+SSE transport. It reads only the lists that the server declares as
//! capabilities.

mod child;
mod diagnose;
mod error;
mod handshake;
mod http;
mod introspect;
pub(crate) mod serve;
mod session;
mod sse;

pub(crate) use child::ANNOUNCED_VARIABLE;
pub(crate) use error::McpError;
pub(crate) use handshake::Era;
pub(crate) use http::{Endpoint, EndpointTransport};
pub(crate) use session::{Session, Target};
