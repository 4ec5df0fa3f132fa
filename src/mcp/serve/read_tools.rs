//! The tools that read.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use serde_json::{Value, json};

use super::backend::{Backend, RequestError, RequestResult};
use super::tool_output::{ToolOutput, parse_arguments};
use crate::model::{
    Filter, Health, HealthFilter, MAX_FILTERS, Server, ToolEntry, ToolServer, each_term, is_stop_word,
};

/// The default and the maximum number of servers and tools in a result.
pub(super) const DEFAULT_SERVERS: u32 = 10;
pub(super) const MAX_SERVERS: u32 = 50;
pub(super) const DEFAULT_TOOLS: u32 = 5;
pub(super) const MAX_TOOLS: u32 = 20;
/// Maximum size of the schemas in a result, about 6,000 tokens.
const MAX_SCHEMA_BYTES: usize = 24_000;
/// Maximum length of a description.
const DESCRIPTION_CHARACTERS: usize = 600;
/// Maximum length of a description in a line of text.
const LINE_CHARACTERS: usize = 160;
/// Maximum number of servers that are listed for a tool.
const MAX_OFFERING_SERVERS: u32 = 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FindServers {
    query: Option<String>,
    tool: Option<String>,
    capability: Option<String>,
    resource: Option<String>,
    prompt: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    name: Option<String>,
    version: Option<String>,
    #[serde(default)]
    include_unhealthy: bool,
    limit: Option<u32>,
}

