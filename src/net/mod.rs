//! What client, server and MCP transports share of the wire.

#[cfg(feature = "client")]
pub(crate) mod backoff;
pub(crate) mod media_type;
#[cfg(feature = "client")]
pub(crate) mod sse;
#[cfg(feature = "client")]
pub(crate) mod tls;
