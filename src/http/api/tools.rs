//! Tools, each once, with the servers that offer it.

use axum::extract::{Request, State};
use axum::response::Response;

use super::query;
use crate::http::openapi::schemas::{FilterQuery, PageQuery, Tools};
use crate::http::problem::Problem;
use crate::http::response::{fingerprint, tagged, unwritable};
use crate::http::state::App;

/// Find tools.
///
/// Each tool once, by name, with the servers that offer it; with `q`, best first. Here `tool` and `q` choose tools, and
/// all other filters choose servers.
#[utoipa::path(
    get, path = "/v1/tools", operation_id = "tools", tag = "finding",
    params(FilterQuery, PageQuery, ("If-None-Match" = Option<String>, Header, description = "the `ETag` of an earlier answer")),
    responses(
        (status = 200, description = "A page of tools.", body = Tools, headers(("ETag" = String, description = "weak"))),
        (status = 304, description = "The answer to this question has not changed."),
    )
)]
pub(in crate::http) async fn tools(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    let tools = app.registry().tools_found(query::filter(request.uri())?).await?;
    match tools.json(fingerprint) {
        Ok(page) => Ok(tagged(request.headers(), page.fingerprint, || page.json.clone())),
        Err(error) => Ok(unwritable(&error)),
    }
}
