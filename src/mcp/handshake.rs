//! The greeting of a server, in whichever era of the protocol it speaks, and over whichever of the two ways of HTTP.

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
use super::diagnose::of_endpoint;
use super::error::Cause;
use super::http::{Endpoint, Speaks};

/// How a server is greeted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Era {
    /// By `server/discover`, or else by `initialize`.
    #[default]
    Either,
    /// By `initialize`.
    Older,
}

/// What a client of ours hears.
#[derive(Debug, Clone)]
pub(super) struct Ears(pub(super) watch::Sender<u64>);

impl ClientHandler for Ears {
    fn get_info(&self) -> ClientConfig {
        let implementation = Implementation::new("paulina", env!("CARGO_PKG_VERSION"));
        let config = ClientConfig::new(ClientCapabilities::default(), implementation);
        config.with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.heard();
    }

    async fn on_resource_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.heard();
    }

    async fn on_prompt_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.heard();
    }
}

impl Ears {
    pub(super) fn heard(&self) {
        self.0.send_modify(|count| *count += 1);
    }
}

/// What this step is called.
pub(super) const GREETING: &str = "the greeting (server/discover, initialize)";

pub(super) fn era_of(service: &RunningService<RoleClient, Ears>) -> Era {
    if modern(service.peer()).is_some() { Era::Either } else { Era::Older }
}

/// The version, if it is one without a handshake.
pub(super) fn modern(peer: &Peer<RoleClient>) -> Option<ProtocolVersion> {
    let info: std::sync::Arc<ServerPeerInfo> = peer.peer_info()?;
    (!info.protocol_version.has_initialize()).then(|| info.protocol_version.clone())
}

/// None: it took too long.
pub(super) async fn greeted<T, E, A>(
    ears: Ears,
    transport: T,
    patience: Duration,
    era: Era,
) -> Result<RunningService<RoleClient, Ears>, Option<Cause>>
where
    T: IntoTransport<RoleClient, E, A>,
    E: std::error::Error + Send + Sync + 'static,
{
    let lifecycle = match era {
        Era::Older => ClientLifecycleMode::Initialize,
        Era::Either => ClientLifecycleMode::Auto {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            legacy_version: Some(ProtocolVersion::LATEST_WITH_INITIALIZE),
        },
    };
    let greeting = ears.serve_with_lifecycle(transport, lifecycle);
    let service = tokio::time::timeout(patience, greeting).await;
    let service = service.map_err(|_| None)?.map_err(|error: ClientInitializeError| Some(error.into()))?;
    // A description is to be what the server says now.
    service.peer().set_response_cache_config(ClientCacheConfig::disabled()).await;
    Ok(service)
}

/// Greets over what the endpoint speaks; says whether that is the older way.
pub(super) async fn greeted_over_http(
    ears: Ears,
    endpoint: &Endpoint,
    patience: Duration,
    era: Era,
) -> Result<(RunningService<RoleClient, Ears>, bool), McpError> {
    let failed = |cause| of_endpoint(endpoint.url.as_str(), GREETING, patience, cause);
    let first = if endpoint.speaks == Speaks::Sse {
        None
    } else {
        match greeted(ears.clone(), endpoint.streamable()?, patience, era).await {
            Ok(service) => return Ok((service, false)),
            Err(cause) => {
                let perhaps = matches!(cause, Some(Cause::NotMcp(_) | Cause::Refused(_) | Cause::Closed));
                if endpoint.speaks == Speaks::StreamableHttp || !perhaps {
                    return Err(failed(cause));
                }
                Some(cause)
            }
        }
    };
    let opened = tokio::time::timeout(patience, endpoint.sse()).await;
    let second = match opened {
        Ok(transport) => match transport? {
            Ok(transport) => match greeted(ears, transport, patience, Era::Older).await {
                Ok(service) => return Ok((service, true)),
                Err(cause) => return Err(failed(cause)),
            },
            Err(error) => Some(Cause::of_transport(&error)),
        },
        Err(_) => None,
    };
    // What it said to the newer way says more of what it is.
    Err(failed(first.unwrap_or(second)))
}
