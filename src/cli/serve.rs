//! The command `paulina serve`.

use anyhow::{Context, bail};

use axum::body::Body;
use axum::extract::Request;
use futures_util::FutureExt;
use sd_notify::NotifyState;
use tower::ServiceExt;

use super::replica::{
    Litestream, Peer, PromotionRequests, PromotionSender, Replica, StandbyRestorer, forget_superseded,
    promotion_channel, restore_if_missing,
};
use crate::config::{Config, Listen};
use crate::http::{HttpServer, Limits, Listener};
use crate::registry::{Options, Registry};
use crate::{mcp, shutdown, telemetry};

/// Serves until a stop signal arrives.
pub(super) fn run(config: Config) -> anyhow::Result<()> {
    telemetry::init(config.log_format, &config.log_level)
        .map_err(|error| anyhow::anyhow!("--log-level {:?}: {error}", config.log_level))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.context("cannot start the runtime")?.block_on(serve(config))
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let setup = Setup {
        listen: config.listen_address()?,
        limits: config.limits()?,
        peer: config.peer.as_deref().map(Peer::new).transpose()?,
        config,
    };
    let signal = shutdown::signal().context("cannot wait for signals")?;
    let mut signal = Box::pin(signal);
    let promotion_signal = shutdown::promotion_signal().context("cannot wait for SIGUSR1")?;
    let (promotion_sender, promotion_requests) = promotion_channel();
    // A restore can be interrupted at any time; it may be waiting for an empty replica.
    let standby = tokio::select! {
        biased;
        standby = setup.prepare_database(promotion_requests) => standby?,
        name = &mut signal => {
            tracing::info!(signal = name, "stopped");
            return Ok(());
        }
    };
    let registry = match standby {
        Some(standby) => standby,
        None => setup.registry_options().open(&setup.config.database).await?,
    };
    let result = setup.serve_until(signal, &registry, promotion_sender, promotion_signal).await;
    registry.close().await;
    if result.is_ok() {
        tracing::info!("stopped");
    }
    result
}

/// The configuration, with its parsed parts.
struct Setup {
    config: Config,
    listen: Listen,
    limits: Limits,
    peer: Option<Peer>,
}

impl Setup {
    /// Returns whether requests require a token even if none exists.
    fn requires_token(&self) -> bool {
        self.listen.is_public() && !self.config.allow_unauthenticated
    }

    fn registry_options(&self) -> Options {
        let options = Options::new()
            .prune_interval(self.config.prune_interval)
            .retention(self.config.retention)
            .cache_bytes(self.config.cache_bytes)
            .history_max_changes(self.config.history_max_changes)
            .history_max_bytes(self.config.history_max_bytes)
            .history_max_age(self.config.history_max_age);
        self.config.peer.iter().fold(options, Options::primary)
    }

    /// Restores a missing database, for a primary; or returns a standby once it has restored its first copy. A registry with a
    /// database is a primary.
    async fn prepare_database(
        &self,
        promotion_requests: PromotionRequests,
    ) -> anyhow::Result<Option<Registry>> {
        let database = &self.config.database;
        if self.peer.is_none() {
            forget_superseded(database)?;
        }
        let is_missing = !database.exists();
        if let Some(url) = self.config.restore_from.as_deref().filter(|_| is_missing) {
            let replica = Replica::new(Litestream::find(&self.config.litestream_bin).await?, url);
            if self.config.standby {
                let interval = self.config.restore_interval;
                let mut restorer =
                    StandbyRestorer::new(replica, database, interval, self.peer.clone()).await?;
                let standby = restorer.open_standby(self.registry_options()).await?;
                let registry = standby.registry();
                tokio::spawn(restorer.run(standby, promotion_requests));
                return Ok(Some(registry));
            }
            if let Some(peer) = &self.peer {
                peer.ensure_no_other_primary(database).await?;
            }
            restore_if_missing(&replica, database).await?;
        } else {
            if is_missing && self.requires_token() {
                bail!(unauthenticated_error(&self.listen));
            }
            if let Some(peer) = &self.peer {
                peer.ensure_no_other_primary(database).await?;
            }
            if self.config.standby {
                tracing::warn!(database = %database.display(), "a database exists, so starting as primary; ignoring --standby");
            }
        }
        Ok(None)
    }

