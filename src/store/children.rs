//! What belongs to servers: their tools, resources, prompts, capabilities, tags and metadata, their words for full
//! text, and their ready-made summaries.
//!
//! Written for many servers at once, one statement a table: a statement costs more than a row, full text most of all,
//! and rows with long texts go in twice as fast as VALUES than as one JSON text.

use sqlx::query_builder::Separated;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::text::Text;
use super::{Put, StoreError};
use crate::model::Capabilities;

/// A server whose children are to be written.
pub(super) struct Parent<'a> {
    pub(super) number: i64,
    pub(super) put: &'a Put,
}

impl<'a> Parent<'a> {
    fn capabilities(&self) -> &'a Capabilities {
        &self.put.record.capabilities
    }
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
        .flat_map(|parent| (0_i64..).zip(&parent.capabilities().tools).map(|tool| (parent.number, tool)))
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
            .push_bind(tool.stored());
    })
    .await?;
    let texts: Vec<_> = parents.iter().flat_map(|parent| &parent.put.text.tools).zip(first_tool..).collect();
    insert_rows(connection, "tool_text (rowid, name, text)", &texts, "", |row, ((name, text), number)| {
        row.push_bind(*number).push_bind(name).push_bind(text);
    })
    .await?;
    let prompts: Vec<_> = parents
        .iter()
        .flat_map(|parent| (0_i64..).zip(&parent.capabilities().prompts).map(|own| (parent.number, own)))
        .collect();
    let into = "prompts (server, position, name, title, description, definition)";
    insert_rows(connection, into, &prompts, "", |row, (server, (position, prompt))| {
        row.push_bind(*server)
            .push_bind(*position)
            .push_bind(prompt.name())
            .push_bind(prompt.title())
            .push_bind(prompt.description())
            .push_bind(prompt.stored());
    })
    .await?;
    insert_resources(connection, parents).await?;
    insert_words(connection, parents).await?;
    let summaries = "summaries (server, record)";
    let end = " ON CONFLICT (server) DO UPDATE SET record = excluded.record";
    insert_rows(connection, summaries, parents, end, |row, parent| {
        row.push_bind(parent.number).push_bind(&parent.put.summary);
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
            (0_i64..).zip(&parent.capabilities().resources).map(|own| (parent.number, own))
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
            .push_bind(resource.stored());
    })
    .await
}

/// Writes what servers are found by besides: capabilities, tags, metadata and full text.
async fn insert_words(connection: &mut SqliteConnection, parents: &[Parent<'_>]) -> Result<(), StoreError> {
    let capabilities: Vec<_> = parents
        .iter()
        .flat_map(|parent| parent.capabilities().named().map(|named| (parent.number, named)))
        .collect();
    let into = "capabilities (server, name, options)";
    insert_rows(connection, into, &capabilities, "", |row, (server, (name, options))| {
        row.push_bind(*server).push_bind(*name).push_bind(*options);
    })
    .await?;
    let tags: Vec<_> =
        parents.iter().flat_map(|parent| parent.put.record.tags.iter().map(|tag| (parent.number, tag))).collect();
    insert_rows(connection, "tags (server, tag)", &tags, "", |row, (server, tag)| {
        row.push_bind(*server).push_bind(*tag);
    })
    .await?;
    let metadata: Vec<_> = parents
        .iter()
        .flat_map(|parent| parent.put.record.metadata.iter().map(|pair| (parent.number, pair)))
        .collect();
    let into = "metadata (server, key, value)";
    insert_rows(connection, into, &metadata, "", |row, (server, (key, value))| {
        row.push_bind(*server).push_bind(*key).push_bind(*value);
    })
    .await?;
    let into = "server_text (rowid, name, tags, tools, text)";
    insert_rows(connection, into, parents, "", |row, parent| {
        let Text { name, tags, offers, rest, .. } = &parent.put.text;
        row.push_bind(parent.number).push_bind(name).push_bind(tags).push_bind(offers).push_bind(rest);
    })
    .await
}
