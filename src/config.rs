//! What `paulina serve` can be told, by flags and by environment variables of the same names.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::http::Limits;
use crate::registry::ANSWER_BYTES;
use crate::telemetry::LogFormat;

fn duration(text: &str) -> Result<Duration, humantime::DurationError> {
    humantime::parse_duration(text)
}

/// Serve a registry over HTTP.
///
/// Durations are written like 500ms, 30s or 5m. Each flag can be given as the environment variable beside it.
#[derive(Debug, Args)]
pub(crate) struct Config {
    /// Where to listen: an address and a port. Port 0 takes a free one.
    #[arg(long, env = "PAULINA_LISTEN", default_value = "127.0.0.1:7285", value_name = "ADDRESS:PORT")]
    pub(crate) listen: String,

    /// The SQLite database, created if there is none. `:memory:` keeps nothing.
    #[arg(long, env = "PAULINA_DATABASE", default_value = "paulina.db", value_name = "FILE")]
    pub(crate) database: PathBuf,

    /// How often leases that have run out are looked for.
    #[arg(long, env = "PAULINA_PRUNE_INTERVAL", default_value = "1s", value_name = "DURATION", value_parser = duration)]
    pub(crate) prune_interval: Duration,

    /// How long an unhealthy server stays before it is deleted; until then `healthy=false` and `healthy=any` show it.
    #[arg(long, env = "PAULINA_RETENTION", default_value = "0s", value_name = "DURATION", value_parser = duration)]
    pub(crate) retention: Duration,

    /// How many bytes of memory answers may take that are kept to be given again. With 0 every answer is made anew.
    #[arg(long, env = "PAULINA_ANSWER_CACHE", default_value_t = ANSWER_BYTES, value_name = "BYTES")]
    pub(crate) answer_cache: u64,

    /// A name beside loopback and the listen address that the `Host` of a request may say. Can be given again.
    #[arg(long, env = "PAULINA_ALLOWED_HOST", value_name = "NAME", value_delimiter = ',')]
    pub(crate) allowed_host: Vec<String>,

    /// Listen on an address that is not loopback although anybody there may then register, replace and delete.
    #[arg(long, env = "PAULINA_INSECURE_OPEN")]
    pub(crate) insecure_open: bool,

    /// The largest body, in bytes.
    #[arg(long, env = "PAULINA_MAX_BODY", default_value_t = 4 * 1024 * 1024, value_name = "BYTES")]
    pub(crate) max_body: usize,

    /// How long the header of a request may take to arrive, and how long a connection may idle.
    #[arg(long, env = "PAULINA_HEADER_TIMEOUT", default_value = "30s", value_name = "DURATION", value_parser = duration)]
    pub(crate) header_timeout: Duration,

    /// How long a body may take to arrive.
    #[arg(long, env = "PAULINA_BODY_TIMEOUT", default_value = "10s", value_name = "DURATION", value_parser = duration)]
    pub(crate) body_timeout: Duration,

    /// How long a request may take in all.
    #[arg(long, env = "PAULINA_REQUEST_TIMEOUT", default_value = "30s", value_name = "DURATION", value_parser = duration)]
    pub(crate) request_timeout: Duration,

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

/// Why an address is not listened on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AddressError {
    /// Not an address: write it as the message says.
    #[error("--listen {0:?} is no address; write it like 127.0.0.1:7285 or [::1]:7285")]
    Unreadable(String),
    /// Others can reach it, and nothing would keep them out: choose another, or accept it.
    #[error(
        "{0} is not a loopback address, and anybody who reaches it could register, replace and delete servers. Listen \
         on 127.0.0.1, or accept that with --insecure-open"
    )]
    Open(SocketAddr),
}

impl Config {
    /// Where to listen. An address that others can reach is refused, since there is nothing yet that would keep them
    /// out.
    pub(crate) fn address(&self) -> Result<SocketAddr, AddressError> {
        let addresses = self.listen.to_socket_addrs();
        let address = addresses.ok().and_then(|mut addresses| addresses.next());
        let address = address.ok_or_else(|| AddressError::Unreadable(self.listen.clone()))?;
        if address.ip().is_loopback() || self.insecure_open {
            Ok(address)
        } else {
            Err(AddressError::Open(address))
        }
    }

    /// What to take from clients.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            body_bytes: self.max_body,
            body_time: self.body_timeout,
            header_time: self.header_timeout,
            request_time: self.request_timeout,
        }
    }
}
