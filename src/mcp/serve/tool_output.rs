//! What goes into a tool and comes out of it.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::backend::{Answer, Failure};

/// What a tool gives: the same for programs and, short, for people.
pub(super) struct ToolOutput {
    pub(super) structured: Value,
    pub(super) text: String,
}

/// The arguments as a type; what is not known is refused.
pub(super) fn arguments<T: DeserializeOwned>(arguments: Value) -> Answer<T> {
    serde_json::from_value(arguments).map_err(|error| Failure(format!("the arguments are wrong: {error}")))
}
