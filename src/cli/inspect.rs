//! The command `paulina inspect`.

use anyhow::{Context, bail};
use clap::Args;

use super::output::print_json;
use super::progress::with_spinner;
use super::registration_args::RegistrationArgs;
use super::server_args::ServerArgs;
use crate::shutdown;

/// Connect to an MCP server and print its registration as JSON.
///
/// A command is started and stopped again. The error says what failed: the server cannot be started, exits, hangs, prints
/// output that is not MCP, or requires credentials.
#[derive(Debug, Args)]
pub(super) struct Inspect {
    #[command(flatten)]
    registration_args: RegistrationArgs,
    #[command(flatten)]
    server_args: ServerArgs,
}

pub(super) async fn run(Inspect { registration_args, server_args }: Inspect) -> anyhow::Result<()> {
    let target = server_args.target()?;
    let stop = shutdown::signal().context("cannot wait for signals")?;
    let description = Box::pin(server_args.describe(&target, &registration_args));
    let registration = tokio::select! {
        registration = with_spinner("contacting the server", description) => registration?,
        // Dropping the other branch also stops a server that it started.
        signal = stop => bail!("{signal}"),
    };
    print_json(&registration)
}
