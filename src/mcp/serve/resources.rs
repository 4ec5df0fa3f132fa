//! `paulina://servers` and `paulina://servers/{id}`.

use rmcp::ErrorData;
use rmcp::model::{ListResourcesResult, ReadResourceResult, Resource, ResourceContents, ResourceTemplate};
use serde_json::{Value, json};

use super::backend::{Answer, Catalogue, Failure};
use super::read_tools::brief;
use crate::model::{Cursor, Filter, MAX_ID_CHARACTERS, PAGE_LIMITS};

pub(super) const ALL: &str = "paulina://servers";
const PAGE: u32 = 100;
const JSON: &str = "application/json";

/// The address of one server.
pub(super) fn address(id: &str) -> String {
    format!("{ALL}/{id}")
}

/// Whether an address is one of these.
pub(super) fn is_known(uri: &str) -> bool {
    uri == ALL || uri.strip_prefix(ALL).and_then(|rest| rest.strip_prefix('/')).is_some_and(is_id)
}

/// Whether something could be registered under it.
fn is_id(text: &str) -> bool {
    (1..=MAX_ID_CHARACTERS).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

pub(super) fn template() -> ResourceTemplate {
    ResourceTemplate::new(format!("{ALL}/{{id}}"), "server")
        .with_title("One MCP server")
        .with_description("Everything that one server has registered, schemas included")
        .with_mime_type(JSON)
}

/// The list itself, and then each server.
pub(super) async fn list(
    catalogue: &Catalogue,
    cursor: Option<String>,
) -> Result<ListResourcesResult, ErrorData> {
    let mut resources = Vec::new();
    let mut filter = Filter::new().limit(PAGE);
    if let Some(cursor) = cursor {
        let cursor: Cursor =
            cursor.parse().map_err(|_| ErrorData::invalid_params("the cursor is none", None))?;
        filter = filter.after(&cursor);
    } else {
        let all = Resource::new(ALL, "servers").with_title("All MCP servers");
        resources.push(
            all.with_description("The servers that are registered and alive, in brief").with_mime_type(JSON),
        );
    }
    let page = catalogue.find(filter).await.map_err(internal)?;
    for server in &page.servers {
        let mut resource = Resource::new(address(&server.id), &server.name).with_mime_type(JSON);
        resource = server.title.iter().fold(resource, Resource::with_title);
        resource = server.description.iter().fold(resource, Resource::with_description);
        resources.push(resource);
    }
    let mut result = ListResourcesResult::with_all_items(resources);
    result.next_cursor = page.next_cursor.map(|cursor| cursor.to_string());
    Ok(result)
}

pub(super) async fn read(catalogue: &Catalogue, uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let unknown = || {
        ErrorData::resource_not_found(format!("there is no resource {uri:?}"), Some(json!({ "uri": uri })))
    };
    let text = if uri == ALL {
        all(catalogue).await.map_err(internal)?.to_string()
    } else {
        let id = uri.strip_prefix(ALL).and_then(|rest| rest.strip_prefix('/')).ok_or_else(unknown)?;
        let server = catalogue.get(id).await.map_err(internal)?.ok_or_else(unknown)?;
        serde_json::to_string(&server).map_err(|error| internal(error.into()))?
    };
    Ok(ReadResourceResult::new(vec![ResourceContents::text(text, uri).with_mime_type(JSON)]))
}

/// As many as one page has.
async fn all(catalogue: &Catalogue) -> Answer<Value> {
    let page = catalogue.find(Filter::new().limit(*PAGE_LIMITS.end())).await?;
    let servers: Vec<Value> = page.servers.iter().map(brief).collect();
    Ok(json!({"servers": servers, "more": page.next_cursor.is_some(), "revision": page.revision}))
}

fn internal(Failure(reason): Failure) -> ErrorData {
    ErrorData::internal_error(reason, None)
}
