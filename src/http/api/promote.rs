//! Making a primary of a standby.

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;

use super::operations::Ready;
use super::query;
use crate::http::problem::{Code, Problem};
use crate::http::response::json;
use crate::http::state::App;

/// Make a primary of a standby.
///
/// It restores the replica once more, begins a new epoch and takes writes from then on. It is refused while the registry that
/// it was told is the primary (`--peer`) still serves as one, unless `force=true`. A registry that is a primary stays one:
/// nothing is done then. Takes a token with the role `admin`, once there are tokens.
#[utoipa::path(
    post, path = "/v1/promote", operation_id = "promote", tag = "operations",
    params(("force" = Option<bool>, Query, description = "although the other registry still serves as a primary, and from the copy in hand if the replica is gone")),
    responses(
        (status = 200, description = "The registry is a primary.", body = Ready),
        (status = 409, description = "not_promoted"),
    )
)]
pub(in crate::http) async fn promote(State(app): State<App>, uri: Uri) -> Result<Response, Problem> {
    let force = query::flag(&uri, "force")?;
    if app.registry().is_standby() {
        let Some(promoter) = app.promoter() else {
            let detail = "the program that serves this standby does not have it promoted over HTTP";
            return Err(Problem::new(Code::NotPromoted, detail));
        };
        // It goes on although nobody should wait for it any more.
        let outcome = tokio::spawn(promoter.promote(force)).await;
        let outcome = outcome.unwrap_or_else(|error| Err(error.to_string()));
        // It may be one all the same: somebody else has asked at the same time.
        if let Err(detail) = outcome
            && app.registry().is_standby()
        {
            return Err(Problem::new(Code::NotPromoted, detail));
        }
    }
    Ok(json(StatusCode::OK, &Ready::of(app.registry())))
}
