//! Promoting a standby.

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;

use super::query;
use super::role::Ready;
use crate::http::problem::{Code, Problem};
use crate::http::response::json;
use crate::http::state::App;

/// Promote a standby to primary.
///
/// The standby restores the replica a last time, begins a new epoch and accepts writes from then on. The request is rejected
/// while the peer (`--peer`) still reports itself as primary, unless `force=true`. On a primary it has no effect. Once tokens
/// exist, it requires one with the role `admin`.
#[utoipa::path(
    post, path = "/v1/promote", operation_id = "promote", tag = "operations",
    params(("force" = Option<bool>, Query, description = "promote even if the peer still reports itself as primary; if the replica cannot be read, use the local copy")),
    responses(
        (status = 200, description = "The registry is primary.", body = Ready),
        (status = 409, description = "not_promoted"),
    )
)]
pub(in crate::http) async fn promote(State(app): State<App>, uri: Uri) -> Result<Response, Problem> {
    let force = query::flag(&uri, "force")?;
    if app.registry().is_standby() {
        let Some(promoter) = app.promoter() else {
            let detail = "the program that serves this standby does not support promotion over HTTP";
            return Err(Problem::new(Code::NotPromoted, detail));
        };
        // A task of its own, so that it continues if the client disconnects.
        let outcome = tokio::spawn(promoter.promote(force)).await;
        let outcome = outcome.unwrap_or_else(|error| Err(error.to_string()));
        // A concurrent request may have promoted it.
        if let Err(detail) = outcome
            && app.registry().is_standby()
        {
            return Err(Problem::new(Code::NotPromoted, detail));
        }
    }
    Ok(json(StatusCode::OK, &Ready::of(app.registry())))
}
