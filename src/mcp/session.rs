//! A conversation with a server.

use std::time::Duration;

use rmcp::model::{
    ClientRequest, DiscoverRequest, DiscoverRequestParams, PingRequest, RequestMetaObject, SubscriptionFilter,
};
use rmcp::service::{RunningService, ServiceError};
use rmcp::{ClientHandler, RoleClient};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::child::Child;
use super::diagnose::{of_child, of_endpoint};
use super::error::Cause;
use super::handshake::{Ears, Era, GREETING, era_of, greeted, greeted_over_http, modern};
use super::http::Endpoint;
use super::{McpError, introspect};
use crate::model::{Registration, Transport};

/// How a server is reached.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// It is started.
    Stdio(Vec<String>),
    /// It runs.
    Http(Endpoint),
}

/// A conversation with a server.
pub(crate) struct Session {
    service: RunningService<RoleClient, Ears>,
    child: Option<Child>,
    transport: Transport,
    patience: Duration,
    era: Era,
    /// Counts how often the server has said that a list of its has changed.
    changed: watch::Receiver<u64>,
    listening: Option<AbortHandle>,
}

/// How long rmcp waits for an answer to `server/discover` before it sends `initialize`, and a little more.
const UNANSWERED: Duration = Duration::from_secs(15);
/// How soon it is asked again to be told of changes; each further time it takes twice as long.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);
const LISTEN_RARELY: Duration = Duration::from_mins(1);

impl Session {
    /// Greets a server. Each of its answers may take as long as this.
    pub(crate) async fn open(target: &Target, patience: Duration, era: Era) -> Result<Self, McpError> {
        match target {
            Target::Http(endpoint) => Self::over_http(endpoint, patience, era).await,
            Target::Stdio(command) => {
                let first = Self::over_stdio(command, patience, era).await;
                // There are servers that end, or fall silent, at a word that they do not know.
                let perhaps = match &first {
                    Err(McpError::Ended { .. }) => true,
                    Err(McpError::Silent { .. }) => patience < UNANSWERED,
                    _ => false,
                };
                if era == Era::Older || !perhaps {
                    return first;
                }
                Self::over_stdio(command, patience, Era::Older).await
            }
        }
    }

    async fn over_stdio(command: &[String], patience: Duration, era: Era) -> Result<Self, McpError> {
        let (sender, changed) = watch::channel(0);
        let (mut child, pipes) = Child::start(command)?;
        match greeted(Ears(sender), pipes, patience, era).await {
            Ok(service) => {
                let transport = Transport::Stdio { command: command.to_vec(), environment: Vec::new() };
                let era = era_of(&service);
                Ok(Self { service, child: Some(child), transport, patience, era, changed, listening: None })
            }
            Err(cause) => Err(of_child(&mut child, GREETING, patience, cause).await),
        }
    }

    async fn over_http(endpoint: &Endpoint, patience: Duration, era: Era) -> Result<Self, McpError> {
        let (sender, changed) = watch::channel(0);
        let (service, sse) = greeted_over_http(Ears(sender), endpoint, patience, era).await?;
        let (url, headers) = (endpoint.url.to_string(), Vec::new());
        let transport =
            if sse { Transport::Sse { url, headers } } else { Transport::StreamableHttp { url, headers } };
        let era = era_of(&service);
        let mut session = Self { service, child: None, transport, patience, era, changed, listening: None };
        session.listen();
        Ok(session)
    }

    /// How it was greeted, to greet it in the same way the next time.
    pub(crate) fn era(&self) -> Era {
        self.era
    }

    /// What the server is and can do.
    pub(crate) async fn read(&mut self) -> Result<Registration, McpError> {
        let reading = introspect::describe(self.service.peer(), self.transport.clone(), self.patience).await;
        match reading {
            Ok(registration) => Ok(registration),
            Err(introspect::Failed::Endless(step, most)) => Err(McpError::Endless { step, most }),
            Err(introspect::Failed::At(step, cause)) => Err(self.failed(step, cause).await),
        }
    }

    /// Whether the server still answers, within this time.
    pub(crate) async fn check(&mut self, limit: Duration) -> Result<(), McpError> {
        let peer = self.service.peer();
        let request = match modern(peer) {
            None => ClientRequest::PingRequest(PingRequest::default()),
            Some(version) => {
                let info = self.service.service().get_info();
                let mut discover = DiscoverRequest::new(DiscoverRequestParams {});
                let context =
                    RequestMetaObject::with_client_context(version, info.client_info, info.capabilities);
                discover.extensions.insert(context);
                ClientRequest::DiscoverRequest(discover)
            }
        };
        let answer = tokio::time::timeout(limit, peer.send_request(request)).await;
        match answer {
            // An error is an answer as well.
            Ok(Ok(_) | Err(ServiceError::McpError(_) | ServiceError::UnexpectedResponse)) => Ok(()),
            Ok(Err(error)) => Err(self.failed("a ping", Some(error.into())).await),
            Err(_) => Err(self.failed("a ping", None).await),
        }
    }

    /// Waits until the server says that a list of its has changed; an error says that it never will.
    pub(crate) async fn changed(&mut self) -> Result<(), watch::error::RecvError> {
        self.changed.changed().await
    }

    /// Ends the conversation, and a server that was started for it.
    pub(crate) async fn close(mut self) {
        self.stop_listening();
        let _ = self.service.close().await;
        if let Some(child) = self.child.take() {
            child.close().await;
        }
    }

    fn stop_listening(&mut self) {
        if let Some(listening) = self.listening.take() {
            listening.abort();
        }
    }

    /// In the newer era a server tells only who asks that its lists have changed. When the stream breaks off something may have
    /// been missed.
    fn listen(&mut self) {
        if modern(self.service.peer()).is_none() {
            return;
        }
        let (peer, ears) = (self.service.peer().clone(), self.service.service().clone());
        let listening = tokio::spawn(async move {
            let (mut pause, mut again) = (LISTEN_AGAIN, false);
            loop {
                let filter = SubscriptionFilter::builder();
                let filter =
                    filter.tools_list_changed().prompts_list_changed().resources_list_changed().build();
                match peer.listen(filter).await {
                    Ok(mut subscription) => {
                        if std::mem::replace(&mut again, true) {
                            ears.heard();
                        }
                        while let Ok(Some(_)) = subscription.next().await {
                            pause = LISTEN_AGAIN;
                            ears.heard();
                        }
                    }
                    // It does not know of this, and never will.
                    Err(ServiceError::McpError(_)) => return,
                    Err(_) => {}
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LISTEN_RARELY);
            }
        });
        self.listening = Some(listening.abort_handle());
    }

    async fn failed(&mut self, step: &'static str, cause: Option<Cause>) -> McpError {
        match (&mut self.child, &self.transport) {
            (Some(child), _) => of_child(child, step, self.patience, cause).await,
            (None, transport) => of_endpoint(transport.url().unwrap_or_default(), step, self.patience, cause),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stop_listening();
    }
}
