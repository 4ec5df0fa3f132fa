//! One question to a registry: over TCP, TLS or a Unix socket.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use url::Url;

const TIMEOUT: Duration = Duration::from_secs(5);
const LARGEST: usize = 16 * 1024 * 1024;

/// What was answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Asks for a path; the error says what went wrong, for people.
pub(super) async fn get(url: &str, path: &str, token: Option<&str>) -> Result<Answer, String> {
    let asking = async {
        if let Some(socket) = url.strip_prefix("unix:") {
            return unix(socket, path, token).await;
        }
        let url = Url::parse(url).map_err(|error| format!("{error}; write it like http://127.0.0.1:7285"))?;
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err("there is no host in it; write it like http://127.0.0.1:7285".to_owned());
        };
        let address = host.trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((address, port)).await.map_err(|error| error.to_string())?;
        let authority = format!("{host}:{port}");
        let path = [url.path().trim_end_matches('/'), path].concat();
        match url.scheme() {
            "http" => exchange(stream, &authority, &path, token).await,
            "https" => {
                let name =
                    address.to_owned().try_into().map_err(|_| "the host has no name for TLS".to_owned())?;
                let stream = trusting()?.connect(name, stream).await.map_err(|error| error.to_string())?;
                exchange(stream, &authority, &path, token).await
            }
            scheme => Err(format!("{scheme} is not known; write it like http://127.0.0.1:7285")),
        }
    };
    tokio::time::timeout(TIMEOUT, asking)
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {} s", TIMEOUT.as_secs())))
}

#[cfg(unix)]
async fn unix(socket: &str, path: &str, token: Option<&str>) -> Result<Answer, String> {
    let stream = tokio::net::UnixStream::connect(socket).await.map_err(|error| error.to_string())?;
    exchange(stream, "localhost", path, token).await
}

#[cfg(not(unix))]
async fn unix(_: &str, _: &str, _: Option<&str>) -> Result<Answer, String> {
    Err("there are no Unix sockets here".to_owned())
}

/// TLS that trusts whom the system trusts.
fn trusting() -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    Ok(TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth())))
}

async fn exchange<S>(stream: S, host: &str, path: &str, token: Option<&str>) -> Result<Answer, String>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let text = |error: hyper::Error| error.to_string();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(text)?;
    tokio::spawn(connection);
    let mut request = Request::get(path).header(header::HOST, host);
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let request = request.body(Body::empty()).map_err(|error| error.to_string())?;
    let (parts, body) = sender.send_request(request).await.map_err(text)?.into_parts();
    let body = Limited::new(body, LARGEST).collect().await.map_err(|error| error.to_string())?;
    Ok(Answer { status: parts.status, headers: parts.headers, body: body.to_bytes().into() })
}
