//! The state that the handlers share.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::mcp_service::McpService;
use super::official_registry::listing::ListingCache;
use super::pipeline::admission::AdmissionControl;
use super::pipeline::auth::Policy;
use super::promoter::Promoter;
use crate::model::Actor;
use crate::registry::Registry;

/// The state of a server.
#[derive(Debug, Clone)]
pub(crate) struct App(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    registry: Registry,
    admission: AdmissionControl,
    policy: Policy,
    promoter: Option<Promoter>,
    mcp_service: Option<McpService>,
    listing_cache: ListingCache,
    stopping: CancellationToken,
}

/// The parts that an [`App`] is made of.
#[derive(Debug)]
pub(super) struct AppParts {
    pub(super) registry: Registry,
    pub(super) admission: AdmissionControl,
    pub(super) policy: Policy,
    pub(super) promoter: Option<Promoter>,
    pub(super) mcp_service: Option<McpService>,
    /// The namespace of names without one, in the official registry's API.
    pub(super) namespace: String,
}

impl App {
    pub(super) fn new(parts: AppParts) -> Self {
        let AppParts { registry, admission, policy, promoter, mcp_service, namespace } = parts;
        let listing_cache = ListingCache::new(namespace);
        let stopping = CancellationToken::new();
        let shared = Shared { registry, admission, policy, promoter, mcp_service, listing_cache, stopping };
        Self(Arc::new(shared))
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.0.registry
    }

    pub(super) fn admission(&self) -> &AdmissionControl {
        &self.0.admission
    }

    pub(super) fn listing_cache(&self) -> &ListingCache {
        &self.0.listing_cache
    }

    pub(super) fn mcp_service(&self) -> Option<&McpService> {
        self.0.mcp_service.as_ref()
    }

    pub(super) fn promoter(&self) -> Option<&Promoter> {
        self.0.promoter.as_ref()
    }

    /// Marks the server as stopping: it is no longer ready, and streams end.
    pub(super) fn stop(&self) {
        self.0.stopping.cancel();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.0.stopping.is_cancelled()
    }

    /// Returns the token that is canceled when the server stops.
    pub(super) fn stopping(&self) -> &CancellationToken {
        &self.0.stopping
    }

    /// Whether this actor would still be authorized to read.
    pub(super) fn is_still_authorized(&self, actor: &Actor) -> bool {
        let policy = self.0.policy;
        match actor {
            Actor::Anonymous if policy.anonymous_read => true,
            Actor::Anonymous if policy.require_token => false,
            _ => self.registry().current_tokens().is_current(actor),
        }
    }
}
