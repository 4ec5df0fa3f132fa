//! The HTTP API, one file an area.
//!
//! [`router`] is the API alone, to nest in an axum application of one's own. [`Server`] is a whole server around it, with
//! what a server needs that others can reach: limits, checks of `Host` and `Origin`, TLS, compression, an orderly end.

mod api;
mod mcp_service;
mod metrics;
mod official_registry;
mod openapi;
mod pipeline;
mod problem;
mod response;
mod server;
mod ui;

pub use openapi::document::document;
pub use problem::{Code, Problem};
pub use server::builder::Server;
pub use server::limits::Limits;
pub use server::listener::{Listener, TlsError};

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::middleware;
use axum::routing::{any, get};
use tokio::sync::watch as watch_channel;

use crate::model::Actor;
use crate::registry::Registry;
use api::promote::Promoter;
use mcp_service::Mounted;
use metrics::Metrics;
use pipeline::admission::Load;
use pipeline::auth::{Gate, Policy};

/// The namespace of names that have none, in the official registry's API.
pub(crate) const NAMESPACE: &str = "local";

/// Whether a text may be such a namespace.
#[cfg(feature = "cli")]
pub(crate) fn is_namespace(text: &str) -> bool {
    official_registry::is_namespace(text)
}

/// What the handlers share.
#[derive(Debug, Clone)]
pub(crate) struct App(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    registry: Registry,
    load: Load,
    policy: Policy,
    promoter: Option<Promoter>,
    mounted: Option<Mounted>,
    kept: official_registry::Kept,
    stopping: watch_channel::Sender<bool>,
}

impl App {
    fn new(registry: Registry, load: Load, policy: Policy) -> Self {
        Self::with(registry, load, policy, None, None, NAMESPACE)
    }

    fn with(
        registry: Registry,
        load: Load,
        policy: Policy,
        promoter: Option<Promoter>,
        mounted: Option<Mounted>,
        namespace: &str,
    ) -> Self {
        let stopping = watch_channel::Sender::new(false);
        Self(Arc::new(Shared {
            registry,
            load,
            policy,
            promoter,
            mounted,
            kept: official_registry::Kept::new(namespace),
            stopping,
        }))
    }

    fn registry(&self) -> &Registry {
        &self.0.registry
    }

    fn load(&self) -> &Load {
        &self.0.load
    }

    fn kept(&self) -> &official_registry::Kept {
        &self.0.kept
    }

    fn promoter(&self) -> Option<&Promoter> {
        self.0.promoter.as_ref()
    }

    /// From now on not ready any more.
    fn stop(&self) {
        self.0.stopping.send_replace(true);
    }

    fn is_stopping(&self) -> bool {
        *self.0.stopping.borrow()
    }

    /// Tells when it is stopping.
    fn stopping(&self) -> watch_channel::Receiver<bool> {
        self.0.stopping.subscribe()
    }

    /// Whether who was let in to read would be let in now.
    fn still_admits(&self, actor: &Actor) -> bool {
        let policy = self.0.policy;
        match actor {
            Actor::Anybody if policy.anonymous_read => true,
            Actor::Anybody if policy.closed => false,
            _ => self.registry().tokens_held().admit(actor),
        }
    }

    fn router(self) -> Router {
        let (mut router, _) = openapi::document::routes().split_for_parts();
        if let Some(mounted) = self.0.mounted.clone() {
            let path = mounted.path;
            router =
                router.route(path, any(move |State(app): State<App>, request| mounted.answer(app, request)));
        }
        router
            .merge(official_registry::routes())
            .route("/", get(ui::dashboard))
            .route("/docs", get(ui::docs))
            .route("/assets/{name}", get(ui::asset))
            .fallback(api::operations::not_found)
            .method_not_allowed_fallback(api::operations::method_not_allowed)
            .with_state(self)
    }
}

/// The API as a router, to nest in another axum application.
///
/// It asks for tokens once there are any, see [`Registry::create_token`]. The checks of `Host` and `Origin` and the limits
/// belong to [`Server`]: whoever nests it decides who may reach it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), paulina::OpenError> {
/// let registry = paulina::Registry::in_memory().await?;
/// let app: axum::Router = axum::Router::new().nest("/registry", paulina::http::router(registry));
/// # Ok(()) }
/// ```
pub fn router(registry: Registry) -> Router {
    let gate = Gate::new(registry.clone(), Policy::default());
    let load = Load::new(Limits::default(), Metrics::with(registry.clone()));
    App::new(registry, load, Policy::default())
        .router()
        .layer(middleware::from_fn_with_state(gate, pipeline::service::nested))
}
