//! Reads the properties, tools, resources and prompts of a server into a registration.

use std::collections::HashSet;
use std::time::Duration;

use rmcp::RoleClient;
use rmcp::model::{ClientRequest, CustomRequest, ServerPeerInfo};
use rmcp::service::Peer;
use serde_json::{Value, json};

use super::error::Cause;
use crate::model::{
    Json, MAX_DEFINITIONS, MAX_DESCRIPTION_CHARACTERS, MAX_NAME_CHARACTERS, MAX_TITLE_CHARACTERS,
    MAX_VERSION_CHARACTERS, ParseError, Prompt, Registration, Resource, Tool, Transport,
};

/// Maximum number of pages of a list.
const MAX_PAGES: usize = 1_000;

/// The reason why a server could not be described.
pub(super) enum DescribeError {
    /// The step that failed. Without a cause, it timed out.
    Step(&'static str, Option<Cause>),
    /// The list whose pagination does not end, and the number of items that were read.
    EndlessList(&'static str, usize),
}

pub(super) async fn describe(
    peer: &Peer<RoleClient>,
    transport: Transport,
    timeout: Duration,
) -> Result<Registration, DescribeError> {
    let Some(info) = peer.peer_info() else {
        return Err(DescribeError::Step("the handshake", Some(Cause::Closed)));
    };
    let capabilities = &info.capabilities;
    let mut registration = base_registration(&info, transport);
    if capabilities.tools.is_some() {
        let tools = list_all(peer, "tools/list", "tools", timeout).await?;
        registration = add_unique(
            registration,
            tools,
            Tool::from_json,
            |tool| tool.name().to_owned(),
            Registration::tool,
        );
    }
    if capabilities.resources.is_some() {
        let resources = list_all(peer, "resources/list", "resources", timeout).await?;
        // A server may have resources but not support templates.
        let templates = match list_all(peer, "resources/templates/list", "resourceTemplates", timeout).await {
            Err(DescribeError::Step(_, Some(Cause::ErrorResponse(_)))) => Vec::new(),
            templates => templates?,
        };
        let address = |resource: &Resource| resource.address().as_str().to_owned();
        registration =
            add_unique(registration, resources, Resource::from_json, address, Registration::resource);
        registration =
            add_unique(registration, templates, Resource::from_json, address, Registration::resource);
    }
    if capabilities.prompts.is_some() {
        let prompts = list_all(peer, "prompts/list", "prompts", timeout).await?;
        let name = |prompt: &Prompt| prompt.name().to_owned();
        registration = add_unique(registration, prompts, Prompt::from_json, name, Registration::prompt);
    }
    Ok(registration)
}

/// Returns all pages of a list.
///
/// Sent as a custom request: rmcp rejects a response to a known request as a whole if a single item deviates from the protocol.
async fn list_all(
    peer: &Peer<RoleClient>,
    step: &'static str,
    member: &'static str,
    timeout: Duration,
) -> Result<Vec<Value>, DescribeError> {
    let (mut items, mut cursor, mut seen) = (Vec::new(), None::<String>, HashSet::new());
    for _ in 0..MAX_PAGES {
        let parameters = cursor.take().map(|cursor| json!({ "cursor": cursor }));
        let request = ClientRequest::CustomRequest(CustomRequest::new(step, parameters));
        let response = tokio::time::timeout(timeout, peer.send_request(request)).await;
        let response = response
            .map_err(|_| DescribeError::Step(step, None))?
            .map_err(|error| DescribeError::Step(step, Some(error.into())))?;
        let mut response = serde_json::to_value(response).unwrap_or_default();
        let Some(Value::Array(page)) = response.get_mut(member).map(Value::take) else {
            let detail = format!("the response to {step} has no list of {member}");
            return Err(DescribeError::Step(step, Some(Cause::ErrorResponse(detail))));
        };
        items.extend(page);
        match response.get("nextCursor").and_then(Value::as_str) {
            // Some servers send an empty cursor with the last page.
            None | Some("") => return Ok(items),
            Some(next) if !seen.insert(next.to_owned()) => {
                return Err(DescribeError::EndlessList(step, items.len()));
            }
            Some(_) if items.len() > MAX_DEFINITIONS => break,
            Some(next) => cursor = Some(next.to_owned()),
        }
    }
    Err(DescribeError::EndlessList(step, items.len().min(MAX_DEFINITIONS)))
}

/// Adds the listed items, each name only once: the registry rejects duplicates.
fn add_unique<D>(
    registration: Registration,
    items: Vec<Value>,
    parse: impl Fn(Json) -> Result<D, ParseError>,
    name: impl Fn(&D) -> String,
    add: impl Fn(Registration, D) -> Registration,
) -> Registration {
    let mut seen = HashSet::new();
    let definitions = items.into_iter().filter_map(|item| {
        let definition = parse(Json::from(item));
        let definition = definition
            .inspect_err(|error| tracing::warn!(%error, "skipped an item that cannot be registered"));
        definition.ok().filter(|definition| seen.insert(name(definition)))
    });
    definitions.fold(registration, add)
}

/// Returns the registration without tools, resources and prompts.
fn base_registration(info: &ServerPeerInfo, transport: Transport) -> Registration {
    let implementation = info.server_info.as_ref();
    let name =
        implementation.map(|implementation| valid_name(&implementation.name)).filter(|name| !name.is_empty());
    let mut registration = Registration::new(name.unwrap_or_else(|| fallback_name(&transport)), transport);
    let non_blank = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    if let Some(implementation) = implementation {
        registration.record.title =
            non_blank(&implementation.title).map(|title| truncate(&title, MAX_TITLE_CHARACTERS));
        registration.record.version = non_blank(&Some(implementation.version.clone()))
            .map(|version| truncate(&version, MAX_VERSION_CHARACTERS));
        registration.record.description = non_blank(&implementation.description);
    }
    let description = registration.record.description.take().or_else(|| non_blank(&info.instructions));
    registration.record.description = description.map(|text| truncate(&text, MAX_DESCRIPTION_CHARACTERS));
    let Ok(Value::Object(flags)) = serde_json::to_value(&info.capabilities) else { return registration };
    let flags = flags.into_iter().filter(|(name, options)| {
        !matches!(name.as_str(), "tools" | "resources" | "prompts")
            && (options.is_object() || options.is_boolean())
    });
    flags.fold(registration, |registration, (name, options)| registration.capability_options(name, options))
}

/// Returns the name with invalid characters replaced.
fn valid_name(name: &str) -> String {
    let replace_invalid = |character: char| {
        if character.is_ascii_alphanumeric() || "._/@ -".contains(character) { character } else { '-' }
    };
    truncate(name.trim(), MAX_NAME_CHARACTERS).chars().map(replace_invalid).collect()
}

/// Returns the name for a server that does not report one: the program, or the host.
fn fallback_name(transport: &Transport) -> String {
    let program = transport.command().and_then(|words| words.first());
    let program = program.and_then(|program| std::path::Path::new(program).file_stem()?.to_str());
    let host = || transport.url().and_then(|url| url::Url::parse(url).ok()?.host_str().map(str::to_owned));
    let name = program.map(str::to_owned).or_else(host).map(|name| valid_name(&name));
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "server".to_owned())
}

fn truncate(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream};
    use tokio::sync::watch;

