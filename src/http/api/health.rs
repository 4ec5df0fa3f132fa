//! Health checks.

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::query;
use super::role::Ready;
use crate::http::problem::{Code, Problem};
use crate::http::response::json;
use crate::http::state::App;

/// The status of the process.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Status {
    /// Always `ok`.
    #[schema(example = "ok")]
    status: &'static str,
}

const OK: Status = Status { status: "ok" };

/// Check that the process is running.
#[utoipa::path(
    get, path = "/healthz", operation_id = "healthz", tag = "operations",
    responses((status = 200, description = "The process is running.", body = Status))
)]
pub(in crate::http) async fn healthz(uri: Uri) -> Result<Response, Problem> {
    query::reject_parameters(&uri)?;
    Ok(json(StatusCode::OK, &OK))
}

/// Check that the registry is ready.
///
/// A primary is ready if its database is writable and its migrations are applied; a standby, if it has a copy of the
/// database. Returns 503 while the registry starts or stops.
#[utoipa::path(
    get, path = "/readyz", operation_id = "readyz", tag = "operations",
    responses(
        (status = 200, description = "The registry is ready.", body = Ready),
        (status = 507, description = "storage_full"),
    )
)]
pub(in crate::http) async fn readyz(State(app): State<App>, uri: Uri) -> Result<Response, Problem> {
    query::reject_parameters(&uri)?;
    if app.is_stopping() {
        return Err(Problem::new(Code::Overloaded, "the registry is stopping"));
    }
    if !app.registry().is_standby() {
        app.registry().check_writable().await?;
    }
    Ok(json(StatusCode::OK, &Ready::of(app.registry())))
}
