//! The configuration of `paulina serve`, from flags and from environment variables of the same names.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::http::{Limits, NAMESPACE, is_namespace};
use crate::registry::{DEFAULT_CACHE_BYTES, DEFAULT_CHANGE_RETENTION};
use crate::telemetry::LogFormat;

/// The defaults of the library. The durations are repeated as text in the flags; a test keeps both equal.
const DEFAULT: Limits = Limits::DEFAULT;

/// Parses an origin as browsers send it, RFC 6454: scheme, host and port, without a path.
fn parse_origin(text: &str) -> Result<String, String> {
    let parsed = url::Url::parse(text).map_err(|error| error.to_string())?;
    let origin = parsed.origin().ascii_serialization();
    if matches!(parsed.scheme(), "http" | "https") && origin == text {
        Ok(origin)
    } else {
        Err("write it like https://app.example or http://localhost:3000, without a trailing slash".to_owned())
    }
}

/// Parses a host as in the header `Host`, RFC 9110, section 7.2, without a port.
fn parse_host(text: &str) -> Result<String, String> {
    let host = match text.parse::<Ipv6Addr>() {
        Ok(address) => format!("[{address}]"),
        Err(_) => text.to_ascii_lowercase(),
    };
    match url::Host::parse(host.trim_end_matches('.')) {
        Ok(parsed) if parsed.to_string() == host.trim_end_matches('.') => Ok(host),
        _ => Err("write a name like registry.example, or an address, without scheme and port".to_owned()),
    }
}

/// Parses a namespace: the part before the slash in a server name of the official registry's API.
fn parse_namespace(text: &str) -> Result<String, String> {
    if is_namespace(text) {
        Ok(text.to_owned())
    } else {
        Err("write it like com.example, using letters, digits, dots and hyphens".to_owned())
    }
}

/// Parses a duration like 500ms, 30s or 5m.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, humantime::DurationError> {
    humantime::parse_duration(text)
}

