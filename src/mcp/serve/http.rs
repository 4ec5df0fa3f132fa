//! `/mcp`: streamable HTTP.
//!
//! Who may ask, from where, and how much, the HTTP API's own front decides: it stands before this as before `/v1`.

use std::sync::Arc;
use std::time::Duration;

use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::sync::watch;

use super::sessions::Sessions;
use super::{Catalogue, Registrar, Writes};
use crate::registry::Registry;

type Service = StreamableHttpService<Registrar, Sessions>;

/// How long those who listen have to be told that this is the end.
const FAREWELL: Duration = Duration::from_millis(500);

/// The registry as an MCP server, and the way to end all that goes on there.
pub(crate) fn service(registry: Registry, body_bytes: usize) -> (Service, impl FnOnce() + Send + 'static) {
    let config = StreamableHttpServerConfig::default()
        .disable_allowed_hosts()
        .disable_allowed_origins()
        .with_json_response(true)
        .with_max_request_body_bytes(body_bytes);
    let token = config.cancellation_token.clone();
    let (stopping, stopped) = watch::channel(false);
    let registrar = move || {
        let catalogue = Catalogue::Registry(registry.clone());
        Ok(Registrar::new(catalogue, Writes::AsTheTokenMay, stopped.clone()))
    };
    let service = StreamableHttpService::new(registrar, Arc::new(Sessions::new()), config);
    let end = move || {
        stopping.send_replace(true);
        tokio::spawn(async move {
            tokio::time::sleep(FAREWELL).await;
            token.cancel();
        });
    };
    (service, end)
}
