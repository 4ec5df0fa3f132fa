//! Finding tools, each with the servers that offer it.

use axum::extract::{Request, State};
use axum::response::Response;

use super::query;
use crate::http::openapi::schemas::{FilterQuery, PageQuery};
use crate::http::problem::Problem;
use crate::http::response::{fingerprint, json_with_etag, serialization_error};
use crate::http::state::App;
use crate::model::ToolPage;

/// Find tools.
///
/// Each tool is listed once, in order of its name, with the servers that offer it; with `q`, the best match comes first. Here
/// `tool` and `q` select tools, and all other filters select servers.
#[utoipa::path(
    get, path = "/v1/tools", operation_id = "tools", tag = "discovery",
    params(FilterQuery, PageQuery, ("If-None-Match" = Option<String>, Header, description = "the `ETag` of an earlier response")),
    responses(
        (status = 200, description = "A page of tools.", body = ToolPage, headers(("ETag" = String, description = "weak"))),
        (status = 304, description = "The result has not changed."),
    )
)]
pub(in crate::http) async fn tools(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    let tools = app.registry().find_tools(query::filter(request.uri())?).await?;
    match tools.json(fingerprint) {
        Ok(page) => Ok(json_with_etag(request.headers(), page.fingerprint, || page.json.clone())),
        Err(error) => Ok(serialization_error(&error)),
    }
}
