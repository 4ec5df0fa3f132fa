//! The arguments and the output of tools.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::backend::{RequestError, RequestResult};

/// The output of a tool, as structured data and as short text.
pub(super) struct ToolOutput {
    pub(super) structured: Value,
    pub(super) text: String,
}

/// Parses the arguments of a tool. Unknown members are rejected.
pub(super) fn parse_arguments<T: DeserializeOwned>(arguments: Value) -> RequestResult<T> {
    serde_json::from_value(arguments).map_err(|error| RequestError(format!("invalid arguments: {error}")))
}
