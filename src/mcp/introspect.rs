//! Reading what a server is and can do, and saying it as a registration.

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

/// Pages of one list.
const MAX_PAGES: usize = 1_000;

/// Where reading ended.
pub(super) enum Failed {
    /// At this question; without a cause, it was not answered in time.
    At(&'static str, Option<Cause>),
    /// This list goes on and on.
    Endless(&'static str, usize),
}

pub(super) async fn describe(
    peer: &Peer<RoleClient>,
    transport: Transport,
    patience: Duration,
) -> Result<Registration, Failed> {
    let Some(info) = peer.peer_info() else { return Err(Failed::At("the greeting", Some(Cause::Closed))) };
    let has = &info.capabilities;
    let mut registration = introduced(&info, transport);
    if has.tools.is_some() {
        let tools = all(peer, "tools/list", "tools", patience).await?;
        registration =
            unique(registration, tools, Tool::from_json, |tool| tool.name().to_owned(), Registration::tool);
    }
    if has.resources.is_some() {
        let resources = all(peer, "resources/list", "resources", patience).await?;
        // A server may have resources and know nothing of templates.
        let templates = match all(peer, "resources/templates/list", "resourceTemplates", patience).await {
            Err(Failed::At(_, Some(Cause::Refused(_)))) => Vec::new(),
            templates => templates?,
        };
        let address = |resource: &Resource| resource.address().as_str().to_owned();
        registration = unique(registration, resources, Resource::from_json, address, Registration::resource);
        registration = unique(registration, templates, Resource::from_json, address, Registration::resource);
    }
    if has.prompts.is_some() {
        let prompts = all(peer, "prompts/list", "prompts", patience).await?;
        let name = |prompt: &Prompt| prompt.name().to_owned();
        registration = unique(registration, prompts, Prompt::from_json, name, Registration::prompt);
    }
    Ok(registration)
}

/// All pages of a list.
///
/// Asked for as a request that rmcp does not know: what it knows it takes for an error as a whole where one item is not quite
/// as the protocol has it.
async fn all(
    peer: &Peer<RoleClient>,
    step: &'static str,
    member: &'static str,
    patience: Duration,
) -> Result<Vec<Value>, Failed> {
    let (mut items, mut cursor, mut seen) = (Vec::new(), None::<String>, HashSet::new());
    for _ in 0..MAX_PAGES {
        let parameters = cursor.take().map(|cursor| json!({ "cursor": cursor }));
        let request = ClientRequest::CustomRequest(CustomRequest::new(step, parameters));
        let answer = tokio::time::timeout(patience, peer.send_request(request)).await;
        let answer = answer
            .map_err(|_| Failed::At(step, None))?
            .map_err(|error| Failed::At(step, Some(error.into())))?;
        let mut answer = serde_json::to_value(answer).unwrap_or_default();
        let Some(Value::Array(more)) = answer.get_mut(member).map(Value::take) else {
            let detail = format!("its answer to {step} has no list of {member}");
            return Err(Failed::At(step, Some(Cause::Refused(detail))));
        };
        items.extend(more);
        match answer.get("nextCursor").and_then(Value::as_str) {
            // Older servers send an empty one with the last page.
            None | Some("") => return Ok(items),
            Some(next) if !seen.insert(next.to_owned()) => return Err(Failed::Endless(step, items.len())),
            Some(_) if items.len() > MAX_DEFINITIONS => break,
            Some(next) => cursor = Some(next.to_owned()),
        }
    }
    Err(Failed::Endless(step, items.len().min(MAX_DEFINITIONS)))
}

/// Adds what is listed, each name once: the registry takes no two under one.
fn unique<D>(
    registration: Registration,
    items: Vec<Value>,
    parse: impl Fn(Json) -> Result<D, ParseError>,
    name: impl Fn(&D) -> String,
    add: impl Fn(Registration, D) -> Registration,
) -> Registration {
    let mut seen = HashSet::new();
    let definitions = items.into_iter().filter_map(|item| {
        let definition = parse(Json::from(item));
        let definition =
            definition.inspect_err(|error| tracing::warn!(%error, "left out what cannot be registered"));
        definition.ok().filter(|definition| seen.insert(name(definition)))
    });
    definitions.fold(registration, add)
}

/// What the server says of itself as a whole.
fn introduced(info: &ServerPeerInfo, transport: Transport) -> Registration {
    let own = info.server_info.as_ref();
    let name = own.map(|own| valid_name(&own.name)).filter(|name| !name.is_empty());
    let mut registration = Registration::new(name.unwrap_or_else(|| fallback_name(&transport)), transport);
    let filled = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    if let Some(own) = own {
        registration.title = filled(&own.title).map(|title| cut(&title, MAX_TITLE_CHARACTERS));
        registration.version =
            filled(&Some(own.version.clone())).map(|version| cut(&version, MAX_VERSION_CHARACTERS));
        registration.description = filled(&own.description);
    }
    let description = registration.description.take().or_else(|| filled(&info.instructions));
    registration.description = description.map(|text| cut(&text, MAX_DESCRIPTION_CHARACTERS));
    let Ok(Value::Object(flags)) = serde_json::to_value(&info.capabilities) else { return registration };
    let flags = flags.into_iter().filter(|(name, options)| {
        !matches!(name.as_str(), "tools" | "resources" | "prompts")
            && (options.is_object() || options.is_boolean())
    });
    flags.fold(registration, |registration, (name, options)| registration.capability_options(name, options))
}

/// A name of the characters that the registry takes.
fn valid_name(name: &str) -> String {
    let kept = |character: char| {
        if character.is_ascii_alphanumeric() || "._/@ -".contains(character) { character } else { '-' }
    };
    cut(name.trim(), MAX_NAME_CHARACTERS).chars().map(kept).collect()
}

/// For a server that does not say its name: the program's, or the host's.
fn fallback_name(transport: &Transport) -> String {
    let program = transport.command().and_then(|words| words.first());
    let program = program.and_then(|program| std::path::Path::new(program).file_stem()?.to_str());
    let host = || transport.url().and_then(|url| url::Url::parse(url).ok()?.host_str().map(str::to_owned));
    let name = program.map(str::to_owned).or_else(host).map(|name| valid_name(&name));
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "server".to_owned())
}

fn cut(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream};
    use tokio::sync::watch;

