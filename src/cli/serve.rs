//! `paulina serve`.

use anyhow::{Context, bail};

use axum::body::Body;
use axum::extract::Request;
use futures_util::FutureExt;
use sd_notify::NotifyState;
use tower::ServiceExt;

use super::replica::{
    Asked, Keeper, Litestream, Peer, Promotions, Replica, forget, promotions, restore_if_missing,
};
use crate::config::{Config, Listen};
use crate::http::{Limits, Listener, Server};
use crate::registry::{Options, Registry};
use crate::{mcp, shutdown, telemetry};

/// Serves until a signal comes.
pub(super) fn run(config: Config) -> anyhow::Result<()> {
    telemetry::start(config.log_format, &config.log)
        .map_err(|error| anyhow::anyhow!("--log {:?}: {error}", config.log))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.context("cannot start the runtime")?.block_on(serve(config))
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let service = Service {
        listen: config.listen()?,
        limits: config.limits()?,
        peer: config.peer.as_deref().map(Peer::new).transpose()?,
        config,
    };
    let signal = shutdown::signal().context("cannot wait for signals")?;
    let mut signal = Box::pin(signal);
    let promotion = shutdown::promotion().context("cannot wait for SIGUSR1")?;
    let (promotions, asked) = promotions();
    // What restores may be stopped at any time; it may be waiting for something to restore.
    let restored = tokio::select! {
        biased;
        restored = service.restore(asked) => restored?,
        name = &mut signal => {
            tracing::info!(signal = name, "stopped");
            return Ok(());
        }
    };
    let registry = match restored {
        Some(standby) => standby,
        None => service.options().open(&service.config.database).await?,
    };
    let result = service.until(signal, &registry, promotions, promotion).await;
    registry.close().await;
    if result.is_ok() {
        tracing::info!("stopped");
    }
    result
}

/// What is served, and how.
struct Service {
    config: Config,
    listen: Listen,
    limits: Limits,
    peer: Option<Peer>,
}

impl Service {
    /// Whether nobody is to be let in while there is no token.
    fn is_closed(&self) -> bool {
        self.listen.is_public() && !self.config.insecure_open
    }

    fn options(&self) -> Options {
        let options = Options::new()
            .prune_interval(self.config.prune_interval)
            .retention(self.config.retention)
            .answer_cache(self.config.answer_cache)
            .kept_changes(self.config.kept_changes)
            .kept_bytes(self.config.kept_bytes)
            .kept_time(self.config.kept_time);
        self.config.peer.iter().fold(options, Options::primary)
    }

    /// Restores the database that a primary lacks; or gives a standby that has restored its first copy. Whoever has a database
    /// is a primary.
    async fn restore(&self, asked: Asked) -> anyhow::Result<Option<Registry>> {
        let database = &self.config.database;
        if self.peer.is_none() {
            forget(database)?;
        }
        let missing = !database.exists();
        if let Some(url) = self.config.restore_from.as_deref().filter(|_| missing) {
            let replica = Replica::new(Litestream::at(&self.config.litestream).await?, url);
            if self.config.standby {
                let interval = self.config.restore_interval;
                let mut keeper = Keeper::new(replica, database, interval, self.peer.clone()).await?;
                let standby = keeper.first(self.options()).await?;
                let registry = standby.registry();
                tokio::spawn(keeper.keep(standby, asked));
                return Ok(Some(registry));
            }
            if let Some(peer) = &self.peer {
                peer.leaves_room(database).await?;
            }
            restore_if_missing(&replica, database).await?;
        } else {
            if missing && self.is_closed() {
                bail!(open_to_all(&self.listen));
            }
            if let Some(peer) = &self.peer {
                peer.leaves_room(database).await?;
            }
            if self.config.standby {
                tracing::warn!(database = %database.display(), "there is a database: a primary, although --standby is given");
            }
        }
        Ok(None)
    }

    /// Listens under the lock of the database: two processes that start at once would take each other's socket.
    async fn until(
        &self,
        signal: impl Future<Output = &'static str> + Send + 'static,
        registry: &Registry,
        promotions: Promotions,
        promotion: shutdown::Promotion,
    ) -> anyhow::Result<()> {
        if self.is_closed() && registry.tokens()?.is_empty() {
            bail!(open_to_all(&self.listen));
        }
        let listener = bind(&self.listen, &self.config)?;
        tracing::info!(
            address = %listener,
            database = %self.config.database.display(),
            role = if registry.is_standby() { "standby" } else { "primary" },
            version = env!("CARGO_PKG_VERSION"),
            "serving"
        );
        if self.is_closed() && self.config.tls_cert.is_none() {
            tracing::warn!(
                "tokens go over the network in the clear; use --tls-cert and --tls-key, or a proxy that does"
            );
        }
        let promoting = promotions.clone();
        let (mcp, end_mcp) = mcp::serve::service(registry.clone(), self.limits.body_bytes);
        let mcp = ServiceExt::<Request>::map_response(mcp, |response| response.map(Body::new));
        let server = Server::new(registry.clone(), within_the_system(self.limits))
            .allowed_hosts(self.config.allowed_host.clone())
            .allowed_origins(self.config.allowed_origin.clone())
            .anonymous_read(self.config.anonymous_read)
            .public_catalogue(self.config.public_catalog)
            .catalogue_namespace(&self.config.catalog_namespace)
            .tokens_required(self.is_closed())
            .mount("/mcp", mcp)
            .promoted_by(move |force| {
                let promoting = promoting.clone();
                async move { promoting.ask(force).await }
            });
        let mut promotion = promotion;
        if promotion.next().now_or_never().is_some() {
            tracing::warn!("SIGUSR1 came before there was anything to promote: send it again");
        }
        let asked = tokio::spawn(when_asked(registry.clone(), promotions, promotion));
        tell(&[NotifyState::Ready]);
        let stop = async move {
            let name = signal.await;
            tell(&[NotifyState::Stopping]);
            end_mcp();
            tracing::info!(signal = name, "stopping: running requests finish, new ones are refused");
        };
        let ended = server.run(listener, stop, self.config.shutdown_timeout).await;
        asked.abort();
        ended.context("the server failed")
    }
}

/// Has a standby promoted when SIGUSR1 comes.
async fn when_asked(registry: Registry, promotions: Promotions, mut signal: shutdown::Promotion) {
    loop {
        signal.next().await;
        if !registry.is_standby() {
            tracing::warn!("SIGUSR1: this registry is a primary already");
        } else if let Err(reason) = promotions.ask(false).await {
            tracing::error!("not promoted: {reason}");
        }
    }
}

/// Tells systemd, or whoever has started this and wants to know (`NOTIFY_SOCKET`).
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot tell the service manager");
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