pub(super) async fn find_servers(backend: &Backend, arguments: Value) -> RequestResult<ToolOutput> {
    let FindServers {
        query,
        tool,
        capability,
        resource,
        prompt,
        tags,
        name,
        version,
        include_unhealthy,
        limit,
    } = parse_arguments(arguments)?;
    let mut filter = Filter::new().tags(tags).limit(checked_limit(limit, DEFAULT_SERVERS, MAX_SERVERS)?);
    filter = query.iter().fold(filter, Filter::search);
    filter = tool.into_iter().fold(filter, Filter::tool);
    filter = capability.into_iter().fold(filter, Filter::capability);
    filter = resource.into_iter().fold(filter, Filter::resource);
    filter = prompt.into_iter().fold(filter, Filter::prompt);
    filter = name.into_iter().fold(filter, Filter::name);
    filter = version.into_iter().fold(filter, Filter::version);
    if include_unhealthy {
        filter = filter.health(HealthFilter::Any);
    }
    check_query(&filter)?;
    let page = backend.find(filter).await?;
    let lines: Vec<String> = page.servers.iter().map(server_line).collect();
    let more = page.next_cursor.is_some();
    let text = match &lines[..] {
        [] => "no registered server matches".to_owned(),
        lines if more => format!("{}\n(more results exist)", lines.join("\n")),
        lines => lines.join("\n"),
    };
    let servers: Vec<Value> = page.servers.iter().map(server_summary).collect();
    let structured = json!({"servers": servers, "more": more, "revision": page.revision});
    Ok(ToolOutput { structured, text })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FindTools {
    query: String,
    #[serde(default)]
    tags: Vec<String>,
    server: Option<String>,
    limit: Option<u32>,
}

pub(super) async fn find_tools(backend: &Backend, arguments: Value) -> RequestResult<ToolOutput> {
    let FindTools { query, tags, server, limit } = parse_arguments(arguments)?;
    let limit = checked_limit(limit, DEFAULT_TOOLS, MAX_TOOLS)?;
    let filter = Filter::new().tags(tags).limit(limit).search(&query);
    let filter = server.into_iter().fold(filter, Filter::name);
    check_query(&filter)?;
    let page = backend.tools(filter.clone()).await?;
    let schemas = schemas(backend, &page.tools).await?;
    let mut remaining_bytes = MAX_SCHEMA_BYTES;
    let mut tools = Vec::with_capacity(page.tools.len());
    let mut lines = Vec::with_capacity(page.tools.len());
    for (tool, schema) in page.tools.iter().zip(schemas) {
        let schema = schema.filter(|(bytes, _)| remaining_bytes >= *bytes).map(|(bytes, schema)| {
            remaining_bytes -= bytes;
            schema
        });
        let (offers, choose) = offers_of(backend, &filter, tool).await?;
        let why = match_reason(&query, tool);
        let description = tool.description.as_deref().or(tool.title.as_deref());
        let names: Vec<&str> = tool.servers.iter().map(|server| server.name.as_str()).take(3).collect();
        let summary = one_line(description.unwrap_or("(no description)"));
        lines.push(format!("{}: {summary} (offered by {}; found by {why})", tool.name, names.join(", ")));
        tools.push(json!({
            "name": tool.name, "title": tool.title, "description": description.map(short_description), "why": why,
            "inputSchema": schema, "servers": offers, "choose": choose,
        }));
    }
    let more = page.next_cursor.is_some();
    let all_words = page.tools.first().and_then(|tool| tool.score).is_some_and(|score| score.value() >= 1.0);
    let text = match (&lines[..], all_words) {
        ([], _) => "no registered server offers a matching tool".to_owned(),
        (lines, true) => lines.join("\n"),
        (lines, false) => {
            format!(
                "no tool has all these words in a prominent place; the closest matches:\n{}",
                lines.join("\n")
            )
        }
    };
    Ok(ToolOutput { structured: json!({"tools": tools, "more": more, "all_words": all_words}), text })
}

/// Returns some of the servers that offer a tool and, if there are several, how to choose one.
async fn offers_of(
    backend: &Backend,
    filter: &Filter,
    tool: &ToolEntry,
) -> RequestResult<(Vec<Value>, Option<String>)> {
    let brief = |server: &ToolServer| json!({"id": server.id, "name": server.name, "transport": server.transport, "health": server.health});
    let can_add_filter = filter.fields.len() < MAX_FILTERS;
    let servers = &tool.servers[..];
    let (true, [_, _, ..]) = (can_add_filter, servers) else {
        return Ok((servers.iter().take(MAX_OFFERING_SERVERS as usize).map(brief).collect(), None));
    };
    let offering = Filter { search: None, ..filter.clone() }.tool(&tool.name).limit(MAX_OFFERING_SERVERS);
    let page = backend.find(offering).await?;
    let differ = |of: fn(&Server) -> &dyn std::fmt::Debug| {
        let mut all: Vec<String> = page.servers.iter().map(|server| format!("{:?}", of(server))).collect();
        all.sort();
        all.dedup();
        all.len() > 1
    };
    let differences = [
        (tool.definitions > 1).then_some("definition"),
        differ(|server| &server.name).then_some("name"),
        differ(|server| &server.version).then_some("version"),
        differ(|server| &server.tags).then_some("tags"),
    ];
    let differences: Vec<&str> = differences.into_iter().flatten().collect();
    let count = tool.servers.len();
    let choose = if differences.is_empty() {
        format!("{count} servers offer it and do not differ: use any healthy one")
    } else {
        format!("{count} servers offer it; use a healthy one, and choose by {}", differences.join(", "))
    };
    let offers = page.servers.iter().map(|server| {
        json!({
            "id": server.id, "name": server.name, "transport": server.transport.kind(), "health": server.health,
            "version": server.version, "tags": server.tags,
        })
    });
    Ok((offers.collect(), Some(choose)))
}

/// Returns why a tool matches: the words of the query in its texts or in the names of its servers, or else its meaning.
fn match_reason(query: &str, tool: &ToolEntry) -> String {
    let texts = [Some(tool.name.as_str()), tool.title.as_deref(), tool.description.as_deref()];
    let servers = tool.servers.iter().take(MAX_OFFERING_SERVERS as usize).map(|server| server.name.as_str());
    let mut tool_terms: HashSet<String> = HashSet::new();
    for text in texts.into_iter().flatten().chain(servers) {
        each_term(text, |_, stem| {
            if !tool_terms.contains(stem) {
                tool_terms.insert(stem.to_owned());
            }
        });
    }
    let mut shared: Vec<String> = Vec::new();
    each_term(query, |word, stem| {
        if tool_terms.contains(stem) && !is_stop_word(word) && !shared.iter().any(|known| known == word) {
            shared.push(word.to_owned());
        }
    });
    match &shared[..] {
        [] => "its meaning, its parameters or its server".to_owned(),
        [word] => format!("the word {word}"),
        words => format!("the words {}", words.join(", ")),
    }
}

/// Checks the search text. The parameter has another name over HTTP, so the error is adapted.
fn check_query(filter: &Filter) -> RequestResult<()> {
    filter.check_search().map_err(|error| RequestError(format!("the query {}", error.detail)))
}

/// Returns the input schema of each tool as its first healthy server defines it, with its size in bytes.
async fn schemas(backend: &Backend, tools: &[ToolEntry]) -> RequestResult<Vec<Option<(usize, Value)>>> {
    let mut known: HashMap<&str, Option<Server>> = HashMap::new();
    let mut schemas = Vec::with_capacity(tools.len());
    for tool in tools {
        let healthy = tool.servers.iter().find(|server| server.health == Health::Healthy);
        let Some(first) = healthy.or(tool.servers.first()) else {
            schemas.push(None);
            continue;
        };
        if !known.contains_key(first.id.as_str()) {
            known.insert(&first.id, backend.get(&first.id).await?);
        }
        let server = known.get(first.id.as_str()).and_then(Option::as_ref);
        let defined = server
            .and_then(|server| server.capabilities.tools.iter().find(|known| known.name() == tool.name));
        schemas.push(defined.and_then(|tool| {
            let definition: Value = serde_json::from_str(tool.definition().as_str()).ok()?;
            let schema = definition.get("inputSchema")?.clone();
            Some((schema.to_string().len(), schema))
        }));
    }
    Ok(schemas)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GetServer {
    id: String,
    #[serde(default)]
    schemas_of: Vec<String>,
}

pub(super) async fn get_server(backend: &Backend, arguments: Value) -> RequestResult<ToolOutput> {
    let GetServer { id, schemas_of } = parse_arguments(arguments)?;
    let Some(server) = backend.get(&id).await? else {
        return Err(RequestError(format!(
            "no server with the id {id:?} is registered; find_servers returns the registered servers"
        )));
    };
    let missing: Vec<&str> =
        schemas_of.iter().map(String::as_str).filter(|name| !offers(&server, name)).collect();
    if !missing.is_empty() {
        return Err(RequestError(format!("{id} does not offer the tool {}", missing.join(", "))));
    }
    let summary = serde_json::to_value(server.record().summary()).map_err(RequestError::from)?;
    let list = |name: &str| summary.pointer(&format!("/capabilities/{name}")).cloned().unwrap_or(json!([]));
    let mut tools = list("tools");
    for (index, tool) in server.capabilities.tools.iter().enumerate() {
        if let Some(entry) =
            tools.get_mut(index).filter(|_| schemas_of.iter().any(|name| name == tool.name()))
        {
            *entry = serde_json::from_str(tool.definition().as_str()).map_err(RequestError::from)?;
        }
    }
    let mut record = server_summary(&server);
    if let Some(record) = record.as_object_mut() {
        record.insert("tools".to_owned(), tools);
        record.extend(["resources", "prompts"].map(|name| (name.to_owned(), list(name))));
        let copied_members = ["environment", "headers", "metadata"];
        record.extend(
            copied_members.map(|name| (name.to_owned(), summary.get(name).cloned().unwrap_or_default())),
        );
        record.insert("expires_at".to_owned(), json!(server.expires_at));
    }
    let names: Vec<&str> = server.capabilities.tools.iter().map(crate::model::Tool::name).collect();
    let text = match &names[..] {
        [] => server_line(&server),
        names => format!("{}\ntools: {}", server_line(&server), names.join(", ")),
    };
    Ok(ToolOutput { structured: json!({"server": record}), text })
}

fn offers(server: &Server, name: &str) -> bool {
    server.capabilities.tools.iter().any(|tool| tool.name() == name)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoArguments {}

pub(super) async fn status(backend: &Backend, arguments: Value) -> RequestResult<ToolOutput> {
    let NoArguments {} = parse_arguments(arguments)?;
    let (stats, role) = (backend.stats().await?, backend.role().await?);
    let healthy = stats.servers.by_health.get("healthy").copied().unwrap_or_default();
    let text = format!(
        "a {role} with {} servers ({healthy} healthy), {} tools, {} resources and {} prompts",
        stats.servers.total, stats.tools, stats.resources, stats.prompts
    );
    let structured = json!({
        "role": role, "servers": stats.servers.total, "healthy": healthy, "by_transport": stats.servers.by_transport,
        "tools": stats.tools, "resources": stats.resources, "prompts": stats.prompts, "revision": stats.revision,
    });
    Ok(ToolOutput { structured, text })
}

/// Returns a server in the form that tools and resources return.
pub(super) fn server_summary(server: &Server) -> Value {
    let tools: Vec<&str> = server.capabilities.tools.iter().map(crate::model::Tool::name).collect();
    json!({
        "id": server.id, "name": server.name, "title": server.title, "version": server.version,
        "description": server.description.as_deref().map(short_description), "transport": server.transport.kind(),
        "command": server.transport.command(), "url": server.transport.url(), "health": server.health,
        "tags": server.tags, "tools": tools,
    })
}

/// Returns a server as a line of text.
fn server_line(server: &Server) -> String {
    let tools = server.capabilities.tools.len();
    let address = match (server.transport.url(), server.transport.command()) {
        (Some(url), _) => url.to_owned(),
        (None, command) => command.unwrap_or_default().join(" "),
    };
    let health = server.health.as_str();
    format!(
        "{} ({}): {health}, {tools} tools, {}: {address}",
        server.id,
        server.name,
        server.transport.kind().as_str()
    )
}

/// Returns the beginning of a text on one line.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    truncate(&words.join(" "), LINE_CHARACTERS)
}

fn short_description(text: &str) -> String {
    truncate(text, DESCRIPTION_CHARACTERS)
}

fn truncate(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{} …", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn checked_limit(limit: Option<u32>, default: u32, maximum: u32) -> RequestResult<u32> {
    match limit {
        None => Ok(default),
        Some(limit) if (1..=maximum).contains(&limit) => Ok(limit),
        Some(limit) => Err(RequestError(format!("the limit {limit} is not between 1 and {maximum}"))),
    }
}
