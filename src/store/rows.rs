//! A record from its tables: the columns that every query of records selects, and how they become a [`Server`].
//!
//! A server's lists come as one JSON text each: every row of an sqlx query crosses two channels, so one row that
//! carries a list is far cheaper than a row for each item.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::error::odd_row;
use super::{Moment, time};
use crate::model::{
    Capabilities, Flags, Health, Json, Prompt, Resource, Server, Tool, Transport, TransportKind, View,
};

/// What a record is selected from, `s` and `l`, in summary.
const SUMMARY: &str = "\
s.number, s.id, s.name, s.title, s.version, s.description, s.transport, s.command, s.url, s.environment, s.headers, \
s.owner, s.registered_at, s.updated_at, l.ttl, l.expires_at, l.refreshed_at, \
(SELECT json_group_array(tag) FROM tags WHERE server = s.number) AS tags, \
(SELECT json_group_object(key, value) FROM metadata WHERE server = s.number) AS metadata, \
(SELECT '{' || coalesce(group_concat(json_quote(name) || ':' || options, ','), '') || '}' FROM capabilities \
WHERE server = s.number AND name NOT IN ('tools', 'resources', 'prompts')) AS flags, \
(SELECT json_group_array(json_array(name, title, description) ORDER BY position) FROM tools \
WHERE server = s.number) AS tools, \
(SELECT json_group_array(json_array(uri, uri_template, name, title, description, mime_type) ORDER BY position) \
FROM resources WHERE server = s.number) AS resources, \
(SELECT json_group_array(json_array(name, title, description) ORDER BY position) FROM prompts \
WHERE server = s.number) AS prompts";

/// What a full record has besides: the definitions as they were sent.
const DEFINITIONS: &str = ", \
(SELECT '[' || coalesce(group_concat(definition, ',' ORDER BY position), '') || ']' FROM tools \
WHERE server = s.number) AS tool_definitions, \
(SELECT '[' || coalesce(group_concat(definition, ',' ORDER BY position), '') || ']' FROM resources \
WHERE server = s.number) AS resource_definitions, \
(SELECT '[' || coalesce(group_concat(definition, ',' ORDER BY position), '') || ']' FROM prompts \
WHERE server = s.number) AS prompt_definitions";

/// The columns of a record, from `servers s` and `leases l`.
pub(super) fn columns(view: View) -> [&'static str; 2] {
    match view {
        View::Summary => [SUMMARY, ""],
        View::Full => [SUMMARY, DEFINITIONS],
    }
}

/// Reads a record from a row with these columns.
pub(super) fn server(row: &SqliteRow, view: View, now: Moment) -> Result<Server, sqlx::Error> {
    let id: String = row.try_get("id")?;
    let reader = Reader { row, id: &id, view };
    let expires_at: i64 = row.try_get("expires_at")?;
    let tags: Vec<String> = reader.json("tags")?;
    let metadata: BTreeMap<String, String> = reader.json("metadata")?;
    Ok(Server {
        name: row.try_get("name")?,
        title: row.try_get("title")?,
        version: row.try_get("version")?,
        description: row.try_get("description")?,
        transport: reader.transport()?,
        capabilities: reader.capabilities()?,
        tags: sorted(tags),
        metadata,
        owner: row.try_get("owner")?,
        ttl: row.try_get("ttl")?,
        health: health(expires_at, now),
        registered_at: time(row.try_get("registered_at")?),
        updated_at: time(row.try_get("updated_at")?),
        refreshed_at: time(row.try_get("refreshed_at")?),
        expires_at: now.wall_of(expires_at),
        id,
    })
}

pub(super) fn health(expires_at: i64, now: Moment) -> Health {
    if expires_at > now.lease { Health::Healthy } else { Health::Unhealthy }
}

fn sorted(mut list: Vec<String>) -> Vec<String> {
    list.sort();
    list
}

struct Reader<'a> {
    row: &'a SqliteRow,
    id: &'a str,
    view: View,
}

impl Reader<'_> {
    fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T, sqlx::Error> {
        let text: String = self.row.try_get(column)?;
        serde_json::from_str(&text).map_err(|_| odd_row(self.id, column))
    }

    fn transport(&self) -> Result<Transport, sqlx::Error> {
        let kind: String = self.row.try_get("transport")?;
        Ok(match kind.parse().map_err(|_| odd_row(self.id, "transport"))? {
            TransportKind::Stdio => {
                Transport::Stdio { command: self.json("command")?, environment: self.json("environment")? }
            }
            TransportKind::StreamableHttp => {
                Transport::StreamableHttp { url: self.row.try_get("url")?, headers: self.json("headers")? }
            }
            TransportKind::Sse => {
                Transport::Sse { url: self.row.try_get("url")?, headers: self.json("headers")? }
            }
        })
    }

    fn capabilities(&self) -> Result<Capabilities, sqlx::Error> {
        let resource = |(parts, definition)| {
            Resource::from_parts(parts, definition).ok_or_else(|| odd_row(self.id, "a resource"))
        };
        Ok(Capabilities {
            tools: self
                .list("tools", "tool_definitions", |(parts, json)| Ok(Tool::from_parts(parts, json)))?,
            resources: self.list("resources", "resource_definitions", resource)?,
            prompts: self
                .list("prompts", "prompt_definitions", |(parts, json)| Ok(Prompt::from_parts(parts, json)))?,
            flags: Flags(self.json("flags")?),
        })
    }

    fn list<P: DeserializeOwned, T>(
        &self,
        parts: &str,
        definitions: &str,
        join: impl FnMut((P, Option<Json>)) -> Result<T, sqlx::Error>,
    ) -> Result<Vec<T>, sqlx::Error> {
        let parts: Vec<P> = self.json(parts)?;
        let definitions: Vec<Option<Json>> = match self.view {
            View::Summary => parts.iter().map(|_| None).collect(),
            View::Full => self.json::<Vec<Json>>(definitions)?.into_iter().map(Some).collect(),
        };
        parts.into_iter().zip(definitions).map(join).collect()
    }
}
