//! Tool calls. Arguments are parsed strictly, and errors tell the caller how to fix them.

use rmcp::ErrorData;
use rmcp::model::{CallToolRequestParams, CallToolResult, ContentBlock, ProtocolVersion};
use serde_json::Value;

use super::backend::{Backend, RequestError};
use super::tool_output::ToolOutput;
use super::{read_tools, write_tools};
use crate::model::Actor;

/// Calls a tool.
pub(super) async fn call(
    backend: &Backend,
    request: CallToolRequestParams,
    writer: Result<Actor, &'static str>,
    version: Option<ProtocolVersion>,
) -> Result<CallToolResult, ErrorData> {
    let arguments = Value::Object(request.arguments.unwrap_or_default());
    let output = match (request.name.as_ref(), writer) {
        ("find_servers", _) => read_tools::find_servers(backend, arguments).await,
        ("find_tools", _) => read_tools::find_tools(backend, arguments).await,
        ("get_server", _) => read_tools::get_server(backend, arguments).await,
        ("registry_status", _) => read_tools::status(backend, arguments).await,
        ("register_server", Ok(actor)) => write_tools::register(backend, arguments, actor).await,
        ("deregister_server", Ok(actor)) => write_tools::deregister(backend, arguments, actor).await,
        ("register_server" | "deregister_server", Err(requirement)) => {
            Err(RequestError(requirement.to_owned()))
        }
        (name, _) => {
            let message = format!("tool {name:?} does not exist; tools/list returns the available tools");
            return Err(ErrorData::invalid_params(message, None));
        }
    };
    Ok(match output {
        Ok(ToolOutput { structured, text }) => {
            let mut result = CallToolResult::structured(structured);
            result.content.insert(0, ContentBlock::text(text));
            // Clients before 2025-06-18 ignore structured content and need its JSON as text; newer clients get only the short text.
            if version.is_none_or(|version| version.as_str() >= ProtocolVersion::V_2025_06_18.as_str()) {
                result.content.truncate(1);
            }
            result
        }
        Err(RequestError(reason)) => CallToolResult::error(vec![ContentBlock::text(reason)]),
    })
}
