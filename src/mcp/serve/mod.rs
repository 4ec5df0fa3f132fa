//! The registry as an MCP server, <https://modelcontextprotocol.io/specification/2026-07-28>, so that a model can look for
//! tools by itself.
//!
//! It answers both eras of the protocol, over streamable HTTP (`/mcp`, behind the same gate as `/v1`) and over standard
//! input and output (`paulina mcp`). What it answers is made for a context window: a few servers or tools, best first, and
//! schemas only as far as there is room for them.

mod backend;
mod handler;
mod http;
mod notifications;
mod read_tools;
mod resources;
mod sessions;
mod tool_definitions;
mod tool_output;
mod tools;
mod write_tools;

pub(crate) use backend::Catalogue;
pub(crate) use handler::{Registrar, Writes};
pub(crate) use http::service;
pub(crate) use notifications::Attentive;
