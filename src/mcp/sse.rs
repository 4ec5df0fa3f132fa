//! The legacy HTTP+SSE transport of MCP 2024-11-05: messages arrive as server-sent events, and are sent to the address that
//! the first event names. <https://modelcontextprotocol.io/specification/2024-11-05/basic/transports>

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use http::header;
use rmcp::RoleClient;
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use url::Url;

use crate::net::media_type::is_event_stream;
use crate::net::sse::{Events, SseEvent};

/// Time limit for sending a message.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) struct SseTransport {
    http: reqwest::Client,
    endpoint: Url,
    stream: BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    events: Events,
}

/// An error of this transport.
#[derive(Debug, thiserror::Error)]
pub(super) enum SseError {
    #[error("{0}")]
    Http(#[from] reqwest::Error),
    #[error("HTTP {0}")]
    Status(u16),
    #[error("{0}")]
    Unexpected(&'static str),
}

impl SseTransport {
    pub(super) async fn open(http: reqwest::Client, url: &Url) -> Result<Self, SseError> {
        let response = http.get(url.clone()).header(header::ACCEPT, "text/event-stream").send().await?;
        if !response.status().is_success() {
            return Err(SseError::Status(response.status().as_u16()));
        }
        let kind = response.headers().get(header::CONTENT_TYPE);
        if !kind.is_some_and(|kind| is_event_stream(kind.as_bytes())) {
            return Err(SseError::Unexpected("the response is not an event stream"));
        }
        let stream = response.bytes_stream().boxed();
        let mut transport = Self { http, endpoint: url.clone(), stream, events: Events::default() };
        while let Some(SseEvent { kind, data }) = transport.next().await {
            if kind != "endpoint" {
                continue;
            }
            let endpoint = url.join(data.trim());
            let endpoint = endpoint.map_err(|_| {
                SseError::Unexpected("the endpoint in its first event is not a valid address")
            })?;
            // A server must not redirect messages to another server.
            if endpoint.origin() != url.origin() {
                return Err(SseError::Unexpected(
                    "the endpoint in its first event belongs to another server",
                ));
            }
            transport.endpoint = endpoint;
            return Ok(transport);
        }
        Err(SseError::Unexpected("the stream ended before it named an endpoint"))
    }

    /// Returns the next event; none at the end of the stream.
    async fn next(&mut self) -> Option<SseEvent> {
        loop {
            if let Some(event) = self.events.next() {
                return Some(event);
            }
            self.events.feed(&self.stream.next().await?.ok()?);
        }
    }
}

impl Transport<RoleClient> for SseTransport {
    type Error = SseError;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), SseError>> + Send + 'static {
        let request = self.http.post(self.endpoint.clone()).timeout(SEND_TIMEOUT).json(&message);
        async move {
            let status = request.send().await?.status();
            if status.is_success() { Ok(()) } else { Err(SseError::Status(status.as_u16())) }
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        loop {
            if let Ok(message) = serde_json::from_str(&self.next().await?.data) {
                return Some(message);
            }
        }
    }

    async fn close(&mut self) -> Result<(), SseError> {
        self.stream = futures_util::stream::empty().boxed();
        Ok(())
    }
}
