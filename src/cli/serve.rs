//! `paulina serve`.

use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;

use super::shutdown;
use super::telemetry::{self, LogFormat};
use crate::http::{Limits, Server};
use crate::registry::Options;

fn duration(text: &str) -> Result<Duration, humantime::DurationError> {
    humantime::parse_duration(text)
}

/// Serve a registry over HTTP.
///
/// Durations are written like 500ms, 30s or 5m. Each flag can be given as the environment variable beside it.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Where to listen: an address and a port. Port 0 takes a free one.
    #[arg(long, env = "PAULINA_LISTEN", default_value = "127.0.0.1:7285", value_name = "ADDRESS:PORT")]
    listen: String,

    /// The SQLite database, created if there is none. `:memory:` keeps nothing.
    #[arg(long, env = "PAULINA_DATABASE", default_value = "paulina.db", value_name = "FILE")]
    database: PathBuf,

    /// How often leases that have run out are looked for.
    #[arg(long, env = "PAULINA_PRUNE_INTERVAL", default_value = "1s", value_name = "DURATION", value_parser = duration)]
    prune_interval: Duration,

    /// How long an unhealthy server stays before it is deleted; until then `healthy=false` and `healthy=any` show it.
    #[arg(long, env = "PAULINA_RETENTION", default_value = "0s", value_name = "DURATION", value_parser = duration)]
    retention: Duration,

    /// A name beside loopback and the listen address that the `Host` of a request may say. Can be given again.
    #[arg(long, env = "PAULINA_ALLOWED_HOST", value_name = "NAME", value_delimiter = ',')]
    allowed_host: Vec<String>,

    /// Listen on an address that is not loopback although anybody there may then register, replace and delete.
    #[arg(long, env = "PAULINA_INSECURE_OPEN")]
    insecure_open: bool,

    /// The largest body, in bytes.
    #[arg(long, env = "PAULINA_MAX_BODY", default_value_t = 4 * 1024 * 1024, value_name = "BYTES")]
    max_body: usize,

    /// How long the header of a request may take to arrive, and how long a connection may idle.
    #[arg(long, env = "PAULINA_HEADER_TIMEOUT", default_value = "30s", value_name = "DURATION", value_parser = duration)]
    header_timeout: Duration,

    /// How long a body may take to arrive.
    #[arg(long, env = "PAULINA_BODY_TIMEOUT", default_value = "10s", value_name = "DURATION", value_parser = duration)]
    body_timeout: Duration,

    /// How long a request may take in all.
    #[arg(long, env = "PAULINA_REQUEST_TIMEOUT", default_value = "30s", value_name = "DURATION", value_parser = duration)]
    request_timeout: Duration,

    /// How long running requests may take to finish after SIGTERM or SIGINT.
    #[arg(long, env = "PAULINA_SHUTDOWN_TIMEOUT", default_value = "10s", value_name = "DURATION", value_parser = duration)]
    shutdown_timeout: Duration,

    /// How log lines look.
    #[arg(long, env = "PAULINA_LOG_FORMAT", default_value = "text", value_enum)]
    log_format: LogFormat,

    /// How much is logged: error, warn, info, debug or trace, or a list of target=level.
    #[arg(long, env = "PAULINA_LOG", default_value = "info", value_name = "LEVEL")]
    log: String,
}

impl Serve {
    pub(super) fn run(self) -> anyhow::Result<()> {
        telemetry::start(self.log_format, &self.log).context("--log")?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        runtime.context("cannot start the runtime")?.block_on(self.serve())
    }

    async fn serve(self) -> anyhow::Result<()> {
        let address = self.address()?;
        let listener = TcpListener::bind(address).with_context(|| {
            format!("cannot listen on {address}; is it in use? Choose another with --listen")
        })?;
        let signal = shutdown::signal().context("cannot wait for signals")?;
        let registry = Options::new()
            .prune_interval(self.prune_interval)
            .retention(self.retention)
            .open(&self.database)
            .await?;
        tracing::info!(
            address = %format_args!("http://{}", listener.local_addr()?),
            database = %self.database.display(),
            version = env!("CARGO_PKG_VERSION"),
            "serving"
        );
        let limits = Limits {
            body_bytes: self.max_body,
            body_time: self.body_timeout,
            header_time: self.header_timeout,
            request_time: self.request_timeout,
        };
        let stop = async {
            let name = signal.await;
            tracing::info!(signal = name, "stopping: running requests finish, new ones are refused");
        };
        let server = Server::new(registry.clone(), limits).allowed_hosts(self.allowed_host);
        let result = server.run(listener, stop, self.shutdown_timeout).await;
        registry.close().await;
        tracing::info!("stopped");
        result.context("the server failed")
    }

    /// Refuses an address that others can reach, since there is nothing yet that would keep them out.
    fn address(&self) -> anyhow::Result<SocketAddr> {
        let mut addresses = self.listen.to_socket_addrs().with_context(|| {
            format!("--listen {:?} is no address; write it like 127.0.0.1:7285 or [::1]:7285", self.listen)
        })?;
        let address =
            addresses.next().with_context(|| format!("--listen {:?} has no address", self.listen))?;
        if !address.ip().is_loopback() && !self.insecure_open {
            bail!(
                "{address} is not a loopback address, and anybody who reaches it could register, replace and delete \
                 servers. Listen on 127.0.0.1, or accept that with --insecure-open"
            );
        }
        Ok(address)
    }
}
