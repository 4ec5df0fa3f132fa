//! The rows that belong to servers: tools, resources, prompts, capabilities, tags, metadata, search texts and summaries.
//!
//! They are written for many servers at once, with one statement per table: a statement costs more than a row, and rows
//! with long texts are inserted twice as fast as VALUES than from one JSON text.

use super::multi_statement::MultiStatement;
use super::prepared::PreparedRegistration;
use super::search_text;
use crate::model::Capabilities;

/// A server whose rows are to be written.
pub(in crate::store) struct ServerRow<'a> {
    pub(in crate::store) number: i64,
    pub(in crate::store) prepared: &'a PreparedRegistration,
}

impl<'a> ServerRow<'a> {
    fn capabilities(&self) -> &'a Capabilities {
        &self.prepared.record.capabilities
    }
}

/// Writes all rows that belong to these servers.
pub(in crate::store) fn insert(statements: &mut MultiStatement, servers: &[ServerRow<'_>]) {
    let tools: Vec<_> = servers
        .iter()
        .flat_map(|server| (0_i64..).zip(&server.capabilities().tools).map(|tool| (server.number, tool)))
        .collect();
    let into = "tools (server, position, name, title, description, definition)";
    statements.insert(into, &tools, "", |row, (server, (position, tool))| {
        row.push_bind(*server)
            .push_bind(*position)
            .push_bind(tool.name())
            .push_bind(tool.title())
            .push_bind(tool.description())
            .push_bind(tool.definition().as_str());
    });
    let prompts: Vec<_> = servers
        .iter()
        .flat_map(|server| (0_i64..).zip(&server.capabilities().prompts).map(|own| (server.number, own)))
        .collect();
    let into = "prompts (server, position, name, title, description, definition)";
    statements.insert(into, &prompts, "", |row, (server, (position, prompt))| {
        row.push_bind(*server)
            .push_bind(*position)
            .push_bind(prompt.name())
            .push_bind(prompt.title())
            .push_bind(prompt.description())
            .push_bind(prompt.definition().as_str());
    });
    insert_resources(statements, servers);
    insert_attributes(statements, servers);
    search_text::insert(statements, servers.iter().map(|server| (server.number, &server.prepared.text)));
    let summaries = "summaries (server, record)";
    let end = " ON CONFLICT (server) DO UPDATE SET record = excluded.record";
    statements.insert(summaries, servers, end, |row, server| {
        row.push_bind(server.number).push_bind(&server.prepared.summary);
    });
}

fn insert_resources(statements: &mut MultiStatement, servers: &[ServerRow<'_>]) {
    let resources: Vec<_> = servers
        .iter()
        .flat_map(|server| (0_i64..).zip(&server.capabilities().resources).map(|own| (server.number, own)))
        .collect();
    let into = "resources (server, position, uri, uri_template, glob, prefix, name, title, description, mime_type, \
                definition)";
    statements.insert(into, &resources, "", |row, (server, (position, resource))| {
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
    });
}

/// Writes capabilities, tags and metadata.
fn insert_attributes(statements: &mut MultiStatement, servers: &[ServerRow<'_>]) {
    let capabilities: Vec<_> = servers
        .iter()
        .flat_map(|server| server.capabilities().names_with_options().map(|named| (server.number, named)))
        .collect();
    let into = "capabilities (server, name, options)";
    statements.insert(into, &capabilities, "", |row, (server, (name, options))| {
        row.push_bind(*server).push_bind(*name).push_bind(*options);
    });
    let tags: Vec<_> = servers
        .iter()
        .flat_map(|server| server.prepared.record.tags.iter().map(|tag| (server.number, tag)))
        .collect();
    statements.insert("tags (server, tag)", &tags, "", |row, (server, tag)| {
        row.push_bind(*server).push_bind(*tag);
    });
    let metadata: Vec<_> = servers
        .iter()
        .flat_map(|server| server.prepared.record.metadata.iter().map(|pair| (server.number, pair)))
        .collect();
    let into = "metadata (server, key, value)";
    statements.insert(into, &metadata, "", |row, (server, (key, value))| {
        row.push_bind(*server).push_bind(*key).push_bind(*value);
    });
}
