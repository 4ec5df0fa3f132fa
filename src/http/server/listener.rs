//! Where a server listens: an address and port or a Unix socket, in the clear or behind TLS.

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

/// How many connections the system keeps until they are taken, if it lets us: when thousands come at once, those that find no
/// room come again after a second.
const BACKLOG: u32 = 4_096;

/// A socket that takes connections, and what is done to them first.
pub struct Listener {
    socket: Socket,
    tls: Option<TlsAcceptor>,
}

enum Socket {
    Tcp(TcpListener),
    /// With its path, and which file it was made as there.
    #[cfg(unix)]
    Unix(UnixListener, PathBuf, FileId),
}

/// Device and inode.
#[cfg(unix)]
type FileId = (u64, u64);

/// Why certificate and key cannot be used: mend the file that it names.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {path} for TLS: {reason}")]
pub struct TlsError {
    path: PathBuf,
    reason: String,
}

/// A connection as bytes.
pub(in crate::http) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// What becomes a connection once TLS is agreed on.
pub(in crate::http) type Handshake = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send>>;

impl Listener {
    /// Listens on an address and port; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address is in use or not this machine's.
    pub fn tcp(address: SocketAddr) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // As the standard library does: a registry that comes again takes the place of the one before. Elsewhere it would let
        // two have it.
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(Self { socket: Socket::Tcp(socket.listen(BACKLOG)?), tls: None })
    }

    /// Listens on a Unix socket that only its owner may connect to (mode 0600). A socket that a process has left behind
    /// is replaced; it is removed when the server ends.
    ///
    /// # Errors
    /// When another process listens there, something else is there, or the folder cannot be written.
    #[cfg(unix)]
    pub fn unix(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::{FileTypeExt, PermissionsExt};
        use std::os::unix::net::UnixStream;
        match fs::symlink_metadata(path) {
            Ok(there) if !there.file_type().is_socket() => {
                let detail = "something that is no socket is there already";
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, detail));
            }
            Ok(_) => match UnixStream::connect(path) {
                // Left behind by a process that is gone.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                _ => return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there")),
            },
            Err(_) => {}
        }
        // Made in a folder that nobody else can enter, so that there is no moment at which others could connect. Its name is
        // short: the path of a socket may have about 100 bytes.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let private = tempfile::Builder::new().prefix(".").rand_bytes(4).tempdir_in(folder)?;
        let made = private.path().join("s");
        let listener = UnixListener::bind(&made)?;
        fs::set_permissions(&made, fs::Permissions::from_mode(0o600))?;
        let id = file_id(&made)?;
        fs::rename(&made, path)?;
        Ok(Self { socket: Socket::Unix(listener, path.to_owned(), id), tls: None })
    }

    /// Speaks TLS 1.2 or 1.3, with a certificate chain and its private key in PEM files.
    ///
    /// # Errors
    /// When a file cannot be read or used.
    pub fn tls(mut self, certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let wrong = |path: &Path, reason: &dyn fmt::Display| TlsError {
            path: path.to_owned(),
            reason: reason.to_string(),
        };
        let chain =
            CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let chain = chain.map_err(|error| wrong(certificate, &error))?;
        let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, &error))?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong(certificate, &error))?
            .with_no_client_auth()
            .with_single_cert(chain, secret)
            .map_err(|error| wrong(certificate, &error))?;
        self.tls = Some(TlsAcceptor::from(Arc::new(config)));
        Ok(self)
    }

    /// The address; none for a Unix socket.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Tcp(listener) => listener.local_addr().ok(),
            #[cfg(unix)]
            Socket::Unix(..) => None,
        }
    }

    /// The next connection.
    pub(in crate::http) async fn accept(&self) -> io::Result<Handshake> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // Answers are small and go out whole: waiting for more would only delay them.
                // A client that is gone already is found out when it is served.
                let _ = stream.set_nodelay(true);
                Ok(self.shake_hands(stream))
            }
            #[cfg(unix)]
            Socket::Unix(listener, ..) => Ok(self.shake_hands(listener.accept().await?.0)),
        }
    }

    fn shake_hands<S: Stream + 'static>(&self, stream: S) -> Handshake {
        match self.tls.clone() {
            None => Box::pin(std::future::ready(Ok(Box::new(stream) as Box<dyn Stream>))),
            Some(tls) => Box::pin(async move {
                let stream = tls.accept(stream).await?;
                Ok(Box::new(stream) as Box<dyn Stream>)
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

/// As a URL, or as `unix:` and the path.
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
    fs::symlink_metadata(path).map(|there| (there.dev(), there.ino()))
}

/// Removes its socket, unless somebody has put another in its place.
#[cfg(unix)]
impl Drop for Listener {
    fn drop(&mut self) {
        if let Socket::Unix(_, path, id) = &self.socket
            && file_id(path).is_ok_and(|there| there == *id)
        {
            let _ = fs::remove_file(path);
        }
    }
}
