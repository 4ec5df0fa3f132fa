//! What belongs to servers: their tools, resources, prompts, capabilities, tags and metadata, what they are found by, and
//! their ready-made summaries.
//!
//! Written for many servers at once, one statement a table: a statement costs more than a row, and rows with long texts go
//! in twice as fast as VALUES than as one JSON text.

use super::multi_statement::Script;
use super::prepared::PreparedRegistration;
use super::search_text;
use crate::model::Capabilities;

/// A server whose children are to be written.
pub(in crate::store) struct Parent<'a> {
    pub(in crate::store) number: i64,
    pub(in crate::store) put: &'a PreparedRegistration,
}

impl<'a> Parent<'a> {
    fn capabilities(&self) -> &'a Capabilities {
        &self.put.record.capabilities
    }
}

/// Writes all that belongs to these servers.
pub(in crate::store) fn insert(script: &mut Script, parents: &[Parent<'_>]) {
    let tools: Vec<_> = parents
        .iter()
        .flat_map(|parent| (0_i64..).zip(&parent.capabilities().tools).map(|tool| (parent.number, tool)))
        .collect();
    let into = "tools (server, position, name, title, description, definition)";
    script.insert(into, &tools, "", |row, (server, (position, tool))| {
        row.push_bind(*server)
            .push_bind(*position)
            .push_bind(tool.name())
            .push_bind(tool.title())
            .push_bind(tool.description())
            .push_bind(tool.stored());
    });
    let prompts: Vec<_> = parents
        .iter()
        .flat_map(|parent| (0_i64..).zip(&parent.capabilities().prompts).map(|own| (parent.number, own)))
        .collect();
    let into = "prompts (server, position, name, title, description, definition)";
    script.insert(into, &prompts, "", |row, (server, (position, prompt))| {
        row.push_bind(*server)
            .push_bind(*position)
            .push_bind(prompt.name())
            .push_bind(prompt.title())
            .push_bind(prompt.description())
            .push_bind(prompt.stored());
    });
    insert_resources(script, parents);
    insert_marks(script, parents);
    search_text::insert(script, parents.iter().map(|parent| (parent.number, &parent.put.text)));
    let summaries = "summaries (server, record)";
    let end = " ON CONFLICT (server) DO UPDATE SET record = excluded.record";
    script.insert(summaries, parents, end, |row, parent| {
        row.push_bind(parent.number).push_bind(&parent.put.summary);
    });
}

fn insert_resources(script: &mut Script, parents: &[Parent<'_>]) {
    let resources: Vec<_> = parents
        .iter()
        .flat_map(|parent| (0_i64..).zip(&parent.capabilities().resources).map(|own| (parent.number, own)))
        .collect();
    let into = "resources (server, position, uri, uri_template, glob, prefix, name, title, description, mime_type, \
                definition)";
    script.insert(into, &resources, "", |row, (server, (position, resource))| {
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
    });
}

/// Writes capabilities, tags and metadata.
fn insert_marks(script: &mut Script, parents: &[Parent<'_>]) {
    let capabilities: Vec<_> = parents
        .iter()
        .flat_map(|parent| parent.capabilities().named().map(|named| (parent.number, named)))
        .collect();
    let into = "capabilities (server, name, options)";
    script.insert(into, &capabilities, "", |row, (server, (name, options))| {
        row.push_bind(*server).push_bind(*name).push_bind(*options);
    });
    let tags: Vec<_> = parents
        .iter()
        .flat_map(|parent| parent.put.record.tags.iter().map(|tag| (parent.number, tag)))
        .collect();
    script.insert("tags (server, tag)", &tags, "", |row, (server, tag)| {
        row.push_bind(*server).push_bind(*tag);
    });
    let metadata: Vec<_> = parents
        .iter()
        .flat_map(|parent| parent.put.record.metadata.iter().map(|pair| (parent.number, pair)))
        .collect();
    let into = "metadata (server, key, value)";
    script.insert(into, &metadata, "", |row, (server, (key, value))| {
        row.push_bind(*server).push_bind(*key).push_bind(*value);
    });
}
