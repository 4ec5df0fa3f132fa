//! MCP, the Model Context Protocol, <https://modelcontextprotocol.io>: what a server says of itself, and the registry as a server
//! ([`serve`]).
//!
//! A [`Session`] speaks either era of the protocol (`server/discover` of 2026-07-28, or else `initialize`), over standard
//! input and output, streamable HTTP, or HTTP with server-sent events. A description is read only as far as the server
//! says that it has something to describe.

mod child;
mod diagnose;
mod error;
mod handshake;
mod http;
mod introspect;
pub(crate) mod serve;
mod session;
mod sse;

pub(crate) use child::ANNOUNCED;
pub(crate) use error::McpError;
pub(crate) use handshake::Era;
pub(crate) use http::{Endpoint, Speaks};
pub(crate) use session::{Session, Target};