/// Serve a registry over HTTP.
///
/// Durations are written like 500ms, 30s or 5m. Each flag can also be set by the environment variable shown with it.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct Config {
    /// Address to listen on: an address and a port, or `unix:` and the path of a socket that only this user may connect to.
    /// Port 0 selects a free port.
    #[arg(
        long,
        help_heading = "Network",
        env = "PAULINA_LISTEN",
        default_value = "127.0.0.1:7285",
        value_name = "ADDRESS:PORT|unix:PATH"
    )]
    pub(crate) listen: String,

    /// Certificate chain for TLS, a PEM file.
    #[arg(
        long,
        help_heading = "Network",
        env = "PAULINA_TLS_CERT",
        value_name = "FILE",
        requires = "tls_key"
    )]
    pub(crate) tls_cert: Option<PathBuf>,

    /// Private key of the certificate, a PEM file.
    #[arg(
        long,
        help_heading = "Network",
        env = "PAULINA_TLS_KEY",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    pub(crate) tls_key: Option<PathBuf>,

    /// SQLite database, created if it does not exist. `:memory:` stores nothing on disk.
    #[arg(
        long,
        help_heading = "Database",
        env = "PAULINA_DATABASE",
        default_value = "paulina.db",
        value_name = "FILE"
    )]
    pub(crate) database: PathBuf,

    /// Maximum size of the response cache in bytes; 0 disables it.
    #[arg(
        long,
        help_heading = "Database",
        env = "PAULINA_CACHE_BYTES",
        default_value_t = DEFAULT_CACHE_BYTES,
        value_name = "BYTES"
    )]
    pub(crate) cache_bytes: u64,

    /// Maximum number of changes stored for watchers that resume.
    #[arg(
        long,
        help_heading = "Database",
        env = "PAULINA_HISTORY_MAX_CHANGES",
        default_value_t = DEFAULT_CHANGE_RETENTION.rows,
        value_name = "COUNT"
    )]
    pub(crate) history_max_changes: u64,

    /// Maximum size of the server summaries in these changes, in bytes.
    #[arg(
        long,
        help_heading = "Database",
        env = "PAULINA_HISTORY_MAX_BYTES",
        default_value_t = DEFAULT_CHANGE_RETENTION.bytes,
        value_name = "BYTES"
    )]
    pub(crate) history_max_bytes: u64,

    /// Maximum age of these changes.
    #[arg(
        long,
        help_heading = "Database",
        env = "PAULINA_HISTORY_MAX_AGE",
        default_value = "7days",
        value_name = "DURATION",
        value_parser = parse_duration
    )]
    pub(crate) history_max_age: Duration,

    /// How often the registry checks for expired leases.
    #[arg(
        long,
        help_heading = "Leases",
        env = "PAULINA_PRUNE_INTERVAL",
        default_value = "1s",
        value_name = "DURATION",
        value_parser = parse_duration
    )]
    pub(crate) prune_interval: Duration,

    /// How long an unhealthy server is retained before it is deleted; until then, `healthy=false` and `healthy=any` show it.
    #[arg(
        long,
        help_heading = "Leases",
        env = "PAULINA_RETENTION",
        default_value = "0s",
        value_name = "DURATION",
        value_parser = parse_duration
    )]
    pub(crate) retention: Duration,

    /// Replica to restore the database from if it does not exist, as written by `paulina replicate`: `file:///srv/replica`
    /// or `s3://bucket/path`. Requires Litestream.
    #[arg(long, help_heading = "Replication", env = "PAULINA_RESTORE_FROM", value_name = "URL")]
    pub(crate) restore_from: Option<String>,

    /// Without a database, run as a standby: restore repeatedly and serve reads until promoted (`paulina promote`, or
    /// SIGUSR1). With a database, this registry is a primary.
    #[arg(long, help_heading = "Replication", env = "PAULINA_STANDBY", requires = "restore_from")]
    pub(crate) standby: bool,

    /// How often a standby restores. It pauses at least ten times as long as the last restore took.
    #[arg(
        long,
        help_heading = "Replication",
        env = "PAULINA_RESTORE_INTERVAL",
        default_value = "5s",
        value_name = "DURATION",
        value_parser = parse_duration
    )]
    pub(crate) restore_interval: Duration,

    /// The other registry of a pair. A standby refers writers to it, and this registry does not become a primary while the
    /// peer reports that it is.
    #[arg(long, help_heading = "Replication", env = "PAULINA_PEER", value_name = "URL")]
    pub(crate) peer: Option<String>,

    /// Executable of Litestream 0.5.17 or newer.
    #[arg(
        long,
        help_heading = "Replication",
        env = "PAULINA_LITESTREAM_BIN",
        default_value = "litestream",
        value_name = "PROGRAM"
    )]
    pub(crate) litestream_bin: PathBuf,

    /// Name or address that the `Host` of a request may contain, with any port, in addition to loopback and the listen
    /// address. Can be repeated.
    #[arg(
        long,
        help_heading = "Access",
        env = "PAULINA_ALLOWED_HOST",
        value_name = "NAME",
        value_delimiter = ',',
        value_parser = parse_host
    )]
    pub(crate) allowed_host: Vec<String>,

    /// Origin whose web pages may send requests, like `https://app.example`, in addition to the registry's own. Only these
    /// origins get CORS headers. Can be repeated.
    #[arg(
        long,
        help_heading = "Access",
        env = "PAULINA_ALLOWED_ORIGIN",
        value_name = "ORIGIN",
        value_delimiter = ',',
        value_parser = parse_origin
    )]
    pub(crate) allowed_origin: Vec<String>,

    /// Allow reading the API of the official MCP registry (`/v0.1/servers`) without a token and from any web page, as VS
    /// Code, GitHub Copilot and Docker do.
    #[arg(long, help_heading = "Access", env = "PAULINA_PUBLIC_CATALOG")]
    pub(crate) public_catalog: bool,

    /// Namespace that this API gives to server names without one.
    #[arg(
        long,
        help_heading = "Access",
        env = "PAULINA_CATALOG_NAMESPACE",
        default_value = NAMESPACE,
        value_name = "NAMESPACE",
        value_parser = parse_namespace
    )]
    pub(crate) catalog_namespace: String,

    /// Allow reads without a token, even if tokens exist.
    #[arg(long, help_heading = "Access", env = "PAULINA_ANONYMOUS_READ")]
    pub(crate) anonymous_read: bool,

    /// Listen on an address that is not loopback even if no token exists. Anyone who can reach the address can then
    /// register, replace and delete servers.
    #[arg(long, help_heading = "Access", env = "PAULINA_ALLOW_UNAUTHENTICATED")]
    pub(crate) allow_unauthenticated: bool,

    /// Maximum number of connections. When it is reached, a connection that has never completed a request is closed, or
    /// else the one that has been idle longest.
    #[arg(
        long,
        help_heading = "Limits",
        env = "PAULINA_MAX_CONNECTIONS",
        default_value_t = DEFAULT.connections,
        value_name = "COUNT"
    )]
    pub(crate) max_connections: usize,

    /// Maximum number of concurrent requests; more get 503. Refreshes have a separate limit of the same size.
    #[arg(
        long,
        help_heading = "Limits",
        env = "PAULINA_MAX_REQUESTS",
        default_value_t = DEFAULT.requests,
        value_name = "COUNT"
    )]
    pub(crate) max_requests: usize,

    /// Maximum number of open streams at `/v1/watch` and `/mcp`; more get 503.
    #[arg(
        long,
        help_heading = "Limits",
        env = "PAULINA_MAX_WATCHERS",
        default_value_t = DEFAULT.watchers,
        value_name = "COUNT"
    )]
    pub(crate) max_watchers: usize,

    /// Maximum size of a request body, in bytes.
    #[arg(
        long,
        help_heading = "Limits",
        env = "PAULINA_MAX_BODY_BYTES",
        default_value_t = DEFAULT.body_bytes,
        value_name = "BYTES"
    )]
    pub(crate) max_body_bytes: usize,

    /// Maximum size of all request bodies and large responses in memory, in bytes; more get 503. Refreshes have a separate
    /// limit of the same size.
    #[arg(
        long,
        help_heading = "Limits",
        env = "PAULINA_MAX_IN_FLIGHT_BYTES",
        default_value_t = DEFAULT.memory_bytes,
        value_name = "BYTES"
    )]
    pub(crate) max_in_flight_bytes: usize,

    /// Time limit for receiving the header of a request.
    #[arg(
        long,
        help_heading = "Timeouts",
        env = "PAULINA_HEADER_TIMEOUT",
        default_value = "10s",
        value_name = "DURATION",
        value_parser = parse_duration
    )]
    pub(crate) header_timeout: Duration,

    /// Time limit for receiving a request body.
    #[arg(
        long,
        help_heading = "Timeouts",
        env = "PAULINA_BODY_TIMEOUT",
        default_value = "10s",
        value_name = "DURATION",
        value_parser = parse_duration
    )]
    pub(crate) body_timeout: Duration,

    /// Time limit for a whole request.
    #[arg(
        long,
        help_heading = "Timeouts",
        env = "PAULINA_REQUEST_TIMEOUT",
        default_value = "30s",
        value_name = "DURATION",
        value_parser = parse_duration
    )]
    pub(crate) request_timeout: Duration,

    /// How long a client may read nothing of a response.
    #[arg(
        long,
        help_heading = "Timeouts",
        env = "PAULINA_WRITE_TIMEOUT",
        default_value = "30s",
        value_name = "DURATION",
        value_parser = parse_duration
    )]
    pub(crate) write_timeout: Duration,

    /// How long a connection may wait for its next request.
    #[arg(
        long,
        help_heading = "Timeouts",
        env = "PAULINA_IDLE_TIMEOUT",
        default_value = "90s",
        value_name = "DURATION",
        value_parser = parse_duration
    )]
    pub(crate) idle_timeout: Duration,

    /// How long running requests may take to finish after SIGTERM or SIGINT.
    #[arg(
        long,
        help_heading = "Timeouts",
        env = "PAULINA_SHUTDOWN_TIMEOUT",
        default_value = "10s",
        value_name = "DURATION",
        value_parser = parse_duration
    )]
    pub(crate) shutdown_timeout: Duration,

    /// Format of log lines.
    #[arg(long, help_heading = "Logging", env = "PAULINA_LOG_FORMAT", default_value = "text", value_enum)]
    pub(crate) log_format: LogFormat,

    /// Log level: error, warn, info, debug or trace, or a list of target=level.
    #[arg(
        long,
        help_heading = "Logging",
        env = "PAULINA_LOG_LEVEL",
        default_value = "info",
        value_name = "LEVEL"
    )]
    pub(crate) log_level: String,
}

