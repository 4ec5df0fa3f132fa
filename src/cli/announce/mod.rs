//! `paulina announce`: a server that is there already, unmodified, in the registry for as long as it lives.

mod http_monitor;
mod log_status;
mod recheck;
mod relay;
#[cfg(unix)]
mod signals;
mod stdio_proxy;

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::cli::registration_args::Said;
use crate::cli::registry_args::At;
use crate::cli::server_args::Reached;
use crate::config::duration;
use crate::mcp::Target;
use crate::telemetry::{self, LogFormat};

/// Register an MCP server with all that it can do, and keep it registered for as long as it lives.
///
/// With a command behind `--`, stands in for it: standard input, standard output, signals and exit code are the server's, so
/// that the configuration of a client gains `paulina announce --` in front and nothing else changes. What it can do is asked
/// of a second process of the same command, which ends at once. With --url, the server runs by itself, and is asked before
/// each refresh whether it still speaks MCP.
///
/// It does not mind that the registry is down: the server runs, and is registered when the registry is there.
#[derive(Debug, Args)]
pub(super) struct Announce {
    #[command(flatten)]
    said: Said,
    #[command(flatten)]
    at: At,

    /// How often the server is asked anew what it can do, beside whenever it says that this has changed.
    #[arg(long, default_value = "5m", value_name = "DURATION", value_parser = duration)]
    recheck: Duration,

    /// How much is said on standard error: error, warn, info, debug or trace, or a list of target=level.
    #[arg(long, env = "PAULINA_LOG", default_value = "paulina=info", value_name = "LEVEL")]
    log: String,

    #[command(flatten)]
    reached: Reached,
}

pub(super) async fn run(announce: Announce) -> anyhow::Result<ExitCode> {
    telemetry::start(LogFormat::Text, &announce.log)
        .map_err(|error| anyhow::anyhow!("--log {:?}: {error}", announce.log))?;
    let client = announce.at.client()?;
    let target = announce.reached.target()?;
    match &target {
        Target::Stdio(command) => stdio_proxy::run(&announce, &client, &target, command).await,
        Target::Http(_) => http_monitor::run(&announce, &client, &target).await,
    }
}
