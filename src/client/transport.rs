//! HTTP to one address of a registry, over TCP, TLS or a Unix socket, with kept connections.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio_rustls::rustls::ClientConfig;
use url::Url;

use super::ClientError;
#[cfg(unix)]
use super::unix::SocketConnector;

/// The largest response that is read: a page of servers in full ends at 16 MiB, plus the last server.
const RESPONSE_SIZE_LIMIT: usize = 64 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// One address.
pub(super) struct HttpTransport {
    /// The address as the caller wrote it.
    pub(super) address: String,
    base: Url,
    http: Http,
}

enum Http {
    Tcp(legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
    #[cfg(unix)]
    Unix(legacy::Client<SocketConnector, Full<Bytes>>),
}

/// A request, independent of the address.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: http::Method,
    /// The segments of the path, under the address.
    pub(super) path: Vec<String>,
    pub(super) query: Vec<(String, String)>,
    /// JSON, if any.
    pub(super) body: Option<Bytes>,
    /// Register only if the id is not taken.
    pub(super) new_only: bool,
}

/// A response that was read to its end.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: http::HeaderMap,
    pub(super) body: Bytes,
}

/// The reason why there is no response.
pub(super) enum Failure {
    /// Nothing was sent.
    Unsent(String),
    /// Nothing was sent: the server does not support TLS, or its certificate is not trusted.
    Tls(String),
    /// The connection was lost, maybe a kept one that the server had closed; the request may have been processed.
    ConnectionLost(String),
    /// The request may have been processed.
    Unknown(String),
    /// The request may have been processed, by a server whose response is not HTTP.
    NotHttp(String),
}

impl Reply {
    /// Reads a response to its end.
    pub(super) async fn read(response: Response<Incoming>) -> Result<Self, Failure> {
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, RESPONSE_SIZE_LIMIT).collect().await;
        let body = body.map_err(|error| Failure::Unknown(format!("the response is incomplete: {error}")))?;
        Ok(Self { status: parts.status, headers: parts.headers, body: body.to_bytes() })
    }
}

impl HttpTransport {
    pub(super) fn new(address: &str, tls: &Arc<ClientConfig>) -> Result<Self, ClientError> {
        let invalid = |detail: String| ClientError::Address { address: address.to_owned(), detail };
        if let Some(path) = address.strip_prefix("unix:") {
            return Self::unix(address, path)
                .ok_or_else(|| invalid("Unix sockets are not supported on this platform".to_owned()));
        }
        let base = Url::parse(address).map_err(|error| invalid(error.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") || !base.has_host() {
            return Err(invalid("it is neither http nor https".to_owned()));
        }
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(ClientConfig::clone(tls))
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let http = Http::Tcp(legacy::Client::builder(TokioExecutor::new()).build(connector));
        Ok(Self { address: address.to_owned(), base, http })
    }

    #[cfg(unix)]
    fn unix(address: &str, path: &str) -> Option<Self> {
        let base = Url::parse("http://localhost").ok()?;
        let connector = SocketConnector::new(path);
        let http = Http::Unix(legacy::Client::builder(TokioExecutor::new()).build(connector));
        Some(Self { address: address.to_owned(), base, http })
    }

    #[cfg(not(unix))]
    fn unix(_: &str, _: &str) -> Option<Self> {
        None
    }

    /// Sends a request and reads the response to its end.
    pub(super) async fn send(
        &self,
        request: &Request,
        token: Option<&HeaderValue>,
        timeout: Duration,
    ) -> Result<Reply, Failure> {
        let http_request =
            self.http_request(request, token).map_err(|error| Failure::Unsent(error.to_string()))?;
        let reply = async { Reply::read(self.send_http(http_request).await?).await };
        let late = |_| Failure::Unknown(format!("no response within {} ms", timeout.as_millis()));
        tokio::time::timeout(timeout, reply).await.map_err(late)?
    }

    /// Sends a request; the caller reads the response.
    pub(super) async fn open(
        &self,
        request: &Request,
        token: Option<&HeaderValue>,
        timeout: Duration,
    ) -> Result<Response<Incoming>, Failure> {
        let http_request =
            self.http_request(request, token).map_err(|error| Failure::Unsent(error.to_string()))?;
        let late = |_| Failure::Unknown(format!("no response within {} ms", timeout.as_millis()));
        tokio::time::timeout(timeout, self.send_http(http_request)).await.map_err(late)?
    }

    async fn send_http(&self, request: http::Request<Full<Bytes>>) -> Result<Response<Incoming>, Failure> {
        let response = match &self.http {
            Http::Tcp(client) => client.request(request).await,
            #[cfg(unix)]
            Http::Unix(client) => client.request(request).await,
        };
        response.map_err(|error| failure(&error))
    }

    fn http_request(
        &self,
        request: &Request,
        token: Option<&HeaderValue>,
    ) -> Result<http::Request<Full<Bytes>>, http::Error> {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(&request.path);
        }
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        let uri: Uri = url.as_str().parse()?;
        let mut http_request = http::Request::builder().method(request.method.clone()).uri(uri);
        if let Some(token) = token {
            http_request = http_request.header(header::AUTHORIZATION, token);
        }
        if request.new_only {
            http_request = http_request.header(header::IF_NONE_MATCH, HeaderValue::from_static("*"));
        }
        match &request.body {
            None => http_request.body(Full::default()),
            Some(body) => http_request
                .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
                .body(Full::new(body.clone())),
        }
    }
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("HttpTransport").field(&self.address).finish()
    }
}

fn failure(error: &legacy::Error) -> Failure {
    let text = root_cause(error);
    let mut at = error.source();
    while let Some(cause) = at {
        if cause.is::<tokio_rustls::rustls::Error>() {
            return Failure::Tls(text);
        }
        if cause.downcast_ref().is_some_and(hyper::Error::is_parse) {
            return Failure::NotHttp(text);
        }
        // An `io::Error` hides the error that it wraps: its source is that of the wrapped one.
        let wrapped = cause.downcast_ref().and_then(io::Error::get_ref);
        at = wrapped.map_or_else(|| cause.source(), |wrapped| Some(wrapped));
    }
    if error.is_connect() { Failure::Unsent(text) } else { Failure::ConnectionLost(text) }
}

/// Returns the innermost error, which is the most specific one.
pub(crate) fn root_cause(error: &dyn std::error::Error) -> String {
    let mut at = error;
    while let Some(source) = at.source() {
        at = source;
    }
    at.to_string()
}
