//! Totals.

use axum::extract::{Request, State};
use axum::response::Response;

use super::query;
use crate::http::problem::Problem;
use crate::http::response::{fingerprint, tagged, unwritable};
use crate::http::state::App;
use crate::model::Stats;

/// Totals.
///
/// Of all that is registered, healthy or not.
#[utoipa::path(
    get, path = "/v1/stats", operation_id = "stats", tag = "finding",
    params(("If-None-Match" = Option<String>, Header, description = "the `ETag` of an earlier answer")),
    responses(
        (status = 200, description = "The totals.", body = Stats, headers(("ETag" = String, description = "weak"))),
        (status = 304, description = "The totals have not changed."),
    )
)]
pub(in crate::http) async fn stats(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    query::none(request.uri())?;
    let stats = app.registry().stats().await?;
    match serde_json::to_string(&stats) {
        Ok(json) => Ok(tagged(request.headers(), fingerprint(&json), || json)),
        Err(error) => Ok(unwritable(&error)),
    }
}
