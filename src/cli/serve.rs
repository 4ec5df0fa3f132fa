//! `paulina serve`.

use anyhow::{Context, bail};

use crate::config::{Config, Listen};
use crate::http::{Limits, Listener, Server};
use crate::registry::{Options, Registry};
use crate::{shutdown, telemetry};

/// Serves until a signal comes.
pub(super) fn run(config: Config) -> anyhow::Result<()> {
    telemetry::start(config.log_format, &config.log)
        .map_err(|error| anyhow::anyhow!("--log {:?}: {error}", config.log))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.context("cannot start the runtime")?.block_on(serve(config))
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let listen = config.listen()?;
    let closed = listen.is_public() && !config.insecure_open;
    if closed && !config.database.exists() {
        bail!(open_to_all(&listen));
    }
    let limits = config.limits()?;
    let signal = shutdown::signal().context("cannot wait for signals")?;
    let registry = Options::new()
        .prune_interval(config.prune_interval)
        .retention(config.retention)
        .answer_cache(config.answer_cache)
        .kept_changes(config.kept_changes)
        .kept_bytes(config.kept_bytes)
        .kept_time(config.kept_time)
        .open(&config.database)
        .await?;
    let result = until_signal(&config, &listen, limits, registry.clone(), signal).await;
    registry.close().await;
    if result.is_ok() {
        tracing::info!("stopped");
    }
    result
}

/// Listens under the lock of the database: two processes that start at once would take each other's socket.
async fn until_signal(
    config: &Config,
    listen: &Listen,
    limits: Limits,
    registry: Registry,
    signal: impl Future<Output = &'static str> + Send + 'static,
) -> anyhow::Result<()> {
    let closed = listen.is_public() && !config.insecure_open;
    if closed && registry.tokens()?.is_empty() {
        bail!(open_to_all(listen));
    }
    let listener = bind(listen, config)?;
    tracing::info!(
        address = %listener,
        database = %config.database.display(),
        version = env!("CARGO_PKG_VERSION"),
        "serving"
    );
    if closed && config.tls_cert.is_none() {
        tracing::warn!(
            "tokens go over the network in the clear; use --tls-cert and --tls-key, or a proxy that does"
        );
    }
    let stop = async {
        let name = signal.await;
        tracing::info!(signal = name, "stopping: running requests finish, new ones are refused");
    };
    let server = Server::new(registry, within_the_system(limits))
        .allowed_hosts(config.allowed_host.clone())
        .allowed_origins(config.allowed_origin.clone())
        .anonymous_read(config.anonymous_read)
        .tokens_required(closed);
    server.run(listener, stop, config.shutdown_timeout).await.context("the server failed")
}

fn bind(listen: &Listen, config: &Config) -> anyhow::Result<Listener> {
    let listener = match listen {
        Listen::Address(address) => Listener::tcp(*address).with_context(|| {
            format!("cannot listen on {address}; is it in use? Choose another with --listen")
        })?,
        #[cfg(unix)]
        Listen::Unix(path) => Listener::unix(path).with_context(|| {
            format!("cannot listen on the socket {}; choose another with --listen unix:PATH", path.display())
        })?,
        #[cfg(not(unix))]
        Listen::Unix(path) => bail!("there are no Unix sockets here: {}", path.display()),
    };
    match (&config.tls_cert, &config.tls_key) {
        (Some(certificate), Some(key)) => Ok(listener.tls(certificate, key)?),
        _ => Ok(listener),
    }
}

/// As many connections as the system has file descriptors for, once the soft limit is raised to the hard one.
#[cfg(unix)]
fn within_the_system(limits: Limits) -> Limits {
    /// For the database, the runtime and the log.
    const OTHERS: u64 = 64;
    let Ok(files) = rlimit::increase_nofile_limit(rlimit::INFINITY) else { return limits };
    let most = usize::try_from(files.saturating_sub(OTHERS)).unwrap_or(usize::MAX).max(1);
    if most < limits.connections {
        tracing::info!(
            connections = most,
            "the system allows fewer connections than --max-connections; raise its limit of open files (ulimit -n)"
        );
    }
    Limits { connections: limits.connections.min(most), ..limits }
}

#[cfg(not(unix))]
fn within_the_system(limits: Limits) -> Limits {
    limits
}

fn open_to_all(listen: &Listen) -> String {
    format!(
        "{listen} is not a loopback address, and there is no token: anybody who reaches it could register, replace and \
         delete servers. Make one with `paulina token create`, listen on 127.0.0.1, or accept that with --insecure-open"
    )
}
