//! Where a server behind HTTP is, and the client that asks it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::{Action, Attempt, Policy};
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

/// Follows to the same server what is to be asked there in the same way, as from `/mcp` to `/mcp/`: what is said to one
/// server is not to be sent to another.
fn same_place(attempt: Attempt<'_>) -> Action {
    const MOST: usize = 5;
    let same = attempt.previous().last().is_some_and(|before| before.origin() == attempt.url().origin());
    let again = matches!(attempt.status().as_u16(), 307 | 308);
    if same && again && attempt.previous().len() < MOST { attempt.follow() } else { attempt.stop() }
}

impl Endpoint {
    fn client(&self, headers: HeaderMap) -> Result<reqwest::Client, McpError> {
        let unusable = |detail: String| McpError::Unreachable { url: self.url.to_string(), reason: detail };
        let tls = trusting(self.url.scheme() == "https").map_err(|error| unusable(error.to_string()))?;
        reqwest::Client::builder()
            .tls_backend_preconfigured(tls.as_ref().clone())
            .connect_timeout(CONNECT)
            .default_headers(headers)
            .redirect(Policy::custom(same_place))
            // As rmcp's own client: an answer that was not read to its end delays the next one on its connection.
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|error| unusable(error.to_string()))
    }

    pub(super) fn streamable(&self) -> Result<StreamableHttpClientTransport<reqwest::Client>, McpError> {
        let headers: HashMap<HeaderName, HeaderValue> =
            self.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let config = StreamableHttpClientTransportConfig::with_uri(Arc::from(self.url.as_str()));
        // A server that has forgotten the session was started again, and may do other things now: that is to be seen.
        let config = config.custom_headers(headers).reinit_on_expired_session(false);
        Ok(StreamableHttpClientTransport::with_client(self.client(HeaderMap::new())?, config))
    }

    pub(super) async fn sse(&self) -> Result<Result<SseTransport, SseError>, McpError> {
        Ok(SseTransport::open(self.client(self.headers.clone())?, &self.url).await)
    }
}
