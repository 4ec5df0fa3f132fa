//! The registry as an MCP server, <https://modelcontextprotocol.io/specification/2026-07-28>, with which a model can search
//! for tools.
//!
//! It supports both eras of the protocol, over Streamable HTTP (`/mcp`, with the same access rules as `/v1`) and over standard
//! input and output (`paulina mcp`). Results are sized for a context window: a few servers or tools, best match first, and
//! schemas only up to a size limit.

mod backend;
mod handler;
mod http;
mod notifications;
mod read_tools;
mod resources;
mod revision_recorder;
mod sessions;
mod tool_definitions;
mod tool_output;
mod tools;
mod write_tools;

pub(crate) use backend::Backend;
pub(crate) use handler::{RegistryMcpServer, WriteAccess};
pub(crate) use http::service;
pub(crate) use revision_recorder::RevisionRecorder;
