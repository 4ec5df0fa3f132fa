//! `paulina serve`.

use std::net::TcpListener;

use anyhow::Context;

use crate::config::Config;
use crate::http::Server;
use crate::registry::Options;
use crate::{shutdown, telemetry};

/// Serves until a signal comes.
pub(super) fn run(config: Config) -> anyhow::Result<()> {
    telemetry::start(config.log_format, &config.log)
        .map_err(|error| anyhow::anyhow!("--log {:?}: {error}", config.log))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.context("cannot start the runtime")?.block_on(serve(config))
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let address = config.address()?;
    let listener = TcpListener::bind(address)
        .with_context(|| format!("cannot listen on {address}; is it in use? Choose another with --listen"))?;
    let signal = shutdown::signal().context("cannot wait for signals")?;
    let registry = Options::new()
        .prune_interval(config.prune_interval)
        .retention(config.retention)
        .answer_cache(config.answer_cache)
        .open(&config.database)
        .await?;
    tracing::info!(
        address = %format_args!("http://{}", listener.local_addr()?),
        database = %config.database.display(),
        version = env!("CARGO_PKG_VERSION"),
        "serving"
    );
    let stop = async {
        let name = signal.await;
        tracing::info!(signal = name, "stopping: running requests finish, new ones are refused");
    };
    let server = Server::new(registry.clone(), config.limits()).allowed_hosts(config.allowed_host);
    let result = server.run(listener, stop, config.shutdown_timeout).await;
    registry.close().await;
    tracing::info!("stopped");
    result.context("the server failed")
}