/// The address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Listen {
    /// An address and port.
    Address(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// An invalid listen address.
#[derive(Debug, thiserror::Error)]
#[error("invalid --listen address {0:?}; write it like 127.0.0.1:7285, [::1]:7285 or unix:/run/paulina.sock")]
pub(crate) struct ListenError(String);

/// Limits that contradict each other.
#[derive(Debug, thiserror::Error)]
#[error(
    "--max-in-flight-bytes {memory_bytes} is less than --max-body-bytes {body_bytes}: the largest bodies would never be \
     accepted. Raise the first or lower the second"
)]
pub(crate) struct LimitsError {
    memory_bytes: usize,
    body_bytes: usize,
}

impl Config {
    /// Returns the address to listen on.
    pub(crate) fn listen_address(&self) -> Result<Listen, ListenError> {
        if let Some(path) = self.listen.strip_prefix("unix:").filter(|path| !path.is_empty()) {
            return Ok(Listen::Unix(path.into()));
        }
        let addresses = self.listen.to_socket_addrs();
        let address = addresses.ok().and_then(|mut addresses| addresses.next());
        address.map(Listen::Address).ok_or_else(|| ListenError(self.listen.clone()))
    }

    /// Returns the limits for clients.
    pub(crate) fn limits(&self) -> Result<Limits, LimitsError> {
        if self.max_in_flight_bytes < self.max_body_bytes {
            return Err(LimitsError {
                memory_bytes: self.max_in_flight_bytes,
                body_bytes: self.max_body_bytes,
            });
        }
        Ok(Limits {
            connections: self.max_connections,
            requests: self.max_requests,
            watchers: self.max_watchers,
            body_bytes: self.max_body_bytes,
            memory_bytes: self.max_in_flight_bytes,
            header_time: self.header_timeout,
            body_time: self.body_timeout,
            request_time: self.request_timeout,
            write_time: self.write_timeout,
            idle_time: self.idle_timeout,
        })
    }
}

