//! The registry as an MCP server, <https://modelcontextprotocol.io/specification/2026-07-28>, so that a model can look for
//! tools by itself.
//!
//! It answers both eras of the protocol, over streamable HTTP (`/mcp`, behind the same gate as `/v1`) and over standard
//! input and output (`paulina mcp`). What it answers is made for a context window: a few servers or tools, best first, and
//! schemas only as far as there is room for them.

mod catalogue;
mod definitions;
mod handler;
mod http;
mod news;
mod reading;
mod resources;
mod sessions;
mod tools;
mod writing;

pub(crate) use catalogue::Catalogue;
pub(crate) use handler::{Registrar, Writes};
pub(crate) use http::service;
pub(crate) use news::Attentive;