    use super::*;
    use crate::mcp::handshake::{Ears, Era, greeted};

    const PATIENCE: Duration = Duration::from_secs(20);

    /// A server of the older era that says what it is told to, and an error to all else.
    async fn serve(stream: DuplexStream, answers: Value) {
        let (read, mut write) = tokio::io::split(stream);
        let mut lines = BufReader::new(read).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let request: Value = serde_json::from_str(&line).unwrap();
            let Some(id) = request.get("id") else { continue };
            let method = request["method"].as_str().unwrap();
            let cursor = request["params"]["cursor"].as_str().unwrap_or_default();
            let answer = match answers.get(format!("{method}{cursor}")) {
                Some(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
                None => {
                    json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "no such method"}})
                }
            };
            write.write_all(format!("{answer}\n").as_bytes()).await.unwrap();
        }
    }

    async fn described(answers: Value) -> Result<Registration, Failed> {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        tokio::spawn(serve(theirs, answers));
        let (sender, _) = watch::channel(0);
        let service =
            greeted(Ears(sender), tokio::io::split(ours), PATIENCE, Era::Either).await.ok().unwrap();
        let transport =
            Transport::Stdio { command: vec!["/opt/a-server.py".into()], environment: Vec::new() };
        describe(service.peer(), transport, PATIENCE).await
    }

    fn greeting(capabilities: &Value, name: &str) -> Value {
        json!({"protocolVersion": "2025-06-18", "capabilities": capabilities, "instructions": "Ask.",
            "serverInfo": {"name": name, "title": "T", "version": "1.2"}})
    }

    #[tokio::test]
    async fn every_page_is_read_of_what_a_server_says_that_it_has() {
        let tool = |name: &str| json!({"name": name, "description": "d", "inputSchema": {"type": "object", "b": 1, "a": 2}});
        let registration = described(json!({
            "initialize": greeting(&json!({"tools": {}, "resources": {}, "logging": {}, "completions": {"x": 1}}), "a server!"),
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
        let nameless = described(json!({"initialize": greeting(&json!({}), "")})).await.ok().unwrap();
        assert_eq!(nameless.name, "a-server");
    }

    #[tokio::test]
    async fn a_list_without_end_and_one_that_is_refused() {
        let tools = json!({"tools": {}});
        let endless = json!({"initialize": greeting(&tools, "s"),
            "tools/list": {"tools": [], "nextCursor": "x"}, "tools/listx": {"tools": [], "nextCursor": "x"}});
        assert!(matches!(described(endless).await, Err(Failed::Endless("tools/list", _))));
        let refused = json!({"initialize": greeting(&tools, "s")});
        let failed = described(refused).await;
        assert!(
            matches!(failed, Err(Failed::At("tools/list", Some(Cause::Refused(text)))) if text == "no such method")
        );
    }
}
