//! What `paulina serve` can be told, by flags and by environment variables of the same names.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::http::{Limits, NAMESPACE, is_namespace};
use crate::registry::{ANSWER_BYTES, KEPT};
use crate::telemetry::LogFormat;

/// Its durations stand as text with the flags, and a test holds the two equal.
const DEFAULT: Limits = Limits::DEFAULT;

/// An origin as browsers send it, RFC 6454: scheme, host and port, and nothing behind.
fn origin(text: &str) -> Result<String, String> {
    let parsed = url::Url::parse(text).map_err(|error| error.to_string())?;
    let origin = parsed.origin().ascii_serialization();
    if matches!(parsed.scheme(), "http" | "https") && origin == text {
        Ok(origin)
    } else {
        Err("write it like https://app.example or http://localhost:3000, without a slash at the end"
            .to_owned())
    }
}

/// A host as the header `Host` has it, RFC 9110, section 7.2, without a port.
fn host(text: &str) -> Result<String, String> {
    let host = match text.parse::<Ipv6Addr>() {
        Ok(address) => format!("[{address}]"),
        Err(_) => text.to_ascii_lowercase(),
    };
    match url::Host::parse(host.trim_end_matches('.')) {
        Ok(parsed) if parsed.to_string() == host.trim_end_matches('.') => Ok(host),
        _ => Err("write a name like registry.example, or an address, without scheme and port".to_owned()),
    }
}

/// What stands before the slash of a name in the official registry's API.
fn namespace(text: &str) -> Result<String, String> {
    if is_namespace(text) {
        Ok(text.to_owned())
    } else {
        Err("write it like com.example, of letters, digits, dots and hyphens".to_owned())
    }
}

/// A time like 500ms, 30s or 5m.
pub(crate) fn duration(text: &str) -> Result<Duration, humantime::DurationError> {
    humantime::parse_duration(text)
}

