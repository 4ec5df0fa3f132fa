//! Keeping leases alive, and asking after them.

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
/// Refresh at half the `ttl`. A refresh that comes late, but before the pruner, revives the registration. After
/// `not_registered`, register again. With `lease`, only that registering is refreshed: another process may have
/// registered the id since.
#[utoipa::path(
    put, path = "/v1/servers/{id}/refresh", operation_id = "refresh", tag = "leases",
    params(
        ("id" = String, Path, description = "the server's id", example = "filesystem-abc123"),
        ("lease" = Option<uuid::Uuid>, Query, description = "the lease that registering gave", example = "0f9f3d2e-6f3c-4c86-9a5e-3b8a54b1f1aa"),
    ),
    responses(
        (status = 200, description = "The lease runs on.", body = Refreshed),
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

/// Ids of servers.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Ids {
    /// At most 10,000.
    #[schema(max_items = 10_000, example = json!(["filesystem-abc123", "gone-42"]))]
    ids: Vec<String>,
}

/// Refresh many leases.
///
/// One call for a host with many servers. Ids that are not registered are listed in the answer. Where some belong to
/// another token, it is `forbidden` and `errors` names them, and those that are not registered; all others are refreshed.
#[utoipa::path(
    post, path = "/v1/refresh", operation_id = "refreshMany", tag = "leases",
    request_body(content = Ids, content_type = "application/json"),
    responses(
        (status = 200, description = "What became of each.", body = RefreshedMany),
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
    query::none(&uri)?;
    let Ids { ids } = serde_json::from_slice(&body.bytes).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => violation(format!("must be {{\"ids\": [strings]}}: {error}")),
        _ => Problem::new(Code::MalformedJson, format!("the body is not JSON: {error}")),
    })?;
    if ids.len() > MAX_REFRESH_IDS {
        return Err(violation(format!("has {} ids; at most {MAX_REFRESH_IDS} are allowed", ids.len())));
    }
    let (answer, unknown, forbidden) = app.registry().refresh_many_for(ids, actor).await?;
    if forbidden.is_empty() { Ok(json(StatusCode::OK, &answer)) } else { Err(not_all(&unknown, &forbidden)) }
}

/// Some of many servers belong to another token. Who is told so must also be told which it has to register again.
fn not_all(unknown: &[usize], forbidden: &[usize]) -> Problem {
    let at = |detail: &'static str| {
        move |place: &usize| {
            (*place, Violation { pointer: format!("/ids/{place}"), detail: detail.to_owned() })
        }
    };
    let unknown = unknown.iter().map(at("is not registered; register it again"));
    let mut errors: Vec<_> = forbidden.iter().map(at("belongs to another token")).chain(unknown).collect();
    errors.sort_by_key(|(place, _)| *place);
    let detail = "some of these servers belong to another token; all that errors does not name are refreshed";
    Problem::new(Code::Forbidden, detail).listing(errors.into_iter().map(|(_, error)| error).collect())
}

fn violation(detail: String) -> Problem {
    Problem::invalid(vec![Violation { pointer: String::new(), detail }])
}

/// The health of a server.
///
/// Healthy while its lease runs. For an id that is not registered the problem also says `"health": "unhealthy"`.
#[utoipa::path(
    get, path = "/v1/servers/{id}/health", operation_id = "health", tag = "leases",
    params(("id" = String, Path, description = "the server's id", example = "filesystem-abc123")),
    responses(
        (status = 200, description = "The lease.", body = LeaseState),
        (status = 404, description = "not_registered"),
    )
)]
pub(in crate::http) async fn health(
    State(app): State<App>,
    path: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Response, Problem> {
    query::none(&uri)?;
    let id = id(path).map_err(Problem::unhealthy)?;
    match app.registry().health(&id)? {
        Some(state) => Ok(json(StatusCode::OK, &state)),
        None => Err(Problem::not_registered(&id).unhealthy()),
    }
}
