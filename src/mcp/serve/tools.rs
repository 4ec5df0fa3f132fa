//! Calling a tool: its arguments are read strictly, and what goes wrong is said in words that the caller can act on.

use rmcp::ErrorData;
use rmcp::model::{CallToolRequestParams, CallToolResult, ContentBlock, ProtocolVersion};
use serde_json::Value;

use super::backend::{Catalogue, Failure};
use super::tool_output::ToolOutput;
use super::{read_tools, write_tools};
use crate::model::Actor;

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
        Ok(ToolOutput { structured, text }) => {
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
