//! `/mcp`: streamable HTTP.
//!
//! Who may ask, from where, and how much, the HTTP API's own front decides: it stands before this as before `/v1`.

use std::sync::Arc;

use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};

use super::{Catalogue, Registrar};
use crate::registry::Registry;

type Service = StreamableHttpService<Registrar, LocalSessionManager>;

/// The registry as an MCP server, and the way to end all that goes on there.
pub(crate) fn service(registry: Registry, body_bytes: usize) -> (Service, impl Fn() + Send + 'static) {
    let config = StreamableHttpServerConfig::default()
        .disable_allowed_hosts()
        .disable_allowed_origins()
        .with_json_response(true)
        .with_max_request_body_bytes(body_bytes);
    let token = config.cancellation_token.clone();
    let registrar = move || Ok(Registrar::new(Catalogue::Registry(registry.clone()), true));
    let service = StreamableHttpService::new(registrar, Arc::<LocalSessionManager>::default(), config);
    (service, move || token.cancel())
}
