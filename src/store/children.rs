//! What belongs to a server: its tools, resources, prompts, capabilities, tags and metadata, and its words for full text.

use serde_json::json;
use sqlx::SqliteConnection;

use super::StoreError;
use crate::model::{Capabilities, ResourceAddress, Server, searchable};

/// Writes what a server offers: one statement a table, its rows in one JSON text.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    number: i64,
    server: &Server,
) -> Result<(), StoreError> {
    let Capabilities { tools, resources, prompts, .. } = &server.capabilities;
    if !tools.is_empty() {
        let rows = tools.iter().map(|tool| {
            let text = [tool.title(), tool.description()].into_iter().flatten().collect::<Vec<_>>().join(" ");
            json!([
                tool.name(),
                tool.title(),
                tool.description(),
                tool.definition().as_str(),
                searchable(tool.name()),
                searchable(&text)
            ])
        });
        let rows = rows.collect::<serde_json::Value>().to_string();
        sqlx::query!(
            "INSERT INTO tools (server, position, name, title, description, definition) \
             SELECT ?1, key, value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?2)",
            number,
            rows
        )
        .execute(&mut *connection)
        .await?;
        sqlx::query!(
            "INSERT INTO tool_text (rowid, name, text) SELECT t.number, j.value ->> 4, j.value ->> 5 \
             FROM json_each(?2) j JOIN tools t ON t.server = ?1 AND t.name = j.value ->> 0",
            number,
            rows
        )
        .execute(&mut *connection)
        .await?;
    }
    if !prompts.is_empty() {
        let rows = prompts.iter().map(|prompt| {
            json!([prompt.name(), prompt.title(), prompt.description(), prompt.definition().as_str()])
        });
        let rows = rows.collect::<serde_json::Value>().to_string();
        sqlx::query!(
            "INSERT INTO prompts (server, position, name, title, description, definition) \
             SELECT ?1, key, value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?2)",
            number,
            rows
        )
        .execute(&mut *connection)
        .await?;
    }
    if !resources.is_empty() {
        let rows = resources.iter().map(|resource| {
            let address = resource.address();
            let (uri, template) = match address {
                ResourceAddress::Uri(uri) => (Some(uri), None),
                ResourceAddress::Template(template) => (None, Some(template)),
            };
            json!([
                uri,
                template,
                address.glob(),
                address.prefix(),
                resource.name(),
                resource.title(),
                resource.description(),
                resource.mime_type(),
                resource.definition().as_str()
            ])
        });
        let rows = rows.collect::<serde_json::Value>().to_string();
        sqlx::query!(
            "INSERT INTO resources \
             (server, position, uri, uri_template, glob, prefix, name, title, description, mime_type, definition) \
             SELECT ?1, key, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, \
             value ->> 6, value ->> 7, value ->> 8 FROM json_each(?2)",
            number,
            rows
        )
        .execute(&mut *connection)
        .await?;
    }
    insert_words(connection, number, server).await
}

/// Writes what a server is found by besides: capabilities, tags, metadata and full text.
async fn insert_words(
    connection: &mut SqliteConnection,
    number: i64,
    server: &Server,
) -> Result<(), StoreError> {
    let capabilities: Vec<_> = server.capabilities.named().collect();
    if !capabilities.is_empty() {
        let rows = json!(capabilities).to_string();
        sqlx::query!(
            "INSERT INTO capabilities (server, name, options) SELECT ?1, value ->> 0, value ->> 1 FROM json_each(?2)",
            number,
            rows
        )
        .execute(&mut *connection)
        .await?;
    }
    if !server.tags.is_empty() {
        let rows = json!(server.tags).to_string();
        sqlx::query!("INSERT INTO tags (server, tag) SELECT ?1, value FROM json_each(?2)", number, rows)
            .execute(&mut *connection)
            .await?;
    }
    if !server.metadata.is_empty() {
        let rows = json!(server.metadata).to_string();
        sqlx::query!(
            "INSERT INTO metadata (server, key, value) SELECT ?1, key, value FROM json_each(?2)",
            number,
            rows
        )
        .execute(&mut *connection)
        .await?;
    }
    let (name, tags, tools, text) = words(server);
    sqlx::query!(
        "INSERT INTO server_text (rowid, name, tags, tools, text) VALUES (?, ?, ?, ?, ?)",
        number,
        name,
        tags,
        tools,
        text
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// What full-text search finds a server by: its names, tags, the names of what it offers, and all other text.
fn words(server: &Server) -> (String, String, String, String) {
    let Capabilities { tools, resources, prompts, .. } = &server.capabilities;
    let mut names = Vec::new();
    let mut texts = vec![server.description.as_deref()];
    for tool in tools {
        names.push(tool.name());
        texts.extend([tool.title(), tool.description()]);
    }
    for prompt in prompts {
        names.push(prompt.name());
        texts.extend([prompt.title(), prompt.description()]);
    }
    for resource in resources {
        names.extend(resource.name());
        texts.extend([resource.title(), resource.description()]);
    }
    let title = server.title.as_deref().unwrap_or_default();
    let text: Vec<&str> = texts.into_iter().flatten().collect();
    (
        searchable(&format!("{} {title}", server.name)),
        searchable(&server.tags.join(" ")),
        searchable(&names.join(" ")),
        searchable(&text.join(" ")),
    )
}
