//! Refreshing leases, and reading their state.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;

use super::query;
use super::servers::id;
use crate::http::extract::Caller;
use crate::http::extract::JsonBody;
use crate::http::problem::{Code, Problem};
use crate::http::response::json;
use crate::http::state::App;
use crate::model::{LeaseRef, LeaseState, MAX_REFRESH_IDS, Refreshed, RefreshedMany, Violation};

/// Refresh a lease.
///
/// Refresh at half the `ttl`. A late refresh revives a server that has not been pruned yet. After `not_registered`, register
/// again. With `lease`, the refresh fails with `lease_replaced` if another process has registered the id since.
#[utoipa::path(
    put, path = "/v1/servers/{id}/refresh", operation_id = "refresh", tag = "leases",
    params(
        ("id" = String, Path, description = "the id of the server", example = "filesystem-abc123"),
        ("lease" = Option<uuid::Uuid>, Query, description = "the `lease` that the registration returned", example = "0f9f3d2e-6f3c-4c86-9a5e-3b8a54b1f1aa"),
    ),
    responses(
        (status = 200, description = "Lease refreshed.", body = Refreshed),
        (status = 404, description = "not_registered"),
        (status = 409, description = "lease_replaced"),
        (status = 503, description = "standby"),
        (status = 507, description = "storage_full"),
    )
)]
pub(in crate::http) async fn refresh(
    State(app): State<App>,
    Caller(actor): Caller,
    path: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Response, Problem> {
    let lease = query::lease(&uri)?;
    let refreshed = app.registry().refresh_for(LeaseRef::new(id(path)?, lease), actor).await?;
    Ok(json(StatusCode::OK, &refreshed))
}

/// Ids of servers to refresh.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Ids {
    /// Up to 10,000 ids.
    #[schema(max_items = 10_000, example = json!(["filesystem-abc123", "gone-42"]))]
    ids: Vec<String>,
}

/// Refresh many leases.
///
/// One request for a host with many servers. The response lists ids that are not registered. If some servers belong to another
/// token, the response is `forbidden` and `errors` names those and the ids that are not registered; all others are refreshed.
#[utoipa::path(
    post, path = "/v1/refresh", operation_id = "refreshMany", tag = "leases",
    request_body(content = Ids, content_type = "application/json"),
    responses(
        (status = 200, description = "Result per id.", body = RefreshedMany),
        (status = 400, description = "malformed_json"),
        (status = 408, description = "request_timeout"),
        (status = 413, description = "payload_too_large"),
        (status = 415, description = "unsupported_media_type"),
        (status = 422, description = "invalid_registration"),
        (status = 503, description = "standby"),
        (status = 507, description = "storage_full"),
    )
)]
pub(in crate::http) async fn refresh_many(
    State(app): State<App>,
    Caller(actor): Caller,
    uri: Uri,
    body: JsonBody,
) -> Result<Response, Problem> {
    query::reject_parameters(&uri)?;
    let Ids { ids } = serde_json::from_slice(&body.bytes).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => invalid_body(format!("must be {{\"ids\": [strings]}}: {error}")),
        _ => Problem::new(Code::MalformedJson, format!("the body is not JSON: {error}")),
    })?;
    if ids.len() > MAX_REFRESH_IDS {
        return Err(invalid_body(format!("has {} ids; at most {MAX_REFRESH_IDS} are allowed", ids.len())));
    }
    let (refreshed, unknown, forbidden) = app.registry().refresh_many_for(ids, actor).await?;
    if forbidden.is_empty() {
        Ok(json(StatusCode::OK, &refreshed))
    } else {
        Err(partly_forbidden(&unknown, &forbidden))
    }
}

/// Returns the problem of a refresh of many servers, some of which belong to another token. It also lists those that the client
/// has to register again.
fn partly_forbidden(unknown: &[usize], forbidden: &[usize]) -> Problem {
    let at = |detail: &'static str| {
        move |index: &usize| {
            (*index, Violation { pointer: format!("/ids/{index}"), detail: detail.to_owned() })
        }
    };
    let unknown = unknown.iter().map(at("is not registered; register it again"));
    let mut errors: Vec<_> = forbidden.iter().map(at("belongs to another token")).chain(unknown).collect();
    errors.sort_by_key(|(index, _)| *index);
    let detail =
        "some of these servers belong to another token; all that are not listed in errors were refreshed";
    Problem::new(Code::Forbidden, detail).with_errors(errors.into_iter().map(|(_, error)| error).collect())
}

fn invalid_body(detail: String) -> Problem {
    Problem::invalid(vec![Violation { pointer: String::new(), detail }])
}

/// Get the health of a server.
///
/// A server is healthy until its lease expires. For an id that is not registered, the problem contains
/// `"health": "unhealthy"`.
#[utoipa::path(
    get, path = "/v1/servers/{id}/health", operation_id = "health", tag = "leases",
    params(("id" = String, Path, description = "the id of the server", example = "filesystem-abc123")),
    responses(
        (status = 200, description = "The state of the lease.", body = LeaseState),
        (status = 404, description = "not_registered"),
    )
)]
pub(in crate::http) async fn health(
    State(app): State<App>,
    path: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Response, Problem> {
    query::reject_parameters(&uri)?;
    let id = id(path).map_err(Problem::with_unhealthy)?;
    match app.registry().health(&id)? {
        Some(state) => Ok(json(StatusCode::OK, &state)),
        None => Err(Problem::not_registered(&id).with_unhealthy()),
    }
}
