//! Statistics of the registered servers.

use axum::extract::{Request, State};
use axum::response::Response;

use super::query;
use crate::http::problem::Problem;
use crate::http::response::{fingerprint, json_with_etag, serialization_error};
use crate::http::state::App;
use crate::model::Stats;

/// Get statistics.
///
/// Totals of all registered servers, healthy or not.
#[utoipa::path(
    get, path = "/v1/stats", operation_id = "stats", tag = "discovery",
    params(("If-None-Match" = Option<String>, Header, description = "the `ETag` of an earlier response")),
    responses(
        (status = 200, description = "The statistics.", body = Stats, headers(("ETag" = String, description = "weak"))),
        (status = 304, description = "The statistics have not changed."),
    )
)]
pub(in crate::http) async fn stats(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    query::reject_parameters(request.uri())?;
    let stats = app.registry().stats().await?;
    match serde_json::to_string(&stats) {
        Ok(json) => Ok(json_with_etag(request.headers(), fingerprint(&json), || json)),
        Err(error) => Ok(serialization_error(&error)),
    }
}
