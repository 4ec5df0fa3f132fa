//! The tools that read.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use serde_json::{Value, json};

use super::backend::{Answer, Catalogue, Failure};
use super::tool_output::{ToolOutput, arguments};
use crate::model::{
    Filter, Health, HealthFilter, MAX_FILTERS, Server, ToolEntry, ToolServer, View, each_term, is_stop_word,
};

/// How many servers and tools one answer has, if nobody says how many, and may have.
pub(super) const FEW_SERVERS: u32 = 10;
pub(super) const MOST_SERVERS: u32 = 50;
pub(super) const FEW_TOOLS: u32 = 5;
pub(super) const MOST_TOOLS: u32 = 20;
/// Bytes of schemas in one answer: some 6,000 tokens of a context window.
const SCHEMAS: usize = 24_000;
/// Characters of a description.
const DESCRIPTION: usize = 600;
/// Characters of a description in one line.
const LINE: usize = 160;
/// Servers that a tool is said to be offered by.
const OFFERED_BY: u32 = 10;

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

pub(super) async fn find_servers(catalogue: &Catalogue, given: Value) -> Answer<ToolOutput> {
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
    } = arguments(given)?;
    let mut filter = Filter::new().tags(tags).limit(within(limit, FEW_SERVERS, MOST_SERVERS)?);
    filter = query.iter().fold(filter, Filter::words);
    filter = tool.into_iter().fold(filter, Filter::tool);
    filter = capability.into_iter().fold(filter, Filter::capability);
    filter = resource.into_iter().fold(filter, Filter::resource);
    filter = prompt.into_iter().fold(filter, Filter::prompt);
    filter = name.into_iter().fold(filter, Filter::name);
    filter = version.into_iter().fold(filter, Filter::version);
    if include_unhealthy {
        filter = filter.health(HealthFilter::Any);
    }
    searchable(&filter)?;
    let page = catalogue.find(filter).await?;
    let lines: Vec<String> = page.servers.iter().map(line).collect();
    let more = page.next_cursor.is_some();
    let text = match &lines[..] {
        [] => "no registered server matches".to_owned(),
        lines if more => format!("{}\n(there are more)", lines.join("\n")),
        lines => lines.join("\n"),
    };
    let servers: Vec<Value> = page.servers.iter().map(brief).collect();
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

pub(super) async fn find_tools(catalogue: &Catalogue, given: Value) -> Answer<ToolOutput> {
    let FindTools { query, tags, server, limit } = arguments(given)?;
    let limit = within(limit, FEW_TOOLS, MOST_TOOLS)?;
    let filter = Filter::new().tags(tags).limit(limit).words(&query);
    let filter = server.into_iter().fold(filter, Filter::name);
    searchable(&filter)?;
    let page = catalogue.tools(filter.clone()).await?;
    let schemas = schemas(catalogue, &page.tools).await?;
    let mut room = SCHEMAS;
    let mut tools = Vec::with_capacity(page.tools.len());
    let mut lines = Vec::with_capacity(page.tools.len());
    for (tool, schema) in page.tools.iter().zip(schemas) {
        let schema = schema.filter(|(bytes, _)| room >= *bytes).map(|(bytes, schema)| {
            room -= bytes;
            schema
        });
        let (offers, choose) = offers_of(catalogue, &filter, tool).await?;
        let why = why(&query, tool);
        let description = tool.description.as_deref().or(tool.title.as_deref());
        let names: Vec<&str> = tool.servers.iter().map(|server| server.name.as_str()).take(3).collect();
        let what = one_line(description.unwrap_or("(no description)"));
        lines.push(format!("{}: {what} (offered by {}; found by {why})", tool.name, names.join(", ")));
        tools.push(json!({
            "name": tool.name, "title": tool.title, "description": description.map(short), "why": why,
            "inputSchema": schema, "servers": offers, "choose": choose,
        }));
    }
    let more = page.next_cursor.is_some();
    let all_words = page.tools.first().and_then(|tool| tool.score).is_some_and(|score| score.value() >= 1.0);
    let text = match (&lines[..], all_words) {
        ([], _) => "no registered server offers such a tool".to_owned(),
        (lines, true) => lines.join("\n"),
        (lines, false) => {
            format!("no tool has all these words in a prominent place; the nearest:\n{}", lines.join("\n"))
        }
    };
    Ok(ToolOutput { structured: json!({"tools": tools, "more": more, "all_words": all_words}), text })
}

/// The servers that offer a tool, a few of them, and where there are several, how to choose one.
async fn offers_of(
    catalogue: &Catalogue,
    filter: &Filter,
    tool: &ToolEntry,
) -> Answer<(Vec<Value>, Option<String>)> {
    let brief = |server: &ToolServer| json!({"id": server.id, "name": server.name, "transport": server.transport, "health": server.health});
    let has_room = filter.terms.len() < MAX_FILTERS;
    let servers = &tool.servers[..];
    let (true, [_, _, ..]) = (has_room, servers) else {
        return Ok((servers.iter().take(OFFERED_BY as usize).map(brief).collect(), None));
    };
    let offering = Filter { words: None, ..filter.clone() }.tool(&tool.name).limit(OFFERED_BY);
    let page = catalogue.find(offering).await?;
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
        format!("{count} servers offer it, all alike: take any healthy one")
    } else {
        format!("{count} servers offer it; take a healthy one, by its {}", differences.join(", "))
    };
    let offers = page.servers.iter().map(|server| {
        json!({
            "id": server.id, "name": server.name, "transport": server.transport.kind(), "health": server.health,
            "version": server.version, "tags": server.tags,
        })
    });
    Ok((offers.collect(), Some(choose)))
}

