//! `GET /metrics`.

use axum::extract::State;
use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};

use super::query;
use crate::http::problem::{Code, Problem};
use crate::http::state::App;

/// Get metrics.
///
/// In the text format of OpenMetrics 1.0, which Prometheus reads.
#[utoipa::path(
    get, path = "/metrics", operation_id = "metrics", tag = "operations",
    responses((status = 200, description = "The metrics.", body = String, content_type = "application/openmetrics-text"))
)]
pub(in crate::http) async fn metrics(State(app): State<App>, uri: Uri) -> Result<Response, Problem> {
    query::reject_parameters(&uri)?;
    let admission = app.admission();
    let stats = app.registry().stats().await.ok();
    let text =
        admission.metrics().text(admission.in_flight(), app.registry().registry_stats(), stats.as_ref());
    let text = text.map_err(|_| Problem::new(Code::Internal, "the metrics cannot be encoded"))?;
    let content_type = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, content_type)], text).into_response())
}
