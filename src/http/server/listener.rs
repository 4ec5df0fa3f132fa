//! Listening sockets: TCP or Unix, optionally with TLS.

use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
#[cfg(unix)]
use tokio::net::UnixListener;
use tokio::net::{TcpListener, TcpSocket};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The requested length of the system's queue of pending connections. When thousands arrive at once, those that exceed it retry
/// only after a second.
const BACKLOG: u32 = 4_096;

/// A listening socket, with optional TLS.
pub struct Listener {
    socket: Socket,
    tls: Option<TlsAcceptor>,
}

enum Socket {
    Tcp(TcpListener),
    /// With its path, and the identity of the file created there.
    #[cfg(unix)]
    Unix(UnixListener, PathBuf, FileId),
}

/// The device and inode of a file.
#[cfg(unix)]
type FileId = (u64, u64);

/// An error in a certificate or key file: fix the file that it names.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {path} for TLS: {reason}")]
pub struct TlsError {
    path: PathBuf,
    reason: String,
}

/// The byte stream of a connection.
pub(in crate::http) trait ConnectionStream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> ConnectionStream for S {}

/// A connection whose TLS handshake may not be complete.
pub(in crate::http) type Handshake =
    Pin<Box<dyn Future<Output = io::Result<Box<dyn ConnectionStream>>> + Send>>;

impl Listener {
    /// Listens on an address and port; port 0 selects a free one.
    ///
    /// # Errors
    /// If the address is in use or does not belong to this machine.
    pub fn tcp(address: SocketAddr) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // As the standard library does, so that a restarted registry can bind at once. On other systems the option would let
        // two processes bind the same port.
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(Self { socket: Socket::Tcp(socket.listen(BACKLOG)?), tls: None })
    }

    /// Listens on a Unix socket that only its owner may connect to (mode 0600). A stale socket of an earlier process is
    /// replaced. The socket is removed on drop.
    ///
    /// # Errors
    /// If another process listens there, a file that is not a socket exists there, or the directory is not writable.
    #[cfg(unix)]
    pub fn unix(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::{FileTypeExt, PermissionsExt};
        use std::os::unix::net::UnixStream;
        match fs::symlink_metadata(path) {
            Ok(metadata) if !metadata.file_type().is_socket() => {
                let detail = "a file that is not a socket exists there";
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, detail));
            }
            Ok(_) => match UnixStream::connect(path) {
                // A stale socket of a process that has ended.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                _ => return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there")),
            },
            Err(_) => {}
        }
        // Created in a private directory, so that no other user can connect before the mode is set. The names are short: the
        // path of a socket is limited to about 100 bytes.
        let directory =
            path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let private = tempfile::Builder::new().prefix(".").rand_bytes(4).tempdir_in(directory)?;
        let socket = private.path().join("s");
        let listener = UnixListener::bind(&socket)?;
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o600))?;
        let id = file_id(&socket)?;
        fs::rename(&socket, path)?;
        Ok(Self { socket: Socket::Unix(listener, path.to_owned(), id), tls: None })
    }

    /// Enables TLS 1.2 and 1.3, with a certificate chain and its private key in PEM files.
    ///
    /// # Errors
    /// If a file cannot be read or used.
    pub fn tls(mut self, certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let error_in = |path: &Path, reason: &dyn fmt::Display| TlsError {
            path: path.to_owned(),
            reason: reason.to_string(),
        };
        let chain =
            CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let chain = chain.map_err(|error| error_in(certificate, &error))?;
        let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| error_in(key, &error))?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error_in(certificate, &error))?
            .with_no_client_auth()
            .with_single_cert(chain, secret)
            .map_err(|error| error_in(certificate, &error))?;
        self.tls = Some(TlsAcceptor::from(Arc::new(config)));
        Ok(self)
    }

    /// Returns the local address, or `None` for a Unix socket.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Tcp(listener) => listener.local_addr().ok(),
            #[cfg(unix)]
            Socket::Unix(..) => None,
        }
    }

    /// Accepts the next connection.
    pub(in crate::http) async fn accept(&self) -> io::Result<Handshake> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // Responses are written whole, so Nagle's algorithm would only delay them. An error means that the client has
                // disconnected, which the connection notices itself.
                let _ = stream.set_nodelay(true);
                Ok(self.handshake(stream))
            }
            #[cfg(unix)]
            Socket::Unix(listener, ..) => Ok(self.handshake(listener.accept().await?.0)),
        }
    }

    fn handshake<S: ConnectionStream + 'static>(&self, stream: S) -> Handshake {
        match self.tls.clone() {
            None => Box::pin(std::future::ready(Ok(Box::new(stream) as Box<dyn ConnectionStream>))),
            Some(tls) => Box::pin(async move {
                let stream = tls.accept(stream).await?;
                Ok(Box::new(stream) as Box<dyn ConnectionStream>)
            }),
        }
    }
}

impl TryFrom<std::net::TcpListener> for Listener {
    type Error = io::Error;

    fn try_from(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self { socket: Socket::Tcp(TcpListener::from_std(listener)?), tls: None })
    }
}

/// Writes a URL, or `unix:` and the path.
impl fmt::Display for Listener {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.socket {
            Socket::Tcp(listener) => {
                let scheme = if self.tls.is_some() { "https" } else { "http" };
                let address = listener.local_addr().map_err(|_| fmt::Error)?;
                write!(formatter, "{scheme}://{address}")
            }
            #[cfg(unix)]
            Socket::Unix(_, path, _) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Listener({self})")
    }
}

#[cfg(unix)]
fn file_id(path: &Path) -> io::Result<FileId> {
    use std::os::unix::fs::MetadataExt;
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Removes the socket, unless another process has replaced it.
#[cfg(unix)]
impl Drop for Listener {
    fn drop(&mut self) {
        if let Socket::Unix(_, path, id) = &self.socket
            && file_id(path).is_ok_and(|current| current == *id)
        {
            let _ = fs::remove_file(path);
        }
    }
}
