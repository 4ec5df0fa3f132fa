//! The HTTP API, one file an area.
//!
//! [`router`] is the API alone, to nest in an axum application of one's own. [`Server`] is a whole server around it, with
//! what a server needs that others can reach: time limits, a check of the `Host`, compression, an orderly end.

mod access;
mod answer;
mod body;
mod examples;
mod front;
mod leases;
mod openapi;
mod operations;
mod problem;
mod query;
mod request_id;
mod schemas;
mod serve;
mod servers;
mod stats;
mod tools;

pub use openapi::document;
pub use problem::{Code, Problem};
pub use serve::{Limits, Server};

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::middleware;

use crate::registry::Registry;

/// What the handlers share.
#[derive(Debug, Clone)]
pub(crate) struct App(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    registry: Registry,
    body: BodyLimits,
    stopping: AtomicBool,
}

/// How large a body may be and how long it may take to arrive.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimits {
    bytes: usize,
    time: Duration,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self { bytes: 4 * 1024 * 1024, time: Duration::from_secs(10) }
    }
}

impl App {
    fn new(registry: Registry, body: BodyLimits) -> Self {
        Self(Arc::new(Shared { registry, body, stopping: AtomicBool::new(false) }))
    }

    fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// From now on not ready any more.
    fn stop(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
    }

    fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::Relaxed)
    }

    fn router(self) -> Router {
        let (router, _) = openapi::routes().split_for_parts();
        router
            .fallback(operations::not_found)
            .method_not_allowed_fallback(operations::method_not_allowed)
            .with_state(self)
    }
}

/// The API as a router, to nest in another axum application.
///
/// Whoever nests it decides who may reach it: the checks of `Host` and `Origin` and the time limits belong to
/// [`Server`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), paulina::OpenError> {
/// let registry = paulina::Registry::in_memory().await?;
/// let app: axum::Router = axum::Router::new().nest("/registry", paulina::http::router(registry));
/// # Ok(()) }
/// ```
pub fn router(registry: Registry) -> Router {
    App::new(registry, BodyLimits::default()).router().layer(middleware::from_fn(request_id::layer))
}
