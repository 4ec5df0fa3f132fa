//! The command `paulina announce`: keeps an unmodified server registered for as long as it runs.

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

use crate::cli::registration_args::RegistrationArgs;
use crate::cli::registry_args::RegistryArgs;
use crate::cli::server_args::ServerArgs;
use crate::config::parse_duration;
use crate::mcp::Target;
use crate::telemetry::{self, LogFormat};

/// Register an MCP server and keep its lease for as long as the server runs.
///
/// With a command after `--`, it wraps a stdio server: standard input, standard output, signals and the exit code are those
/// of the server, so that `paulina announce --` can be put in front of the command in the configuration of a client. To
/// discover the tools, it starts a second, short-lived process of the same command. With --url, it monitors a server that is
/// already running, and checks before each refresh that it still responds.
///
/// The registry may be unavailable: the server runs, and is registered once the registry is available.
#[derive(Debug, Args)]
pub(super) struct Announce {
    /// How often to read the server's tools, resources and prompts again, in addition to each `list_changed` notification.
    #[arg(long, default_value = "5m", value_name = "DURATION", value_parser = parse_duration)]
    recheck_interval: Duration,

    /// Log level on standard error: error, warn, info, debug or trace, or a list of target=level.
    #[arg(long, env = "PAULINA_LOG_LEVEL", default_value = "paulina=info", value_name = "LEVEL")]
    log_level: String,

    #[command(flatten)]
    server_args: ServerArgs,
    #[command(flatten)]
    registration_args: RegistrationArgs,
    #[command(flatten)]
    registry_args: RegistryArgs,
}

pub(super) async fn run(announce: Announce) -> anyhow::Result<ExitCode> {
    telemetry::init(LogFormat::Text, &announce.log_level)
        .map_err(|error| anyhow::anyhow!("--log-level {:?}: {error}", announce.log_level))?;
    let client = announce.registry_args.client()?;
    let target = announce.server_args.target()?;
    match &target {
        Target::Stdio(command) => stdio_proxy::run(&announce, &client, &target, command).await,
        Target::Http(_) => http_monitor::run(&announce, &client, &target).await,
    }
}