impl Listen {
    /// Returns whether other machines can reach the address.
    pub(crate) fn is_public(&self) -> bool {
        matches!(self, Self::Address(address) if !address.ip().is_loopback())
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(formatter),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        config: Config,
    }

    fn parse(arguments: &[&str]) -> Result<Config, clap::Error> {
        Arguments::try_parse_from([&["serve"], arguments].concat()).map(|arguments| arguments.config)
    }

    #[test]
    fn the_flags_have_the_defaults_of_the_library() {
        let limits = parse(&[]).unwrap().limits().unwrap();
        assert_eq!(format!("{limits:?}"), format!("{:?}", Limits::default()));
    }

    #[test]
    fn listen_addresses_are_parsed() {
        let parse_address = |text| parse(&["--listen", text]).unwrap().listen_address();
        assert_eq!(parse_address("unix:/run/p.sock").unwrap(), Listen::Unix("/run/p.sock".into()));
        for (text, public) in
            [("127.0.0.1:1", false), ("[::1]:1", false), ("0.0.0.0:1", true), ("[::]:1", true)]
        {
            assert_eq!(parse_address(text).unwrap().is_public(), public, "{text}");
        }
        for text in ["unix:", "7285", "localhost", "/run/p.sock"] {
            assert!(parse_address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn hosts_are_parsed_without_a_port() {
        for (written, host) in [
            ("Registry.example", "registry.example"),
            ("registry.example.", "registry.example."),
            ("192.0.2.7", "192.0.2.7"),
            ("2001:db8::7", "[2001:db8::7]"),
            ("[2001:db8::7]", "[2001:db8::7]"),
            ("my_host", "my_host"),
        ] {
            assert_eq!(parse(&["--allowed-host", written]).unwrap().allowed_host, [host], "{written}");
        }
        for wrong in ["registry.example:80", "http://registry.example", "", "[::1]:80", "a b", "a/b"] {
            assert!(parse(&["--allowed-host", wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_in_flight_limit_is_at_least_the_body_limit() {
        let limits = |body: &str, all: &str| {
            parse(&["--max-body-bytes", body, "--max-in-flight-bytes", all]).unwrap().limits()
        };
        assert_eq!(limits("100", "100").unwrap().memory_bytes, 100);
        assert!(
            limits("101", "100")
                .unwrap_err()
                .to_string()
                .contains("--max-in-flight-bytes 100 is less than --max-body-bytes 101")
        );
    }

    #[test]
    fn origins_are_parsed_as_browsers_send_them() {
        for origin in ["https://app.example", "http://localhost:3000"] {
            assert_eq!(parse(&["--allowed-origin", origin]).unwrap().allowed_origin, [origin]);
        }
        for wrong in
            ["*", "null", "app.example", "https://app.example/", "https://app.example:443", "file:///x"]
        {
            assert!(parse(&["--allowed-origin", wrong]).is_err(), "{wrong}");
        }
        assert!(parse(&["--tls-cert", "a.pem"]).is_err(), "a certificate needs its key");
    }
}
