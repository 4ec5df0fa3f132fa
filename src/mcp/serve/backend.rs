//! Where the MCP server's answers come from: the registry in this process, or another one over HTTP.

use crate::client::{Client, ClientWatch};
use crate::model::{
    Actor, Filter, LeaseRef, Page, Registered, Revision, Server, Stats, ToolPage, ValidRegistration, Watched,
};
use crate::registry::{Registry, Watch};

/// See the [module](self).
#[derive(Debug, Clone)]
pub(crate) enum Catalogue {
    /// In this process.
    Registry(Registry),
    /// Over HTTP, with whatever token the client has.
    Client(Client),
}

/// Why there is no answer, and what to do, for whoever asked.
#[derive(Debug)]
pub(super) struct Failure(pub(super) String);

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

pub(super) type Answer<T> = Result<T, Failure>;

/// What happens to servers, as it happens.
pub(super) enum Changes {
    Registry(Box<Watch>),
    Client(Box<ClientWatch>),
}

impl Changes {
    /// The next thing that happened; an error means that there is nothing more.
    pub(super) async fn next(&mut self) -> Answer<Watched> {
        match self {
            Self::Registry(watch) => Ok(watch.next().await?),
            Self::Client(watch) => Ok(watch.next().await?),
        }
    }
}

impl Catalogue {
    pub(super) async fn find(&self, filter: Filter) -> Answer<Page> {
        match self {
            Self::Registry(registry) => Ok(registry.find(filter).await?),
            Self::Client(client) => Ok(client.find(filter).await?),
        }
    }

    pub(super) async fn tools(&self, filter: Filter) -> Answer<ToolPage> {
        match self {
            Self::Registry(registry) => Ok(registry.tools(filter).await?.as_ref().clone()),
            Self::Client(client) => Ok(client.tools(filter).await?),
        }
    }

    pub(super) async fn get(&self, id: &str) -> Answer<Option<Server>> {
        match self {
            Self::Registry(registry) => Ok(registry.get(id).await?),
            Self::Client(client) => Ok(client.get(id).await?),
        }
    }

    pub(super) async fn stats(&self) -> Answer<Stats> {
        match self {
            Self::Registry(registry) => Ok(registry.stats().await?),
            Self::Client(client) => Ok(client.stats().await?),
        }
    }

    /// Whether it lets somebody in; one over HTTP says so itself.
    pub(super) fn admits(&self, actor: &Actor) -> bool {
        match self {
            Self::Registry(registry) => registry.tokens_held().admit(actor),
            Self::Client(_) => true,
        }
    }

    /// `primary` or `standby`.
    pub(super) async fn role(&self) -> Answer<String> {
        match self {
            Self::Registry(registry) => {
                Ok(if registry.is_standby() { "standby" } else { "primary" }.to_owned())
            }
            Self::Client(client) => Ok(client.role().await?),
        }
    }

    /// What happened last, if nobody has to be asked for it.
    pub(super) fn known(&self) -> Option<Revision> {
        match self {
            Self::Registry(registry) => Some(registry.newest()),
            Self::Client(_) => None,
        }
    }

    /// What happened last, unless nobody answers that.
    pub(super) async fn newest(&self) -> Option<Revision> {
        match self {
            Self::Registry(_) => self.known(),
            Self::Client(client) => client.stats().await.map(|stats| stats.revision).ok(),
        }
    }

    /// What happens after a revision; what is told first without one is a snapshot.
    pub(super) fn watch(&self, since: Option<Revision>) -> Answer<Changes> {
        let all = Filter::new();
        match self {
            Self::Registry(registry) => Ok(Changes::Registry(Box::new(registry.watch_from(all, since)?))),
            Self::Client(client) => Ok(Changes::Client(Box::new(client.watch_from(&all, since)?))),
        }
    }

    pub(super) async fn register(&self, valid: ValidRegistration, actor: Actor) -> Answer<Registered> {
        match self {
            Self::Registry(registry) => Ok(registry.put(valid, false, actor).await?),
            Self::Client(client) => Ok(client.register(valid.get().clone()).await?),
        }
    }

    pub(super) async fn deregister(&self, id: &str, actor: Actor) -> Answer<()> {
        let lease = LeaseRef::new(id, None);
        match self {
            Self::Registry(registry) => Ok(registry.deregister_for(lease, actor).await?),
            Self::Client(client) => Ok(client.deregister(lease).await?),
        }
    }
}
