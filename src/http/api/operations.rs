//! Whether the process is up and ready, the document of the API, and what there is no route for.

use axum::extract::{OriginalUri, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::query;
use crate::http::pipeline::route::Route;
use crate::http::problem::{Code, Problem};
use crate::http::response::json;
use crate::http::state::App;
use crate::registry::Registry;

/// That all is well.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Status {
    /// `ok`
    #[schema(example = "ok")]
    status: &'static str,
}

/// That the registry is ready, and for what.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Ready {
    /// `ok`
    #[schema(example = "ok")]
    status: &'static str,
    /// `primary`: it takes writes; `standby`: it only answers, from a copy of the primary's database.
    #[schema(example = "primary")]
    role: &'static str,
}

impl Ready {
    pub(in crate::http) fn of(registry: &Registry) -> Self {
        Self { status: "ok", role: if registry.is_standby() { "standby" } else { "primary" } }
    }
}

const OK: Status = Status { status: "ok" };

/// Is the process up?
#[utoipa::path(
    get, path = "/healthz", operation_id = "healthz", tag = "operations",
    responses((status = 200, description = "The process is up.", body = Status))
)]
pub(in crate::http) async fn healthz(uri: Uri) -> Result<Response, Problem> {
    query::none(&uri)?;
    Ok(json(StatusCode::OK, &OK))
}

/// Is the registry ready?
///
/// Its database takes writes and its migrations are applied; or it is a standby that has a copy to answer from. 503 while
/// it starts or stops.
#[utoipa::path(
    get, path = "/readyz", operation_id = "readyz", tag = "operations",
    responses(
        (status = 200, description = "The registry is ready.", body = Ready),
        (status = 507, description = "storage_full"),
    )
)]
pub(in crate::http) async fn readyz(State(app): State<App>, uri: Uri) -> Result<Response, Problem> {
    query::none(&uri)?;
    if app.is_stopping() {
        return Err(Problem::new(Code::Overloaded, "the registry is stopping"));
    }
    if !app.registry().is_standby() {
        app.registry().check_writable().await?;
    }
    Ok(json(StatusCode::OK, &Ready::of(app.registry())))
}

/// Metrics.
///
/// In the text format of OpenMetrics 1.0, which Prometheus reads.
#[utoipa::path(
    get, path = "/metrics", operation_id = "metrics", tag = "operations",
    responses((status = 200, description = "The metrics.", body = String, content_type = "application/openmetrics-text"))
)]
pub(in crate::http) async fn metrics(State(app): State<App>, uri: Uri) -> Result<Response, Problem> {
    query::none(&uri)?;
    let load = app.load();
    let stats = app.registry().stats().await.ok();
    let text = load.metrics().text(load.reading(), app.registry().vitals(), stats.as_ref());
    let text = text.map_err(|_| Problem::new(Code::Internal, "the metrics cannot be written"))?;
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

pub(in crate::http) async fn not_found(OriginalUri(uri): OriginalUri) -> Problem {
    Problem::new(Code::NotFound, format!("there is no route {:?}; see /openapi.json", uri.path()))
}

pub(in crate::http) async fn method_not_allowed(method: Method, OriginalUri(uri): OriginalUri) -> Response {
    let problem = Problem::new(Code::MethodNotAllowed, format!("{method} is not known at {:?}", uri.path()));
    problem.into_response_in(Route::of(uri.path()).error_format())
}
