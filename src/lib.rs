//! The registry for MCP servers.
pub mod clock;
mod model;
mod registry;
mod store;
pub use model::*;
pub use registry::{Error, Options, Registry};
pub use store::OpenError;