    use super::*;
    use crate::mcp::handshake::{Era, ListChangeListener, connect};

    const TIMEOUT: Duration = Duration::from_secs(20);

    /// Runs a server of the `initialize` era with the given responses, which responds to anything else with an error.
    async fn serve(stream: DuplexStream, responses: Value) {
        let (read, mut write) = tokio::io::split(stream);
        let mut lines = BufReader::new(read).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let request: Value = serde_json::from_str(&line).unwrap();
            let Some(id) = request.get("id") else { continue };
            let method = request["method"].as_str().unwrap();
            let cursor = request["params"]["cursor"].as_str().unwrap_or_default();
            let response = match responses.get(format!("{method}{cursor}")) {
                Some(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
                None => {
                    json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "no such method"}})
                }
            };
            write.write_all(format!("{response}\n").as_bytes()).await.unwrap();
        }
    }

    async fn described(responses: Value) -> Result<Registration, DescribeError> {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        tokio::spawn(serve(theirs, responses));
        let (sender, _) = watch::channel(0);
        let service = connect(ListChangeListener(sender), tokio::io::split(ours), TIMEOUT, Era::Either)
            .await
            .ok()
            .unwrap();
        let transport =
            Transport::Stdio { command: vec!["/opt/a-server.py".into()], environment: Vec::new() };
        describe(service.peer(), transport, TIMEOUT).await
    }

    fn initialize_result(capabilities: &Value, name: &str) -> Value {
        json!({"protocolVersion": "2025-06-18", "capabilities": capabilities, "instructions": "Ask.",
            "serverInfo": {"name": name, "title": "T", "version": "1.2"}})
    }

    #[tokio::test]
    async fn all_pages_of_declared_capabilities_are_read() {
        let tool = |name: &str| json!({"name": name, "description": "d", "inputSchema": {"type": "object", "b": 1, "a": 2}});
        let registration = described(json!({
            "initialize": initialize_result(&json!({"tools": {}, "resources": {}, "logging": {}, "completions": {"x": 1}}), "a server!"),
            "tools/list": {"tools": [tool("one"), tool("one")], "nextCursor": "next"},
            "tools/listnext": {"tools": [tool("two")]},
            "resources/list": {"resources": [{"uri": "a://b", "name": "B", "mimeType": "text/plain"}]},
            "prompts/list": {"prompts": [{"name": "unsaid"}]},
        }))
        .await
        .ok()
        .unwrap();
        assert_eq!(
            serde_json::to_value(registration).unwrap(),
            json!({"name": "a server-", "title": "T", "version": "1.2", "description": "Ask.", "transport": "stdio",
                "command": ["/opt/a-server.py"], "ttl": 30, "capabilities": {
                    "tools": [tool("one"), tool("two")], "prompts": [],
                    "resources": [{"uri": "a://b", "name": "B", "mimeType": "text/plain"}],
                    "completions": {"x": 1}, "logging": {}}})
        );
        let nameless =
            described(json!({"initialize": initialize_result(&json!({}), "")})).await.ok().unwrap();
        assert_eq!(nameless.record.name, "a-server");
    }

    #[tokio::test]
    async fn endless_and_rejected_lists_are_errors() {
        let tools = json!({"tools": {}});
        let endless = json!({"initialize": initialize_result(&tools, "s"),
            "tools/list": {"tools": [], "nextCursor": "x"}, "tools/listx": {"tools": [], "nextCursor": "x"}});
        assert!(matches!(described(endless).await, Err(DescribeError::EndlessList("tools/list", _))));
        let refused = json!({"initialize": initialize_result(&tools, "s")});
        let failed = described(refused).await;
        assert!(
            matches!(failed, Err(DescribeError::Step("tools/list", Some(Cause::ErrorResponse(text)))) if text == "no such method")
        );
    }
}
