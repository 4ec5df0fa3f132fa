//! The endpoint of a server that is reached over HTTP, and the HTTP client for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::{Action, Attempt, Policy};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use url::Url;

use super::McpError;
use crate::net::tls;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The address of a server, and how to connect to it.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub(crate) url: Url,
    pub(crate) transport: EndpointTransport,
    /// Headers to send with every request.
    pub(crate) headers: HeaderMap,
}

/// The HTTP transport of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndpointTransport {
    StreamableHttp,
    Sse,
    /// Streamable HTTP, with a fallback to HTTP+SSE.
    Auto,
}

/// Follows redirects that keep the method and the origin, as from `/mcp` to `/mcp/`. Requests must not be sent to another
/// server.
fn same_origin_redirect(attempt: Attempt<'_>) -> Action {
    const MAX_REDIRECTS: usize = 5;
    let is_same_origin =
        attempt.previous().last().is_some_and(|before| before.origin() == attempt.url().origin());
    let keeps_method = matches!(attempt.status().as_u16(), 307 | 308);
    if is_same_origin && keeps_method && attempt.previous().len() < MAX_REDIRECTS {
        attempt.follow()
    } else {
        attempt.stop()
    }
}

impl Endpoint {
    fn client(&self, headers: HeaderMap) -> Result<reqwest::Client, McpError> {
        let unusable = |detail: String| McpError::Unreachable { url: self.url.to_string(), reason: detail };
        let tls =
            tls::client_config(self.url.scheme() == "https").map_err(|error| unusable(error.to_string()))?;
        reqwest::Client::builder()
            .tls_backend_preconfigured(tls.as_ref().clone())
            .connect_timeout(CONNECT_TIMEOUT)
            .default_headers(headers)
            .redirect(Policy::custom(same_origin_redirect))
            // As in rmcp's own client: a response that was not read completely delays the next one on its connection.
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|error| unusable(error.to_string()))
    }

    pub(super) fn streamable_transport(
        &self,
    ) -> Result<StreamableHttpClientTransport<reqwest::Client>, McpError> {
        let headers: HashMap<HeaderName, HeaderValue> =
            self.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let config = StreamableHttpClientTransportConfig::with_uri(Arc::from(self.url.as_str()));
        // An expired session means that the server was restarted and may have changed, which has to be noticed.
        let config = config.custom_headers(headers).reinit_on_expired_session(false);
        Ok(StreamableHttpClientTransport::with_client(self.client(HeaderMap::new())?, config))
    }

    /// Returns the client for the legacy HTTP+SSE transport.
    pub(super) fn sse_client(&self) -> Result<reqwest::Client, McpError> {
        self.client(self.headers.clone())
    }
}
