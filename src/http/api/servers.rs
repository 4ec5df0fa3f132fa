//! Registering, finding, reading and deregistering servers.

use std::fmt::Write as _;

use axum::extract::rejection::PathRejection;
use axum::extract::{OriginalUri, Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::query;
use crate::http::extract::Caller;
use crate::http::extract::JsonBody;
use crate::http::openapi::schemas::{
    FilterQuery, PageQuery, RegisteredRecord, RegistrationBody, ServerPage, ServerRecord, ViewQuery,
};
use crate::http::problem::{Code, Problem};
use crate::http::response::{fingerprint, json, json_with_etag};
use crate::http::state::App;
use crate::model::{LeaseId, LeaseRef, Registration, Server};
use crate::store::{Entry, FindResult, JsonWithEtag};

/// Extracts the id from a path. No server has an id that is not UTF-8.
pub(in crate::http) fn id(path: Result<Path<String>, PathRejection>) -> Result<String, Problem> {
    path.map(|Path(id)| id).map_err(|_| Problem::new(Code::NotRegistered, "the id in the path is not UTF-8"))
}

#[derive(Serialize)]
struct WithLease<'a> {
    #[serde(flatten)]
    server: &'a Server,
    lease: LeaseId,
}

/// Register a server.
///
/// Registering an id again replaces the whole registration and renews its lease; sending the same registration again changes
/// only the lease. Only this response contains `lease`, which is new with every POST. With `If-None-Match: *`, an id that is
/// already registered is rejected.
#[utoipa::path(
    post, path = "/v1/servers", operation_id = "register", tag = "registration",
    params(("If-None-Match" = Option<String>, Header, description = "`*`: only if the id is not registered", example = "*")),
    request_body(content = RegistrationBody, content_type = "application/json"),
    responses(
        (status = 201, description = "Registered; the id was new.", body = RegisteredRecord,
            headers(("Location" = String, description = "the URL of the server"))),
        (status = 200, description = "Registered; the id was registered before, and the registration was replaced or is unchanged.", body = RegisteredRecord),
        (status = 400, description = "malformed_json"),
        (status = 408, description = "request_timeout"),
        (status = 412, description = "already_registered"),
        (status = 413, description = "payload_too_large"),
        (status = 415, description = "unsupported_media_type"),
        (status = 422, description = "invalid_registration"),
        (status = 503, description = "standby"),
        (status = 507, description = "storage_full"),
    )
)]
pub(in crate::http) async fn register(
    State(app): State<App>,
    Caller(actor): Caller,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<Response, Problem> {
    query::reject_parameters(&uri)?;
    let registration = Registration::from_json(&body.bytes)?;
    let new_only = headers.get(header::IF_NONE_MATCH).is_some_and(|tag| tag == "*");
    let registered = app.registry().register_for(registration, new_only, actor).await?;
    let status = if registered.created { StatusCode::CREATED } else { StatusCode::OK };
    let location = HeaderValue::from_str(&format!("{}/{}", uri.path(), registered.server.id));
    let mut response = json(status, &WithLease { server: &registered.server, lease: registered.lease });
    if let (StatusCode::CREATED, Ok(location)) = (status, location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Find servers.
///
/// A server must match all filters, and all values of a repeated one. Results are in order of registration; with `q`, the best
/// match comes first.
#[utoipa::path(
    get, path = "/v1/servers", operation_id = "find", tag = "discovery",
    params(FilterQuery, PageQuery, ViewQuery, ("If-None-Match" = Option<String>, Header, description = "the `ETag` of an earlier response")),
    responses(
        (status = 200, description = "A page of servers.", body = ServerPage, headers(("ETag" = String, description = "weak; does not cover lease times"))),
        (status = 304, description = "The result has not changed, except for lease times."),
    )
)]
pub(in crate::http) async fn find(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    let found = app.registry().find_entries(query::filter(request.uri())?).await?;
    let page = found.json(|| page(&found));
    Ok(json_with_etag(request.headers(), page.fingerprint, || page.json.clone()))
}

/// Serializes a page from the cached JSON of its records.
fn page(found: &FindResult) -> JsonWithEtag {
    let servers: Vec<u64> = found.rows.iter().map(|row| row.fingerprint(found.now)).collect();
    let next_cursor = found.next_cursor.as_ref().map(ToString::to_string);
    let revision = found.revision.to_string();
    let fingerprint = fingerprint(&(servers, &found.scores, &next_cursor, &revision));
    let bytes: usize = found.rows.iter().map(Entry::bytes).sum();
    let mut json = String::with_capacity(bytes + 128 + next_cursor.as_ref().map_or(0, String::len));
    json.push_str("{\"servers\":[");
    for (index, row) in found.rows.iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        row.write_json(&mut json, found.now);
        if let Some(score) = found.scores.get(index) {
            // As the last member of the record.
            json.truncate(json.len() - 1);
            let _ = write!(json, ",\"score\":{}}}", score.value());
        }
    }
    json.push_str("],\"next_cursor\":");
    match &next_cursor {
        // A cursor and a revision consist of letters, digits, dashes and underscores.
        Some(cursor) => json.extend(["\"", cursor, "\""]),
        None => json.push_str("null"),
    }
    json.extend([",\"revision\":\"", &revision, "\"}"]);
    JsonWithEtag { json: json.into(), fingerprint }
}

/// Get a server.
///
/// The full record, with definitions and schemas as they were registered.
#[utoipa::path(
    get, path = "/v1/servers/{id}", operation_id = "get", tag = "discovery",
    params(
        ("id" = String, Path, description = "the id of the server", example = "filesystem-abc123"),
        ("If-None-Match" = Option<String>, Header, description = "the `ETag` of an earlier response"),
    ),
    responses(
        (status = 200, description = "The record.", body = ServerRecord, headers(("ETag" = String, description = "weak; does not cover lease times"))),
        (status = 304, description = "The record has not changed, except for lease times."),
        (status = 404, description = "not_registered"),
    )
)]
pub(in crate::http) async fn get(
    State(app): State<App>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    query::reject_parameters(request.uri())?;
    let id = id(path)?;
    let now = app.registry().now();
    let row = app.registry().get_entry(&id, now).await?.ok_or_else(|| Problem::not_registered(&id))?;
    Ok(json_with_etag(request.headers(), row.fingerprint(now), || row.json(now)))
}

/// Deregister a server.
///
/// With `lease`, the request fails with `lease_replaced` if another process has registered the id since.
#[utoipa::path(
    delete, path = "/v1/servers/{id}", operation_id = "deregister", tag = "registration",
    params(
        ("id" = String, Path, description = "the id of the server", example = "filesystem-abc123"),
        ("lease" = Option<uuid::Uuid>, Query, description = "the `lease` that the registration returned", example = "0f9f3d2e-6f3c-4c86-9a5e-3b8a54b1f1aa"),
    ),
    responses(
        (status = 204, description = "Deregistered."),
        (status = 404, description = "not_registered"),
        (status = 409, description = "lease_replaced"),
        (status = 503, description = "standby"),
        (status = 507, description = "storage_full"),
    )
)]
pub(in crate::http) async fn deregister(
    State(app): State<App>,
    Caller(actor): Caller,
    path: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Response, Problem> {
    let lease = query::lease(&uri)?;
    app.registry().deregister_for(LeaseRef::new(id(path)?, lease), actor).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
