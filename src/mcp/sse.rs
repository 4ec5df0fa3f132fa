//! HTTP with server-sent events, the transport of MCP 2024-11-05: messages come as events, and go to the address that the
//! first event names. <https://modelcontextprotocol.io/specification/2024-11-05/basic/transports>

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use http::header;
use rmcp::RoleClient;
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use url::Url;

use crate::net::media_type::is_event_stream;
use crate::net::sse::{Event, Events};

/// How long a message may take to be taken.
const SENDING: Duration = Duration::from_secs(30);

pub(super) struct SseTransport {
    http: reqwest::Client,
    endpoint: Url,
    stream: BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    events: Events,
}

/// Why there is no such transport.
#[derive(Debug, thiserror::Error)]
pub(super) enum SseError {
    #[error("{0}")]
    Http(#[from] reqwest::Error),
    #[error("HTTP {0}")]
    Status(u16),
    #[error("{0}")]
    Strange(&'static str),
}

impl SseTransport {
    pub(super) async fn open(http: reqwest::Client, url: &Url) -> Result<Self, SseError> {
        let response = http.get(url.clone()).header(header::ACCEPT, "text/event-stream").send().await?;
        if !response.status().is_success() {
            return Err(SseError::Status(response.status().as_u16()));
        }
        let kind = response.headers().get(header::CONTENT_TYPE);
        if !kind.is_some_and(|kind| is_event_stream(kind.as_bytes())) {
            return Err(SseError::Strange("it answers no stream of events"));
        }
        let stream = response.bytes_stream().boxed();
        let mut transport = Self { http, endpoint: url.clone(), stream, events: Events::default() };
        while let Some(Event { kind, data }) = transport.next().await {
            if kind != "endpoint" {
                continue;
            }
            let endpoint = url.join(data.trim());
            let endpoint =
                endpoint.map_err(|_| SseError::Strange("the endpoint that it names is no address"))?;
            // What is said to a server must not be sent to another one by it.
            if endpoint.origin() != url.origin() {
                return Err(SseError::Strange("the endpoint that it names is another server's"));
            }
            transport.endpoint = endpoint;
            return Ok(transport);
        }
        Err(SseError::Strange("its stream ends before it names an endpoint"))
    }

    /// The next event; none when the stream ends.
    async fn next(&mut self) -> Option<Event> {
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
        let request = self.http.post(self.endpoint.clone()).timeout(SENDING).json(&message);
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