    /// Serves the registry. Listens only while the database is locked: two processes that start at once would otherwise take
    /// each other's socket.
    async fn serve_until(
        &self,
        signal: impl Future<Output = &'static str> + Send + 'static,
        registry: &Registry,
        promotion_sender: PromotionSender,
        mut promotion_signal: shutdown::PromotionSignal,
    ) -> anyhow::Result<()> {
        if self.requires_token() && registry.tokens()?.is_empty() {
            bail!(unauthenticated_error(&self.listen));
        }
        let listener = bind(&self.listen, &self.config)?;
        tracing::info!(
            address = %listener,
            database = %self.config.database.display(),
            role = if registry.is_standby() { "standby" } else { "primary" },
            version = env!("CARGO_PKG_VERSION"),
            "serving"
        );
        if self.requires_token() && self.config.tls_cert.is_none() {
            tracing::warn!(
                "tokens are sent over the network unencrypted; use --tls-cert and --tls-key, or a TLS proxy"
            );
        }
        let handler_sender = promotion_sender.clone();
        let (mcp, stop_mcp) = mcp::serve::service(registry.clone(), self.limits.body_bytes);
        let mcp = ServiceExt::<Request>::map_response(mcp, |response| response.map(Body::new));
        let server = HttpServer::new(registry.clone(), within_file_limit(self.limits))
            .allowed_hosts(self.config.allowed_host.clone())
            .allowed_origins(self.config.allowed_origin.clone())
            .anonymous_read(self.config.anonymous_read)
            .public_catalog(self.config.public_catalog)
            .catalog_namespace(&self.config.catalog_namespace)
            .require_token(self.requires_token())
            .mount("/mcp", mcp)
            .on_promote(move |force| {
                let promotion_sender = handler_sender.clone();
                async move { promotion_sender.promote(force).await }
            });
        if promotion_signal.next().now_or_never().is_some() {
            tracing::warn!("SIGUSR1 arrived before the registry was ready to be promoted: send it again");
        }
        let promoter = tokio::spawn(promote_on_signal(registry.clone(), promotion_sender, promotion_signal));
        notify_service_manager(&[NotifyState::Ready]);
        let stop = async move {
            let name = signal.await;
            notify_service_manager(&[NotifyState::Stopping]);
            stop_mcp();
            tracing::info!(signal = name, "stopping: finishing running requests, rejecting new ones");
        };
        let result = server.run(listener, stop, self.config.shutdown_timeout).await;
        promoter.abort();
        result.context("the server failed")
    }
}

/// Promotes a standby on SIGUSR1.
async fn promote_on_signal(
    registry: Registry,
    promotion_sender: PromotionSender,
    mut signal: shutdown::PromotionSignal,
) {
    loop {
        signal.next().await;
        if !registry.is_standby() {
            tracing::warn!("SIGUSR1: this registry is already a primary");
        } else if let Err(reason) = promotion_sender.promote(false).await {
            tracing::error!("not promoted: {reason}");
        }
    }
}

/// Notifies systemd, or another service manager that has set `NOTIFY_SOCKET`.
fn notify_service_manager(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot notify the service manager");
    }
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
        Listen::Unix(path) => bail!("Unix sockets are not supported on this platform: {}", path.display()),
    };
    match (&config.tls_cert, &config.tls_key) {
        (Some(certificate), Some(key)) => Ok(listener.tls(certificate, key)?),
        _ => Ok(listener),
    }
}

/// Raises the soft limit of open files to the hard one, and lowers the connection limit to what it permits.
#[cfg(unix)]
fn within_file_limit(limits: Limits) -> Limits {
    /// File descriptors for the database, the runtime and the log.
    const RESERVED_FILES: u64 = 64;
    let Ok(files) = rlimit::increase_nofile_limit(rlimit::INFINITY) else { return limits };
    let available = usize::try_from(files.saturating_sub(RESERVED_FILES)).unwrap_or(usize::MAX).max(1);
    if available < limits.connections {
        tracing::info!(
            connections = available,
            "the limit of open files permits fewer connections than --max-connections; raise it (ulimit -n)"
        );
    }
    Limits { connections: limits.connections.min(available), ..limits }
}

#[cfg(not(unix))]
fn within_file_limit(limits: Limits) -> Limits {
    limits
}

fn unauthenticated_error(listen: &Listen) -> String {
    format!(
        "{listen} is not a loopback address, and no token exists: anyone who can reach it could register, replace and \
         delete servers. Create a token with `paulina token create`, listen on 127.0.0.1, or accept unauthenticated \
         requests with --allow-unauthenticated"
    )
}