/// Serve a registry over HTTP.
///
/// Durations are written like 500ms, 30s or 5m. Each flag can be given as the environment variable beside it.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct Config {
    /// Where to listen: an address and a port, or `unix:` and the path of a socket that only this user may connect to.
    /// Port 0 takes a free one.
    #[arg(
        long,
        env = "PAULINA_LISTEN",
        default_value = "127.0.0.1:7285",
        value_name = "ADDRESS:PORT|unix:PATH"
    )]
    pub(crate) listen: String,

    /// The SQLite database, created if there is none. `:memory:` keeps nothing.
    #[arg(long, env = "PAULINA_DATABASE", default_value = "paulina.db", value_name = "FILE")]
    pub(crate) database: PathBuf,

    /// Where to restore the database from, if there is none: a replica of `paulina replicate`, `file:///srv/replica` or
    /// `s3://bucket/path`. Takes Litestream.
    #[arg(long, env = "PAULINA_RESTORE_FROM", value_name = "URL")]
    pub(crate) restore_from: Option<String>,

    /// While there is no database, be a standby: restore it again and again, and answer reads alone, until promoted
    /// (`paulina promote`, or SIGUSR1). Once there is a database, this registry is a primary.
    #[arg(long, env = "PAULINA_STANDBY", requires = "restore_from")]
    pub(crate) standby: bool,

    /// How often a standby restores. It rests at least ten times as long as a restore takes.
    #[arg(long, env = "PAULINA_RESTORE_INTERVAL", default_value = "5s", value_name = "DURATION", value_parser = duration)]
    pub(crate) restore_interval: Duration,

    /// The other registry of a pair. A standby names it to those who want to write; neither becomes a primary while the
    /// other one answers as one.
    #[arg(long, env = "PAULINA_PEER", value_name = "URL")]
    pub(crate) peer: Option<String>,

    /// The program Litestream, 0.5.17 or newer.
    #[arg(long, env = "PAULINA_LITESTREAM", default_value = "litestream", value_name = "PROGRAM")]
    pub(crate) litestream: PathBuf,

    /// How often leases that have run out are looked for.
    #[arg(long, env = "PAULINA_PRUNE_INTERVAL", default_value = "1s", value_name = "DURATION", value_parser = duration)]
    pub(crate) prune_interval: Duration,

    /// How long an unhealthy server stays before it is deleted; until then `healthy=false` and `healthy=any` show it.
    #[arg(long, env = "PAULINA_RETENTION", default_value = "0s", value_name = "DURATION", value_parser = duration)]
    pub(crate) retention: Duration,

    /// How many bytes of memory answers may take that are kept to be given again. With 0 every answer is made anew.
    #[arg(long, env = "PAULINA_ANSWER_CACHE", default_value_t = ANSWER_BYTES, value_name = "BYTES")]
    pub(crate) answer_cache: u64,

    /// How many changes are kept for watchers that resume.
    #[arg(long, env = "PAULINA_KEPT_CHANGES", default_value_t = KEPT.rows, value_name = "COUNT")]
    pub(crate) kept_changes: u64,

    /// How many bytes of summaries are kept in changes.
    #[arg(long, env = "PAULINA_KEPT_BYTES", default_value_t = KEPT.bytes, value_name = "BYTES")]
    pub(crate) kept_bytes: u64,

    /// How long changes are kept.
    #[arg(long, env = "PAULINA_KEPT_TIME", default_value = "7days", value_name = "DURATION", value_parser = duration)]
    pub(crate) kept_time: Duration,

    /// A name or address beside loopback and the listen address that the `Host` of a request may say, with any port. Can be
    /// given again.
    #[arg(long, env = "PAULINA_ALLOWED_HOST", value_name = "NAME", value_delimiter = ',', value_parser = host)]
    pub(crate) allowed_host: Vec<String>,

    /// An origin beside the registry's own whose web pages may ask, like `https://app.example`: they alone get CORS headers.
    /// Can be given again.
    #[arg(long, env = "PAULINA_ALLOWED_ORIGIN", value_name = "ORIGIN", value_delimiter = ',', value_parser = origin)]
    pub(crate) allowed_origin: Vec<String>,

    /// Let everybody read the API of the official MCP registry (`/v0.1/servers`), without a token and from any web page, as
    /// VS Code, GitHub Copilot and Docker do.
    #[arg(long, env = "PAULINA_PUBLIC_CATALOG")]
    pub(crate) public_catalog: bool,

    /// The namespace of names that have none, in that API.
    #[arg(long, env = "PAULINA_CATALOG_NAMESPACE", default_value = NAMESPACE, value_name = "NAMESPACE", value_parser = namespace)]
    pub(crate) catalog_namespace: String,

    /// Let everybody read although there are tokens.
    #[arg(long, env = "PAULINA_ANONYMOUS_READ")]
    pub(crate) anonymous_read: bool,

    /// Listen on an address that is not loopback although there is no token, so that anybody there may register, replace
    /// and delete.
    #[arg(long, env = "PAULINA_INSECURE_OPEN")]
    pub(crate) insecure_open: bool,

    /// Speak TLS with this certificate chain, a PEM file.
    #[arg(long, env = "PAULINA_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,

    /// The private key of the certificate, a PEM file.
    #[arg(long, env = "PAULINA_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,

    /// How many connections there may be. One more closes one that has never sent a whole request, or else the one that
    /// has been waiting longest for its next one.
    #[arg(long, env = "PAULINA_MAX_CONNECTIONS", default_value_t = DEFAULT.connections, value_name = "COUNT")]
    pub(crate) max_connections: usize,

    /// How many requests are handled at once; more get 503. Refreshes have as many places of their own.
    #[arg(long, env = "PAULINA_MAX_REQUESTS", default_value_t = DEFAULT.requests, value_name = "COUNT")]
    pub(crate) max_requests: usize,

    /// How many may watch `/v1/watch` or listen at `/mcp` at once; more get 503.
    #[arg(long, env = "PAULINA_MAX_WATCHERS", default_value_t = DEFAULT.watchers, value_name = "COUNT")]
    pub(crate) max_watchers: usize,

    /// The largest body, in bytes.
    #[arg(long, env = "PAULINA_MAX_BODY", default_value_t = DEFAULT.body_bytes, value_name = "BYTES")]
    pub(crate) max_body: usize,

    /// How many bytes of bodies and large answers may be in memory at once; more get 503. Refreshes have as many of their
    /// own.
    #[arg(long, env = "PAULINA_MAX_IN_FLIGHT", default_value_t = DEFAULT.memory_bytes, value_name = "BYTES")]
    pub(crate) max_in_flight: usize,

    /// How long the header of a request may take to arrive.
    #[arg(long, env = "PAULINA_HEADER_TIMEOUT", default_value = "10s", value_name = "DURATION", value_parser = duration)]
    pub(crate) header_timeout: Duration,

    /// How long a body may take to arrive.
    #[arg(long, env = "PAULINA_BODY_TIMEOUT", default_value = "10s", value_name = "DURATION", value_parser = duration)]
    pub(crate) body_timeout: Duration,

    /// How long a request may take in all.
    #[arg(long, env = "PAULINA_REQUEST_TIMEOUT", default_value = "30s", value_name = "DURATION", value_parser = duration)]
    pub(crate) request_timeout: Duration,

    /// How long a client may take nothing of an answer.
    #[arg(long, env = "PAULINA_WRITE_TIMEOUT", default_value = "30s", value_name = "DURATION", value_parser = duration)]
    pub(crate) write_timeout: Duration,

    /// How long a connection may wait for its next request.
    #[arg(long, env = "PAULINA_IDLE_TIMEOUT", default_value = "90s", value_name = "DURATION", value_parser = duration)]
    pub(crate) idle_timeout: Duration,

    /// How long running requests may take to finish after SIGTERM or SIGINT.
    #[arg(long, env = "PAULINA_SHUTDOWN_TIMEOUT", default_value = "10s", value_name = "DURATION", value_parser = duration)]
    pub(crate) shutdown_timeout: Duration,

    /// How log lines look.
    #[arg(long, env = "PAULINA_LOG_FORMAT", default_value = "text", value_enum)]
    pub(crate) log_format: LogFormat,

    /// How much is logged: error, warn, info, debug or trace, or a list of target=level.
    #[arg(long, env = "PAULINA_LOG", default_value = "info", value_name = "LEVEL")]
    pub(crate) log: String,
}

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Listen {
    /// An address and port.
    Address(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// Not a place to listen: write it as the message says.
#[derive(Debug, thiserror::Error)]
#[error("--listen {0:?} is no address; write it like 127.0.0.1:7285, [::1]:7285 or unix:/run/paulina.sock")]
pub(crate) struct ListenError(String);

/// The limits contradict each other: raise the one, or lower the other.
#[derive(Debug, thiserror::Error)]
#[error(
    "--max-in-flight {memory_bytes} is less than --max-body {body_bytes}: the largest bodies would never be taken. Raise \
     the one, or lower the other"
)]
pub(crate) struct LimitsError {
    memory_bytes: usize,
    body_bytes: usize,
}