/// What a tool was found by: the words of the query that it or its servers' names hold, or what it means.
fn why(query: &str, tool: &ToolEntry) -> String {
    let own = [Some(tool.name.as_str()), tool.title.as_deref(), tool.description.as_deref()];
    let servers = tool.servers.iter().take(OFFERED_BY as usize).map(|server| server.name.as_str());
    let mut held: HashSet<String> = HashSet::new();
    for text in own.into_iter().flatten().chain(servers) {
        each_term(text, |_, stem| {
            if !held.contains(stem) {
                held.insert(stem.to_owned());
            }
        });
    }
    let mut shared: Vec<String> = Vec::new();
    each_term(query, |word, stem| {
        if held.contains(stem) && !is_stop_word(word) && !shared.iter().any(|known| known == word) {
            shared.push(word.to_owned());
        }
    });
    match &shared[..] {
        [] => "its meaning, its parameters or its server".to_owned(),
        [word] => format!("the word {word}"),
        words => format!("the words {}", words.join(", ")),
    }
}

/// The query is called otherwise over HTTP.
fn searchable(filter: &Filter) -> Answer<()> {
    filter.check_words().map_err(|wrong| Failure(format!("the query {}", wrong.detail)))
}

/// The input schema of each tool as its first server defines it, with its size in bytes.
async fn schemas(catalogue: &Catalogue, tools: &[ToolEntry]) -> Answer<Vec<Option<(usize, Value)>>> {
    let mut known: HashMap<&str, Option<Server>> = HashMap::new();
    let mut schemas = Vec::with_capacity(tools.len());
    for tool in tools {
        let healthy = tool.servers.iter().find(|server| server.health == Health::Healthy);
        let Some(first) = healthy.or(tool.servers.first()) else {
            schemas.push(None);
            continue;
        };
        if !known.contains_key(first.id.as_str()) {
            known.insert(&first.id, catalogue.get(&first.id).await?);
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

pub(super) async fn get_server(catalogue: &Catalogue, given: Value) -> Answer<ToolOutput> {
    let GetServer { id, schemas_of } = arguments(given)?;
    let Some(server) = catalogue.get(&id).await? else {
        return Err(Failure(format!(
            "no server with the id {id:?} is registered; find_servers says which there are"
        )));
    };
    let missing: Vec<&str> =
        schemas_of.iter().map(String::as_str).filter(|name| !offers(&server, name)).collect();
    if !missing.is_empty() {
        return Err(Failure(format!("{id} offers no tool {}", missing.join(", "))));
    }
    let summary = server.record().head(View::Summary).map_err(Failure::from)?;
    let summary: Value = serde_json::from_str(&summary).map_err(Failure::from)?;
    let part = |name: &str| summary.pointer(&format!("/capabilities/{name}")).cloned().unwrap_or(json!([]));
    let mut tools = part("tools");
    for (place, tool) in server.capabilities.tools.iter().enumerate() {
        if let Some(shown) =
            tools.get_mut(place).filter(|_| schemas_of.iter().any(|name| name == tool.name()))
        {
            *shown = serde_json::from_str(tool.definition().as_str()).map_err(Failure::from)?;
        }
    }
    let mut record = brief(&server);
    if let Some(record) = record.as_object_mut() {
        record.insert("tools".to_owned(), tools);
        record.extend(["resources", "prompts"].map(|name| (name.to_owned(), part(name))));
        let shown = ["environment", "headers", "metadata"];
        record.extend(shown.map(|name| (name.to_owned(), summary.get(name).cloned().unwrap_or_default())));
        record.insert("expires_at".to_owned(), json!(server.expires_at));
    }
    let names: Vec<&str> = server.capabilities.tools.iter().map(crate::model::Tool::name).collect();
    let text = match &names[..] {
        [] => line(&server),
        names => format!("{}\ntools: {}", line(&server), names.join(", ")),
    };
    Ok(ToolOutput { structured: json!({"server": record}), text })
}

fn offers(server: &Server, name: &str) -> bool {
    server.capabilities.tools.iter().any(|tool| tool.name() == name)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

pub(super) async fn status(catalogue: &Catalogue, given: Value) -> Answer<ToolOutput> {
    let Nothing {} = arguments(given)?;
    let (stats, role) = (catalogue.stats().await?, catalogue.role().await?);
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

/// A server as the tools and resources show it.
pub(super) fn brief(server: &Server) -> Value {
    let tools: Vec<&str> = server.capabilities.tools.iter().map(crate::model::Tool::name).collect();
    json!({
        "id": server.id, "name": server.name, "title": server.title, "version": server.version,
        "description": server.description.as_deref().map(short), "transport": server.transport.kind(),
        "command": server.transport.command(), "url": server.transport.url(), "health": server.health,
        "tags": server.tags, "tools": tools,
    })
}

/// A server in one line.
fn line(server: &Server) -> String {
    let tools = server.capabilities.tools.len();
    let reached = match (server.transport.url(), server.transport.command()) {
        (Some(url), _) => url.to_owned(),
        (None, command) => command.unwrap_or_default().join(" "),
    };
    let health = server.health.as_str();
    format!(
        "{} ({}): {health}, {tools} tools, {}: {reached}",
        server.id,
        server.name,
        server.transport.kind().as_str()
    )
}

/// The beginning of a text as one line.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    begin(&words.join(" "), LINE)
}

fn short(text: &str) -> String {
    begin(text, DESCRIPTION)
}

fn begin(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{} …", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn within(given: Option<u32>, usual: u32, most: u32) -> Answer<u32> {
    match given {
        None => Ok(usual),
        Some(limit) if (1..=most).contains(&limit) => Ok(limit),
        Some(limit) => Err(Failure(format!("the limit {limit} is not between 1 and {most}"))),
    }
}
