//! The routes and their handlers.

use axum::Router;
use axum::extract::State;
use axum::middleware;
use axum::routing::{any, get};

use super::api::{fallback, mcp};
use super::metrics::Metrics;
use super::official_registry::NAMESPACE;
use super::openapi::document;
use super::pipeline::admission::AdmissionControl;
use super::pipeline::auth::{Authenticator, Policy};
use super::pipeline::service;
use super::server::limits::Limits;
use super::state::{App, AppParts};
use super::{official_registry, ui};
use crate::registry::Registry;

/// Returns the router of all routes, without the pipeline.
pub(super) fn all_routes(app: App) -> Router {
    let (mut router, _) = document::routes().split_for_parts();
    if let Some(service) = app.mcp_service().cloned() {
        let path = service.path;
        router = router
            .route(path, any(move |State(app): State<App>, request| mcp::handle(service, app, request)));
    }
    router
        .merge(official_registry::routes())
        .route("/", get(ui::dashboard))
        .route("/docs", get(ui::docs))
        .route("/assets/{*name}", get(ui::asset))
        .fallback(fallback::not_found)
        .method_not_allowed_fallback(fallback::method_not_allowed)
        .with_state(app)
}

/// Returns the API as a router, to be nested in another axum application.
///
/// It requires a token once there is one, see [`Registry::create_token`]. The checks of `Host` and `Origin` and the limits are
/// part of [`HttpServer`](super::HttpServer); a nested router relies on those of the outer application.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), paulina::OpenError> {
/// let registry = paulina::Registry::in_memory().await?;
/// let app: axum::Router = axum::Router::new().nest("/registry", paulina::http::router(registry));
/// # Ok(()) }
/// ```
pub fn router(registry: Registry) -> Router {
    let policy = Policy::default();
    let authenticator = Authenticator::new(registry.clone(), policy);
    let metrics = Metrics::with_registry(registry.clone());
    let admission = AdmissionControl::new(Limits::default(), metrics.clone());
    let namespace = NAMESPACE.to_owned();
    let app =
        App::new(AppParts { registry, admission, policy, promoter: None, mcp_service: None, namespace });
    all_routes(app).layer(middleware::from_fn_with_state((authenticator, metrics), service::nested))
}
