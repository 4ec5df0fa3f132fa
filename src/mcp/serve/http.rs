//! The MCP server at `/mcp`, over Streamable HTTP.
//!
//! Authorization, host checks and limits are applied by the pipeline of the HTTP API, as for `/v1`.

use std::sync::Arc;
use std::time::Duration;

use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio_util::sync::CancellationToken;

use super::sessions::Sessions;
use super::{Backend, RegistryMcpServer, WriteAccess};
use crate::registry::Registry;

type Service = StreamableHttpService<RegistryMcpServer, Sessions>;

/// How long open streams may take to close before they are aborted.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// Returns the registry as an MCP service, and a function that closes all its streams.
pub(crate) fn service(registry: Registry, body_bytes: usize) -> (Service, impl FnOnce() + Send + 'static) {
    let config = StreamableHttpServerConfig::default()
        .disable_allowed_hosts()
        .disable_allowed_origins()
        .with_json_response(true)
        .with_max_request_body_bytes(body_bytes);
    let token = config.cancellation_token.clone();
    let stopping = CancellationToken::new();
    let stopped = stopping.clone();
    let server = move || {
        let backend = Backend::Registry(registry.clone());
        Ok(RegistryMcpServer::new(backend, WriteAccess::ByToken, stopped.clone()))
    };
    let service = StreamableHttpService::new(server, Arc::new(Sessions::new()), config);
    let stop = move || {
        stopping.cancel();
        tokio::spawn(async move {
            tokio::time::sleep(CLOSE_TIMEOUT).await;
            token.cancel();
        });
    };
    (service, stop)
}
