//! A session with an MCP server.

use std::time::Duration;

use rmcp::model::{
    ClientRequest, DiscoverRequest, DiscoverRequestParams, PingRequest, RequestMetaObject, SubscriptionFilter,
};
use rmcp::service::{RunningService, ServiceError};
use rmcp::{ClientHandler, RoleClient};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::child::Child;
use super::diagnose::{child_error, endpoint_error};
use super::error::Cause;
use super::handshake::{
    Era, HANDSHAKE, ListChangeListener, connect, connect_over_http, era_of, modern_version,
};
use super::http::Endpoint;
use super::{McpError, introspect};
use crate::model::{Registration, Transport};
use crate::net::backoff::Backoff;

/// How to reach a server.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// Start this command.
    Stdio(Vec<String>),
    /// Connect to this endpoint.
    Http(Endpoint),
}

/// A session with a server.
pub(crate) struct Session {
    service: RunningService<RoleClient, ListChangeListener>,
    child: Option<Child>,
    transport: Transport,
    timeout: Duration,
    era: Era,
    /// The number of `list_changed` notifications.
    list_changes: watch::Receiver<u64>,
    listen_task: Option<AbortHandle>,
}

/// Slightly more than the time that rmcp waits for a response to `server/discover` before it sends `initialize`.
const DISCOVER_TIMEOUT: Duration = Duration::from_secs(15);
/// The first interval between attempts to subscribe to changes. Each further interval is twice as long.
const LISTEN_RETRY_INTERVAL: Duration = Duration::from_secs(1);
const MAX_LISTEN_RETRY_INTERVAL: Duration = Duration::from_mins(1);

impl Session {
    /// Opens a session. The timeout applies to each response of the server.
    pub(crate) async fn open(target: &Target, timeout: Duration, era: Era) -> Result<Self, McpError> {
        match target {
            Target::Http(endpoint) => Self::over_http(endpoint, timeout, era).await,
            Target::Stdio(command) => {
                let first = Self::over_stdio(command, timeout, era).await;
                // Some servers exit or stop responding on an unknown request.
                let retry_as_legacy = match &first {
                    Err(McpError::Exited { .. }) => true,
                    Err(McpError::Timeout { .. }) => timeout < DISCOVER_TIMEOUT,
                    _ => false,
                };
                if era == Era::Legacy || !retry_as_legacy {
                    return first;
                }
                Self::over_stdio(command, timeout, Era::Legacy).await
            }
        }
    }

    async fn over_stdio(command: &[String], timeout: Duration, era: Era) -> Result<Self, McpError> {
        let (sender, list_changes) = watch::channel(0);
        let (mut child, pipes) = Child::start(command)?;
        match connect(ListChangeListener(sender), pipes, timeout, era).await {
            Ok(service) => {
                let transport = Transport::Stdio { command: command.to_vec(), environment: Vec::new() };
                let era = era_of(&service);
                Ok(Self {
                    service,
                    child: Some(child),
                    transport,
                    timeout,
                    era,
                    list_changes,
                    listen_task: None,
                })
            }
            Err(cause) => Err(child_error(&mut child, HANDSHAKE, timeout, cause).await),
        }
    }

    async fn over_http(endpoint: &Endpoint, timeout: Duration, era: Era) -> Result<Self, McpError> {
        let (sender, list_changes) = watch::channel(0);
        let (service, sse) = connect_over_http(ListChangeListener(sender), endpoint, timeout, era).await?;
        let (url, headers) = (endpoint.url.to_string(), Vec::new());
        let transport =
            if sse { Transport::Sse { url, headers } } else { Transport::StreamableHttp { url, headers } };
        let era = era_of(&service);
        let mut session =
            Self { service, child: None, transport, timeout, era, list_changes, listen_task: None };
        session.listen();
        Ok(session)
    }

    /// Returns the era of the protocol, for the next session.
    pub(crate) fn era(&self) -> Era {
        self.era
    }

    /// Describes the server.
    pub(crate) async fn describe(&mut self) -> Result<Registration, McpError> {
        let description =
            introspect::describe(self.service.peer(), self.transport.clone(), self.timeout).await;
        match description {
            Ok(registration) => Ok(registration),
            Err(introspect::DescribeError::EndlessList(step, count)) => {
                Err(McpError::EndlessList { step, count })
            }
            Err(introspect::DescribeError::Step(step, cause)) => Err(self.error(step, cause).await),
        }
    }

    /// Checks that the server responds within the timeout.
    pub(crate) async fn ping(&mut self, timeout: Duration) -> Result<(), McpError> {
        let peer = self.service.peer();
        let request = match modern_version(peer) {
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
        let response = tokio::time::timeout(timeout, peer.send_request(request)).await;
        match response {
            // An error response is a response as well.
            Ok(Ok(_) | Err(ServiceError::McpError(_) | ServiceError::UnexpectedResponse)) => Ok(()),
            Ok(Err(error)) => Err(self.error("a ping", Some(error.into())).await),
            Err(_) => Err(self.error("a ping", None).await),
        }
    }

    /// Waits for a `list_changed` notification. An error means that there will be none.
    pub(crate) async fn list_changed(&mut self) -> Result<(), watch::error::RecvError> {
        self.list_changes.changed().await
    }

    /// Closes the session, and stops a server that was started for it.
    pub(crate) async fn close(mut self) {
        self.stop_listening();
        let _ = self.service.close().await;
        if let Some(child) = self.child.take() {
            child.close().await;
        }
    }

    fn stop_listening(&mut self) {
        if let Some(task) = self.listen_task.take() {
            task.abort();
        }
    }

    /// Subscribes to `list_changed` notifications, which the modern era requires. When the stream is interrupted, a change may
    /// have been missed, so it counts as one.
    fn listen(&mut self) {
        if modern_version(self.service.peer()).is_none() {
            return;
        }
        let (peer, listener) = (self.service.peer().clone(), self.service.service().clone());
        let task = tokio::spawn(async move {
            let (mut backoff, mut is_resumed) =
                (Backoff::new(LISTEN_RETRY_INTERVAL, MAX_LISTEN_RETRY_INTERVAL), false);
            loop {
                let filter = SubscriptionFilter::builder();
                let filter =
                    filter.tools_list_changed().prompts_list_changed().resources_list_changed().build();
                match peer.listen(filter).await {
                    Ok(mut subscription) => {
                        if std::mem::replace(&mut is_resumed, true) {
                            listener.notify();
                        }
                        while let Ok(Some(_)) = subscription.next().await {
                            backoff.reset();
                            listener.notify();
                        }
                    }
                    // The server does not support subscriptions.
                    Err(ServiceError::McpError(_)) => return,
                    Err(_) => {}
                }
                tokio::time::sleep(backoff.next_delay()).await;
            }
        });
        self.listen_task = Some(task.abort_handle());
    }

    async fn error(&mut self, step: &'static str, cause: Option<Cause>) -> McpError {
        match (&mut self.child, &self.transport) {
            (Some(child), _) => child_error(child, step, self.timeout, cause).await,
            (None, transport) => {
                endpoint_error(transport.url().unwrap_or_default(), step, self.timeout, cause)
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stop_listening();
    }
}
