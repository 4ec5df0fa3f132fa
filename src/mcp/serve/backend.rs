//! The backend of the MCP server: the registry in this process, or another one over HTTP.

use crate::client::{Client, ClientWatch};
use crate::model::{
    Actor, Filter, LeaseRef, Page, Registered, Revision, Server, Stats, ToolPage, ValidRegistration,
    WatchEvent,
};
use crate::registry::{Registry, Watch};

/// A registry to read from and write to.
#[derive(Debug, Clone)]
pub(crate) enum Backend {
    /// A registry in this process.
    Registry(Registry),
    /// A registry over HTTP, with the token of the client.
    Client(Client),
}

/// The reason why a request failed and how to fix it, for the MCP client.
#[derive(Debug)]
pub(super) struct RequestError(pub(super) String);

impl<E: std::error::Error> From<E> for RequestError {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

pub(super) type RequestResult<T> = Result<T, RequestError>;

/// A stream of changes.
pub(super) enum ChangeStream {
    Registry(Box<Watch>),
    Client(Box<ClientWatch>),
}

impl ChangeStream {
    /// Waits for the next event. An error ends the stream.
    pub(super) async fn next(&mut self) -> RequestResult<WatchEvent> {
        match self {
            Self::Registry(watch) => Ok(watch.next().await?),
            Self::Client(watch) => Ok(watch.next().await?),
        }
    }
}

impl Backend {
    pub(super) async fn find(&self, filter: Filter) -> RequestResult<Page> {
        match self {
            Self::Registry(registry) => Ok(registry.find(filter).await?),
            Self::Client(client) => Ok(client.find(filter).await?),
        }
    }

    pub(super) async fn tools(&self, filter: Filter) -> RequestResult<ToolPage> {
        match self {
            Self::Registry(registry) => Ok(registry.tools(filter).await?.as_ref().clone()),
            Self::Client(client) => Ok(client.tools(filter).await?),
        }
    }

    pub(super) async fn get(&self, id: &str) -> RequestResult<Option<Server>> {
        match self {
            Self::Registry(registry) => Ok(registry.get(id).await?),
            Self::Client(client) => Ok(client.get(id).await?),
        }
    }

    pub(super) async fn stats(&self) -> RequestResult<Stats> {
        match self {
            Self::Registry(registry) => Ok(registry.stats().await?),
            Self::Client(client) => Ok(client.stats().await?),
        }
    }

    /// Returns whether the token of the actor still exists. A registry over HTTP checks this itself.
    pub(super) fn is_current(&self, actor: &Actor) -> bool {
        match self {
            Self::Registry(registry) => registry.current_tokens().is_current(actor),
            Self::Client(_) => true,
        }
    }

    /// Returns `primary` or `standby`.
    pub(super) async fn role(&self) -> RequestResult<String> {
        match self {
            Self::Registry(registry) => {
                Ok(if registry.is_standby() { "standby" } else { "primary" }.to_owned())
            }
            Self::Client(client) => Ok(client.role().await?),
        }
    }

    /// Returns the current revision if no request is needed for it.
    pub(super) fn local_revision(&self) -> Option<Revision> {
        match self {
            Self::Registry(registry) => Some(registry.revision()),
            Self::Client(_) => None,
        }
    }

    /// Returns the current revision; none if the registry cannot be reached.
    pub(super) async fn current_revision(&self) -> Option<Revision> {
        match self {
            Self::Registry(_) => self.local_revision(),
            Self::Client(client) => client.stats().await.map(|stats| stats.revision).ok(),
        }
    }

    /// Returns the changes after a revision. Without one, the stream begins with a snapshot.
    pub(super) fn watch(&self, since: Option<Revision>) -> RequestResult<ChangeStream> {
        let all = Filter::new();
        match self {
            Self::Registry(registry) => {
                Ok(ChangeStream::Registry(Box::new(registry.watch_from(all, since)?)))
            }
            Self::Client(client) => Ok(ChangeStream::Client(Box::new(client.watch_from(&all, since)?))),
        }
    }

    pub(super) async fn register(&self, valid: ValidRegistration, actor: Actor) -> RequestResult<Registered> {
        match self {
            Self::Registry(registry) => Ok(registry.register_for(valid, false, actor).await?),
            Self::Client(client) => Ok(client.register(valid.get().clone()).await?),
        }
    }

    pub(super) async fn deregister(&self, id: &str, actor: Actor) -> RequestResult<()> {
        let lease = LeaseRef::new(id, None);
        match self {
            Self::Registry(registry) => Ok(registry.deregister_for(lease, actor).await?),
            Self::Client(client) => Ok(client.deregister(lease).await?),
        }
    }
}
