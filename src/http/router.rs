//! All routes and their handlers.

use axum::Router;
use axum::extract::State;
use axum::middleware;
use axum::routing::{any, get};

use super::api::{mcp, operations};
use super::metrics::Metrics;
use super::openapi::document;
use super::pipeline::admission::Load;
use super::pipeline::auth::{Gate, Policy};
use super::pipeline::service;
use super::server::limits::Limits;
use super::state::App;
use super::{official_registry, ui};
use crate::registry::Registry;

/// All routes, without anything in front of them.
pub(super) fn routes_of(app: App) -> Router {
    let (mut router, _) = document::routes().split_for_parts();
    if let Some(mounted) = app.mounted().cloned() {
        let path = mounted.path;
        router = router
            .route(path, any(move |State(app): State<App>, request| mcp::answer(mounted, app, request)));
    }
    router
        .merge(official_registry::routes())
        .route("/", get(ui::dashboard))
        .route("/docs", get(ui::docs))
        .route("/assets/{name}", get(ui::asset))
        .fallback(operations::not_found)
        .method_not_allowed_fallback(operations::method_not_allowed)
        .with_state(app)
}

/// The API as a router, to nest in another axum application.
///
/// It asks for tokens once there are any, see [`Registry::create_token`]. The checks of `Host` and `Origin` and the limits
/// belong to [`Server`](super::Server): whoever nests it decides who may reach it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), paulina::OpenError> {
/// let registry = paulina::Registry::in_memory().await?;
/// let app: axum::Router = axum::Router::new().nest("/registry", paulina::http::router(registry));
/// # Ok(()) }
/// ```
pub fn router(registry: Registry) -> Router {
    let gate = Gate::new(registry.clone(), Policy::default());
    let metrics = Metrics::with(registry.clone());
    let load = Load::new(Limits::default(), metrics.clone());
    routes_of(App::new(registry, load, Policy::default()))
        .layer(middleware::from_fn_with_state((gate, metrics), service::nested))
}
