//! The resources `paulina://servers` and `paulina://servers/{id}`.

use rmcp::ErrorData;
use rmcp::model::{ListResourcesResult, ReadResourceResult, Resource, ResourceContents, ResourceTemplate};
use serde_json::{Value, json};

use super::backend::{Backend, RequestError, RequestResult};
use super::read_tools::server_summary;
use crate::model::{Cursor, Filter, MAX_ID_CHARACTERS, PAGE_LIMITS};

pub(super) const SERVERS_URI: &str = "paulina://servers";
const PAGE_SIZE: u32 = 100;
const JSON_MIME_TYPE: &str = "application/json";

/// Returns the URI of a server.
pub(super) fn server_uri(id: &str) -> String {
    format!("{SERVERS_URI}/{id}")
}

/// Returns whether a URI names one of these resources.
pub(super) fn is_known(uri: &str) -> bool {
    uri == SERVERS_URI
        || uri.strip_prefix(SERVERS_URI).and_then(|rest| rest.strip_prefix('/')).is_some_and(is_id)
}

/// Returns whether the text is a valid server id.
fn is_id(text: &str) -> bool {
    (1..=MAX_ID_CHARACTERS).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

pub(super) fn template() -> ResourceTemplate {
    ResourceTemplate::new(format!("{SERVERS_URI}/{{id}}"), "server")
        .with_title("MCP server")
        .with_description("The complete record of a server, including schemas")
        .with_mime_type(JSON_MIME_TYPE)
}

/// Lists the resource of all servers, and then each server.
pub(super) async fn list(
    backend: &Backend,
    cursor: Option<String>,
) -> Result<ListResourcesResult, ErrorData> {
    let mut resources = Vec::new();
    let mut filter = Filter::new().limit(PAGE_SIZE);
    if let Some(cursor) = cursor {
        let cursor: Cursor = cursor.parse().map_err(|_| ErrorData::invalid_params("invalid cursor", None))?;
        filter = filter.after(&cursor);
    } else {
        let servers = Resource::new(SERVERS_URI, "servers").with_title("All MCP servers");
        resources.push(
            servers.with_description("Summaries of the healthy servers").with_mime_type(JSON_MIME_TYPE),
        );
    }
    let page = backend.find(filter).await.map_err(internal)?;
    for server in &page.servers {
        let mut resource = Resource::new(server_uri(&server.id), &server.name).with_mime_type(JSON_MIME_TYPE);
        resource = server.title.iter().fold(resource, Resource::with_title);
        resource = server.description.iter().fold(resource, Resource::with_description);
        resources.push(resource);
    }
    let mut result = ListResourcesResult::with_all_items(resources);
    result.next_cursor = page.next_cursor.map(|cursor| cursor.to_string());
    Ok(result)
}

pub(super) async fn read(backend: &Backend, uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let unknown = || {
        ErrorData::resource_not_found(format!("resource {uri:?} does not exist"), Some(json!({ "uri": uri })))
    };
    let text = if uri == SERVERS_URI {
        first_page(backend).await.map_err(internal)?.to_string()
    } else {
        let id = uri.strip_prefix(SERVERS_URI).and_then(|rest| rest.strip_prefix('/')).ok_or_else(unknown)?;
        let server = backend.get(id).await.map_err(internal)?.ok_or_else(unknown)?;
        serde_json::to_string(&server).map_err(|error| internal(error.into()))?
    };
    Ok(ReadResourceResult::new(vec![ResourceContents::text(text, uri).with_mime_type(JSON_MIME_TYPE)]))
}

/// Returns the summaries of the first page of servers.
async fn first_page(backend: &Backend) -> RequestResult<Value> {
    let page = backend.find(Filter::new().limit(*PAGE_LIMITS.end())).await?;
    let servers: Vec<Value> = page.servers.iter().map(server_summary).collect();
    Ok(json!({"servers": servers, "more": page.next_cursor.is_some(), "revision": page.revision}))
}

fn internal(RequestError(reason): RequestError) -> ErrorData {
    ErrorData::internal_error(reason, None)
}
