//! What belongs to servers: their tools, resources, prompts, capabilities, tags and metadata, their words for full
//! text, and their ready-made summaries.
//!
//! Written for many servers at once, one statement a table: a statement costs more than a row, full text most of all,
//! and rows with long texts go in twice as fast as VALUES than as one JSON text.

use sqlx::query_builder::Separated;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::StoreError;
use crate::model::{Capabilities, Record, searchable};

/// A server whose children are to be written: its number, what it registered, and the head of its summary.
pub(super) struct Parent<'a> {
    pub(super) number: i64,
    pub(super) record: &'a Record,
    pub(super) summary: String,
}

/// How many rows one statement writes at most. SQLite binds 32,766 values.
const CHUNK: usize = 1_000;

/// Writes rows into a table, `into` being its name and columns.
pub(super) async fn insert_rows<T>(
    connection: &mut SqliteConnection,
    into: &str,
    rows: &[T],
    end: &str,
    mut row: impl FnMut(&mut Separated<'_, Sqlite, &'static str>, &T),
) -> Result<(), StoreError> {
    for chunk in rows.chunks(CHUNK) {
        let mut sql = QueryBuilder::<Sqlite>::new("INSERT INTO ");
        sql.push(into).push(' ');
        sql.push_values(chunk, |mut values, item| row(&mut values, item));
        sql.push(end);
        sql.build().persistent(chunk.len() == 1).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Writes all that belongs to these servers; their tools are numbered from `first_tool` on.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    parents: &[Parent<'_>],
    first_tool: i64,
) -> Result<i64, StoreError> {
    let tools: Vec<_> = parents
        .iter()
        .flat_map(|parent| (0_i64..).zip(&parent.record.capabilities.tools).map(|tool| (parent.number, tool)))
        .zip(first_tool..)
        .collect();
    let into = "tools (number, server, position, name, title, description, definition)";
    insert_rows(connection, into, &tools, "", |row, ((server, (position, tool)), number)| {
        row.push_bind(*number)
            .push_bind(*server)
            .push_bind(*position)
            .push_bind(tool.name())
            .push_bind(tool.title())
            .push_bind(tool.description())
            .push_bind(tool.definition().as_str());
    })
    .await?;
    insert_rows(connection, "tool_text (rowid, name, text)", &tools, "", |row, ((_, (_, tool)), number)| {
        let text = [tool.title(), tool.description()].into_iter().flatten().collect::<Vec<_>>().join(" ");
        row.push_bind(*number).push_bind(searchable(tool.name())).push_bind(searchable(&text));
    })
    .await?;
    let prompts: Vec<_> = parents
        .iter()
        .flat_map(|parent| (0_i64..).zip(&parent.record.capabilities.prompts).map(|own| (parent.number, own)))
        .collect();
    let into = "prompts (server, position, name, title, description, definition)";
    insert_rows(connection, into, &prompts, "", |row, (server, (position, prompt))| {
        row.push_bind(*server)
            .push_bind(*position)
            .push_bind(prompt.name())
            .push_bind(prompt.title())
            .push_bind(prompt.description())
            .push_bind(prompt.definition().as_str());
    })
    .await?;
    insert_resources(connection, parents).await?;
    insert_words(connection, parents).await?;
    let summaries = "summaries (server, record)";
    let end = " ON CONFLICT (server) DO UPDATE SET record = excluded.record";
    insert_rows(connection, summaries, parents, end, |row, parent| {
        row.push_bind(parent.number).push_bind(&parent.summary);
    })
    .await?;
    Ok(first_tool + i64::try_from(tools.len()).unwrap_or_default())
}

async fn insert_resources(
    connection: &mut SqliteConnection,
    parents: &[Parent<'_>],
) -> Result<(), StoreError> {
    let resources: Vec<_> = parents
        .iter()
        .flat_map(|parent| {
            (0_i64..).zip(&parent.record.capabilities.resources).map(|own| (parent.number, own))
        })
        .collect();
    let into = "resources (server, position, uri, uri_template, glob, prefix, name, title, description, mime_type, \
                definition)";
    insert_rows(connection, into, &resources, "", |row, (server, (position, resource))| {
        let address = resource.address();
        row.push_bind(*server)
            .push_bind(*position)
            .push_bind(address.as_uri())
            .push_bind(address.as_template())
            .push_bind(address.glob())
            .push_bind(address.prefix())
            .push_bind(resource.name())
            .push_bind(resource.title())
            .push_bind(resource.description())
            .push_bind(resource.mime_type())
            .push_bind(resource.definition().as_str());
    })
    .await
}

/// Writes what servers are found by besides: capabilities, tags, metadata and full text.
async fn insert_words(connection: &mut SqliteConnection, parents: &[Parent<'_>]) -> Result<(), StoreError> {
    let capabilities: Vec<_> = parents
        .iter()
        .flat_map(|parent| parent.record.capabilities.named().map(|named| (parent.number, named)))
        .collect();
    let into = "capabilities (server, name, options)";
    insert_rows(connection, into, &capabilities, "", |row, (server, (name, options))| {
        row.push_bind(*server).push_bind(*name).push_bind(*options);
    })
    .await?;
    let tags: Vec<_> =
        parents.iter().flat_map(|parent| parent.record.tags.iter().map(|tag| (parent.number, tag))).collect();
    insert_rows(connection, "tags (server, tag)", &tags, "", |row, (server, tag)| {
        row.push_bind(*server).push_bind(*tag);
    })
    .await?;
    let metadata: Vec<_> = parents
        .iter()
        .flat_map(|parent| parent.record.metadata.iter().map(|pair| (parent.number, pair)))
        .collect();
    let into = "metadata (server, key, value)";
    insert_rows(connection, into, &metadata, "", |row, (server, (key, value))| {
        row.push_bind(*server).push_bind(*key).push_bind(*value);
    })
    .await?;
    let into = "server_text (rowid, name, tags, tools, text)";
    insert_rows(connection, into, parents, "", |row, parent| {
        let (name, tags, tools, text) = words(parent.record);
        row.push_bind(parent.number).push_bind(name).push_bind(tags).push_bind(tools).push_bind(text);
    })
    .await
}

/// What full-text search finds a server by: its names, tags, the names of what it offers, and all other text.
fn words(server: &Record) -> (String, String, String, String) {
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