impl Config {
    /// Where to listen.
    pub(crate) fn listen(&self) -> Result<Listen, ListenError> {
        if let Some(path) = self.listen.strip_prefix("unix:").filter(|path| !path.is_empty()) {
            return Ok(Listen::Unix(path.into()));
        }
        let addresses = self.listen.to_socket_addrs();
        let address = addresses.ok().and_then(|mut addresses| addresses.next());
        address.map(Listen::Address).ok_or_else(|| ListenError(self.listen.clone()))
    }

    /// What to take from clients.
    pub(crate) fn limits(&self) -> Result<Limits, LimitsError> {
        if self.max_in_flight < self.max_body {
            return Err(LimitsError { memory_bytes: self.max_in_flight, body_bytes: self.max_body });
        }
        Ok(Limits {
            connections: self.max_connections,
            requests: self.max_requests,
            watchers: self.max_watchers,
            body_bytes: self.max_body,
            memory_bytes: self.max_in_flight,
            header_time: self.header_timeout,
            body_time: self.body_timeout,
            request_time: self.request_timeout,
            write_time: self.write_timeout,
            idle_time: self.idle_timeout,
        })
    }
}

impl Listen {
    /// Whether others than this machine's users can reach it.
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
    fn places_to_listen() {
        let at = |text| parse(&["--listen", text]).unwrap().listen();
        assert_eq!(at("unix:/run/p.sock").unwrap(), Listen::Unix("/run/p.sock".into()));
        for (text, public) in
            [("127.0.0.1:1", false), ("[::1]:1", false), ("0.0.0.0:1", true), ("[::]:1", true)]
        {
            assert_eq!(at(text).unwrap().is_public(), public, "{text}");
        }
        for text in ["unix:", "7285", "localhost", "/run/p.sock"] {
            assert!(at(text).is_err(), "{text}");
        }
    }

    #[test]
    fn hosts_are_written_without_port() {
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
    fn bodies_fit_into_what_may_be_in_flight() {
        let limits =
            |body: &str, all: &str| parse(&["--max-body", body, "--max-in-flight", all]).unwrap().limits();
        assert_eq!(limits("100", "100").unwrap().memory_bytes, 100);
        assert!(
            limits("101", "100")
                .unwrap_err()
                .to_string()
                .contains("--max-in-flight 100 is less than --max-body 101")
        );
    }

    #[test]
    fn origins_are_written_as_browsers_send_them() {
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
