//! Calling a tool: its arguments are read strictly, and what goes wrong is said in words that the caller can act on.

use rmcp::ErrorData;
use rmcp::model::{CallToolRequestParams, CallToolResult, ContentBlock, ProtocolVersion};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::backend::{Answer, Catalogue, Failure};
use super::{read_tools, write_tools};
use crate::model::Actor;

/// What a tool gives: the same for programs and, short, for people.
pub(super) struct Given {
    pub(super) structured: Value,
    pub(super) text: String,
}

/// Calls a tool.
pub(super) async fn call(
    catalogue: &Catalogue,
    request: CallToolRequestParams,
    writer: Result<Actor, &'static str>,
    version: Option<ProtocolVersion>,
) -> Result<CallToolResult, ErrorData> {
    let arguments = Value::Object(request.arguments.unwrap_or_default());
    let given = match (request.name.as_ref(), writer) {
        ("find_servers", _) => read_tools::find_servers(catalogue, arguments).await,
        ("find_tools", _) => read_tools::find_tools(catalogue, arguments).await,
        ("get_server", _) => read_tools::get_server(catalogue, arguments).await,
        ("registry_status", _) => read_tools::status(catalogue, arguments).await,
        ("register_server", Ok(actor)) => write_tools::register(catalogue, arguments, actor).await,
        ("deregister_server", Ok(actor)) => write_tools::deregister(catalogue, arguments, actor).await,
        ("register_server" | "deregister_server", Err(first)) => Err(Failure(first.to_owned())),
        (name, _) => {
            let message = format!("there is no tool {name:?}; tools/list says which there are");
            return Err(ErrorData::invalid_params(message, None));
        }
    };
    Ok(match given {
        Ok(Given { structured, text }) => {
            let mut result = CallToolResult::structured(structured);
            result.content.insert(0, ContentBlock::text(text));
            // Older clients know of the text alone.
            if version.is_none_or(|version| version.as_str() >= ProtocolVersion::V_2025_06_18.as_str()) {
                result.content.truncate(1);
            }
            result
        }
        Err(Failure(reason)) => CallToolResult::error(vec![ContentBlock::text(reason)]),
    })
}

/// The arguments as a type; what is not known is refused.
pub(super) fn arguments<T: DeserializeOwned>(arguments: Value) -> Answer<T> {
    serde_json::from_value(arguments).map_err(|error| Failure(format!("the arguments are wrong: {error}")))
}
