//! The handshake with a server, in either era of the protocol and over either HTTP transport.

use std::time::Duration;

use rmcp::model::{ClientCapabilities, ClientConfig, Implementation, ProtocolVersion, ServerPeerInfo};
use rmcp::service::{
    ClientCacheConfig, ClientInitializeError, ClientLifecycleMode, ClientServiceExt, NotificationContext,
    Peer, RunningService,
};
use rmcp::transport::IntoTransport;
use rmcp::{ClientHandler, RoleClient};
use tokio::sync::watch;

use super::McpError;
use super::diagnose::endpoint_error;
use super::error::Cause;
use super::http::{Endpoint, EndpointTransport};
use super::sse::SseTransport;

/// The era of the protocol, which determines the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Era {
    /// `server/discover`, with a fallback to `initialize`.
    #[default]
    Either,
    /// `initialize`.
    Legacy,
}

/// A client handler that counts `list_changed` notifications.
#[derive(Debug, Clone)]
pub(super) struct ListChangeListener(pub(super) watch::Sender<u64>);

impl ClientHandler for ListChangeListener {
    fn get_info(&self) -> ClientConfig {
        let implementation = Implementation::new("paulina", env!("CARGO_PKG_VERSION"));
        let config = ClientConfig::new(ClientCapabilities::default(), implementation);
        config.with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.notify();
    }

    async fn on_resource_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.notify();
    }

    async fn on_prompt_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.notify();
    }
}

impl ListChangeListener {
    pub(super) fn notify(&self) {
        self.0.send_modify(|count| *count += 1);
    }
}

/// The name of this step in error messages.
pub(super) const HANDSHAKE: &str = "the handshake (server/discover, initialize)";

pub(super) fn era_of(service: &RunningService<RoleClient, ListChangeListener>) -> Era {
    if modern_version(service.peer()).is_some() { Era::Either } else { Era::Legacy }
}

/// Returns the protocol version if it is one without `initialize`.
pub(super) fn modern_version(peer: &Peer<RoleClient>) -> Option<ProtocolVersion> {
    let info: std::sync::Arc<ServerPeerInfo> = peer.peer_info()?;
    (!info.protocol_version.has_initialize()).then(|| info.protocol_version.clone())
}

/// Performs the handshake. An error without a cause means that it timed out.
pub(super) async fn connect<T, E, A>(
    listener: ListChangeListener,
    transport: T,
    timeout: Duration,
    era: Era,
) -> Result<RunningService<RoleClient, ListChangeListener>, Option<Cause>>
where
    T: IntoTransport<RoleClient, E, A>,
    E: std::error::Error + Send + Sync + 'static,
{
    let lifecycle = match era {
        Era::Legacy => ClientLifecycleMode::Initialize,
        Era::Either => ClientLifecycleMode::Auto {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            legacy_version: Some(ProtocolVersion::LATEST_WITH_INITIALIZE),
        },
    };
    let handshake = listener.serve_with_lifecycle(transport, lifecycle);
    let service = tokio::time::timeout(timeout, handshake).await;
    let service = service.map_err(|_| None)?.map_err(|error: ClientInitializeError| Some(error.into()))?;
    // A description must be current.
    service.peer().set_response_cache_config(ClientCacheConfig::disabled()).await;
    Ok(service)
}

/// Performs the handshake over a transport of the endpoint, and returns whether that is the legacy HTTP+SSE transport.
pub(super) async fn connect_over_http(
    listener: ListChangeListener,
    endpoint: &Endpoint,
    timeout: Duration,
    era: Era,
) -> Result<(RunningService<RoleClient, ListChangeListener>, bool), McpError> {
    let failed = |cause| endpoint_error(endpoint.url.as_str(), HANDSHAKE, timeout, cause);
    let first = if endpoint.transport == EndpointTransport::Sse {
        None
    } else {
        match connect(listener.clone(), endpoint.streamable_transport()?, timeout, era).await {
            Ok(service) => return Ok((service, false)),
            Err(cause) => {
                let retry_as_sse =
                    matches!(cause, Some(Cause::NotMcp(_) | Cause::ErrorResponse(_) | Cause::Closed));
                if endpoint.transport == EndpointTransport::StreamableHttp || !retry_as_sse {
                    return Err(failed(cause));
                }
                Some(cause)
            }
        }
    };
    let client = endpoint.sse_client()?;
    let opened = tokio::time::timeout(timeout, SseTransport::open(client, &endpoint.url)).await;
    let second = match opened {
        Ok(Ok(transport)) => match connect(listener, transport, timeout, Era::Legacy).await {
            Ok(service) => return Ok((service, true)),
            Err(cause) => return Err(failed(cause)),
        },
        Ok(Err(error)) => Some(Cause::of_transport(&error)),
        Err(_) => None,
    };
    // The error of Streamable HTTP describes the server better.
    Err(failed(first.unwrap_or(second)))
}
