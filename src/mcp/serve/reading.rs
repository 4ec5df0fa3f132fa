//! The tools that read.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::catalogue::{Answer, Catalogue, Failure};
use super::tools::{Given, arguments};
use crate::model::{Filter, Health, HealthFilter, PAGE_LIMITS, Server, ToolEntry, View};

/// How many servers and tools one answer has, if nobody says how many, and may have.
pub(super) const FEW_SERVERS: u32 = 10;
pub(super) const MOST_SERVERS: u32 = 50;
pub(super) const FEW_TOOLS: u32 = 5;
pub(super) const MOST_TOOLS: u32 = 20;
/// Bytes of schemas in one answer: some 6,000 tokens of a context window.
const SCHEMAS: usize = 24_000;
/// Characters of a description.
const DESCRIPTION: usize = 600;
/// Words of a query that are looked for one by one, where nothing has all of them.
const WORDS: usize = 8;
/// Servers that a tool is said to be offered by.
const OFFERED_BY: usize = 10;

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

pub(super) async fn find_servers(catalogue: &Catalogue, given: Value) -> Answer<Given> {
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
    Ok(Given { structured, text })
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

pub(super) async fn find_tools(catalogue: &Catalogue, given: Value) -> Answer<Given> {
    let FindTools { query, tags, server, limit } = arguments(given)?;
    let limit = within(limit, FEW_TOOLS, MOST_TOOLS)?;
    let filter = server.into_iter().fold(Filter::new().tags(tags).limit(limit), Filter::name);
    let with_all_words = filter.clone().words(&query);
    searchable(&with_all_words)?;
    let page = catalogue.tools(with_all_words).await?;
    let (mut more, all_words) = (page.next_cursor.is_some(), !page.tools.is_empty());
    let mut found = page.tools;
    if !all_words {
        (found, more) = some_words(catalogue, &filter, &query).await?;
        more |= found.len() > limit as usize;
        found.truncate(limit as usize);
    }
    let schemas = schemas(catalogue, &found).await?;
    let mut room = SCHEMAS;
    let mut tools = Vec::with_capacity(found.len());
    let mut lines = Vec::with_capacity(found.len());
    for (tool, schema) in found.iter().zip(schemas) {
        let schema = schema.filter(|(bytes, _)| room >= *bytes).map(|(bytes, schema)| {
            room -= bytes;
            schema
        });
        let names: Vec<&str> = tool.servers.iter().map(|server| server.name.as_str()).take(3).collect();
        let what = short(tool.description.as_deref().unwrap_or("(no description)"));
        lines.push(format!("{}: {what} (offered by {})", tool.name, names.join(", ")));
        tools.push(json!({
            "name": tool.name, "title": tool.title, "description": tool.description.as_deref().map(short),
            "inputSchema": schema, "servers": tool.servers.iter().take(OFFERED_BY).collect::<Vec<_>>(),
        }));
    }
    let text = match (&lines[..], all_words) {
        ([], _) => "no registered server offers such a tool".to_owned(),
        (lines, true) => lines.join("\n"),
        (lines, false) => format!("no tool has all these words; these have some:\n{}", lines.join("\n")),
    };
    Ok(Given { structured: json!({"tools": tools, "more": more, "all_words": all_words}), text })
}

/// The query is called otherwise over HTTP.
fn searchable(filter: &Filter) -> Answer<()> {
    filter.expression().map(|_| ()).map_err(|wrong| Failure(format!("the query {}", wrong.detail)))
}

/// The tools that have some of the words, those with most of them first, and whether there are more.
async fn some_words(catalogue: &Catalogue, filter: &Filter, query: &str) -> Answer<(Vec<ToolEntry>, bool)> {
    let (mut found, mut places, mut more) = (Vec::<(usize, ToolEntry)>::new(), HashMap::new(), false);
    for word in query.split_whitespace().take(WORDS) {
        let with_this_word = filter.clone().limit(*PAGE_LIMITS.end()).words(word);
        // One that nothing can be found by, like a dash, is no reason to give up.
        if searchable(&with_this_word).is_err() {
            continue;
        }
        let page = catalogue.tools(with_this_word).await?;
        more |= page.next_cursor.is_some();
        for tool in page.tools {
            let place = *places.entry(tool.name.clone()).or_insert(found.len());
            match found.get_mut(place) {
                Some((words, _)) => *words += 1,
                None => found.push((1, tool)),
            }
        }
    }
    found.sort_by_key(|(words, _)| std::cmp::Reverse(*words));
    Ok((found.into_iter().map(|(_, tool)| tool).collect(), more))
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

pub(super) async fn get_server(catalogue: &Catalogue, given: Value) -> Answer<Given> {
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
    Ok(Given { structured: json!({"server": record}), text })
}

fn offers(server: &Server, name: &str) -> bool {
    server.capabilities.tools.iter().any(|tool| tool.name() == name)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

pub(super) async fn status(catalogue: &Catalogue, given: Value) -> Answer<Given> {
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
    Ok(Given { structured, text })
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

fn short(text: &str) -> String {
    match text.char_indices().nth(DESCRIPTION) {
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
