//! One address of a registry: HTTP over TCP, TLS or a Unix socket, with connections that are kept.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use url::Url;

use super::ClientError;
#[cfg(unix)]
use super::unix::SocketConnector;

/// The largest answer that is read: a page of servers in full ends at 16 MiB, plus the last server.
const LARGEST: usize = 64 * 1024 * 1024;
const CONNECT: Duration = Duration::from_secs(5);

/// One address.
pub(super) struct Wire {
    /// As it was given.
    pub(super) address: String,
    base: Url,
    http: Http,
}

enum Http {
    Tcp(legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
    #[cfg(unix)]
    Unix(legacy::Client<SocketConnector, Full<Bytes>>),
}

/// What is asked.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) method: http::Method,
    /// Under the address.
    pub(super) path: Vec<String>,
    pub(super) query: Vec<(String, String)>,
    /// JSON.
    pub(super) body: Option<Bytes>,
    /// Only if the id is not taken.
    pub(super) new_only: bool,
}

/// What is answered.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: http::HeaderMap,
    pub(super) body: Bytes,
}

/// Why there is no answer.
pub(super) enum Failure {
    /// Nothing was sent.
    Unsent(String),
    /// Nothing was sent: what is there speaks no TLS, or none that is trusted.
    Tls(String),
    /// The connection broke off, perhaps one that was kept and that the other side had given up. It may have been carried out.
    Broken(String),
    /// It may have been carried out.
    Unknown(String),
    /// It may have been carried out, by something that does not answer in HTTP.
    NoHttp(String),
}

impl Reply {
    /// Reads the whole answer.
    pub(super) async fn read(response: Response<Incoming>) -> Result<Self, Failure> {
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, LARGEST).collect().await;
        let body = body.map_err(|error| Failure::Unknown(format!("the answer broke off: {error}")))?;
        Ok(Self { status: parts.status, headers: parts.headers, body: body.to_bytes() })
    }
}

impl Wire {
    pub(super) fn new(address: &str, tls: &Arc<ClientConfig>) -> Result<Self, ClientError> {
        let wrong = |detail: String| ClientError::Address { address: address.to_owned(), detail };
        if let Some(path) = address.strip_prefix("unix:") {
            return Self::unix(address, path)
                .ok_or_else(|| wrong("there are no Unix sockets here".to_owned()));
        }
        let base = Url::parse(address).map_err(|error| wrong(error.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") || !base.has_host() {
            return Err(wrong("it is neither http nor https".to_owned()));
        }
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
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

    /// Asks, and reads the whole answer.
    pub(super) async fn send(
        &self,
        call: &Call,
        token: Option<&HeaderValue>,
        limit: Duration,
    ) -> Result<Reply, Failure> {
        let request = self.request(call, token).map_err(|error| Failure::Unsent(error.to_string()))?;
        let asking = async { Reply::read(self.exchange(request).await?).await };
        let late = |_| Failure::Unknown(format!("no answer within {} ms", limit.as_millis()));
        tokio::time::timeout(limit, asking).await.map_err(late)?
    }

    /// Asks, and leaves the answer to be read.
    pub(super) async fn open(
        &self,
        call: &Call,
        token: Option<&HeaderValue>,
        limit: Duration,
    ) -> Result<Response<Incoming>, Failure> {
        let request = self.request(call, token).map_err(|error| Failure::Unsent(error.to_string()))?;
        let late = |_| Failure::Unknown(format!("no answer within {} ms", limit.as_millis()));
        tokio::time::timeout(limit, self.exchange(request)).await.map_err(late)?
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failure> {
        let answered = match &self.http {
            Http::Tcp(client) => client.request(request).await,
            #[cfg(unix)]
            Http::Unix(client) => client.request(request).await,
        };
        answered.map_err(|error| failure(&error))
    }

    fn request(&self, call: &Call, token: Option<&HeaderValue>) -> Result<Request<Full<Bytes>>, http::Error> {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(&call.path);
        }
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        let uri: Uri = url.as_str().parse()?;
        let mut request = Request::builder().method(call.method.clone()).uri(uri);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, token);
        }
        if call.new_only {
            request = request.header(header::IF_NONE_MATCH, HeaderValue::from_static("*"));
        }
        match &call.body {
            None => request.body(Full::default()),
            Some(body) => request
                .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
                .body(Full::new(body.clone())),
        }
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Wire").field(&self.address).finish()
    }
}

fn failure(error: &legacy::Error) -> Failure {
    let text = innermost(error);
    let mut at = error.source();
    while let Some(cause) = at {
        if cause.is::<tokio_rustls::rustls::Error>() {
            return Failure::Tls(text);
        }
        if cause.downcast_ref().is_some_and(hyper::Error::is_parse) {
            return Failure::NoHttp(text);
        }
        // An `io::Error` is not the source of what it wraps, but takes its place.
        let wrapped = cause.downcast_ref().and_then(io::Error::get_ref);
        at = wrapped.map_or_else(|| cause.source(), |wrapped| Some(wrapped));
    }
    if error.is_connect() { Failure::Unsent(text) } else { Failure::Broken(text) }
}

/// The error at the root, which says most.
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut at = error;
    while let Some(source) = at.source() {
        at = source;
    }
    at.to_string()
}

/// TLS that trusts whom the system trusts; nobody, where none is spoken, which saves reading all that the system has.
pub(crate) fn trusting(spoken: bool) -> Result<Arc<ClientConfig>, tokio_rustls::rustls::Error> {
    let mut roots = RootCertStore::empty();
    if spoken {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions()?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}
