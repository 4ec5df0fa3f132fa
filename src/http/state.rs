//! What the handlers share.

use std::sync::Arc;

use tokio::sync::watch as watch_channel;

use super::mcp_service::Mounted;
use super::official_registry::listing::Kept;
use super::official_registry::naming::NAMESPACE;
use super::pipeline::admission::Load;
use super::pipeline::auth::Policy;
use super::promoter::Promoter;
use crate::model::Actor;
use crate::registry::Registry;

/// See the [module](self).
#[derive(Debug, Clone)]
pub(crate) struct App(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    registry: Registry,
    load: Load,
    policy: Policy,
    promoter: Option<Promoter>,
    mounted: Option<Mounted>,
    kept: Kept,
    stopping: watch_channel::Sender<bool>,
}

impl App {
    pub(super) fn new(registry: Registry, load: Load, policy: Policy) -> Self {
        Self::with(registry, load, policy, None, None, NAMESPACE)
    }

    pub(super) fn with(
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
            kept: Kept::new(namespace),
            stopping,
        }))
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.0.registry
    }

    pub(super) fn load(&self) -> &Load {
        &self.0.load
    }

    pub(super) fn kept(&self) -> &Kept {
        &self.0.kept
    }

    pub(super) fn mounted(&self) -> Option<&Mounted> {
        self.0.mounted.as_ref()
    }

    pub(super) fn promoter(&self) -> Option<&Promoter> {
        self.0.promoter.as_ref()
    }

    /// From now on not ready any more.
    pub(super) fn stop(&self) {
        self.0.stopping.send_replace(true);
    }

    pub(super) fn is_stopping(&self) -> bool {
        *self.0.stopping.borrow()
    }

    /// Tells when it is stopping.
    pub(super) fn stopping(&self) -> watch_channel::Receiver<bool> {
        self.0.stopping.subscribe()
    }

    /// Whether who was let in to read would be let in now.
    pub(super) fn still_admits(&self, actor: &Actor) -> bool {
        let policy = self.0.policy;
        match actor {
            Actor::Anybody if policy.anonymous_read => true,
            Actor::Anybody if policy.closed => false,
            _ => self.registry().tokens_held().admit(actor),
        }
    }
}
