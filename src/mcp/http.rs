//! Where a server behind HTTP is, and the client that asks it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use url::Url;

use super::McpError;
use super::sse::{SseError, SseTransport};
use crate::client::trusting;

const CONNECT: Duration = Duration::from_secs(10);

/// Where a server is, and how it is spoken to.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub(crate) url: Url,
    pub(crate) speaks: Speaks,
    /// What it is given with every request.
    pub(crate) headers: HeaderMap,
}

/// What a server is known to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    StreamableHttp,
    Sse,
    /// The one, or else the other.
    Either,
}

impl Endpoint {
    fn client(&self, headers: HeaderMap) -> Result<reqwest::Client, McpError> {
        let unusable = |detail: String| McpError::Unreachable { url: self.url.to_string(), reason: detail };
        let tls = trusting().map_err(|error| unusable(error.to_string()))?;
        reqwest::Client::builder()
            .tls_backend_preconfigured(tls.as_ref().clone())
            .connect_timeout(CONNECT)
            .default_headers(headers)
            .redirect(reqwest::redirect::Policy::none())
            // As rmcp's own client: an answer that was not read to its end delays the next one on its connection.
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|error| unusable(error.to_string()))
    }

    pub(super) fn streamable(&self) -> Result<StreamableHttpClientTransport<reqwest::Client>, McpError> {
        let headers: HashMap<HeaderName, HeaderValue> =
            self.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let config = StreamableHttpClientTransportConfig::with_uri(Arc::from(self.url.as_str()));
        let config = config.custom_headers(headers);
        Ok(StreamableHttpClientTransport::with_client(self.client(HeaderMap::new())?, config))
    }

    pub(super) async fn sse(&self) -> Result<Result<SseTransport, SseError>, McpError> {
        Ok(SseTransport::open(self.client(self.headers.clone())?, &self.url).await)
    }
}
