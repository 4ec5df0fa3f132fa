//! `paulina inspect`: what a server says of itself, without a registry.

use anyhow::{Context, bail};
use clap::Args;

use super::output::json;
use super::progress::patiently;
use super::registration_args::Said;
use super::server_args::Reached;
use crate::shutdown;

/// Ask an MCP server what it can do, and print that as the JSON of its registration.
///
/// A program is started and ended again. What goes wrong is said exactly: it cannot be started, ends, hangs, prints what is
/// no MCP, or asks for credentials.
#[derive(Debug, Args)]
pub(super) struct Inspect {
    #[command(flatten)]
    said: Said,
    #[command(flatten)]
    reached: Reached,
}

pub(super) async fn run(Inspect { said, reached }: Inspect) -> anyhow::Result<()> {
    let target = reached.target()?;
    let stop = shutdown::signal().context("cannot wait for signals")?;
    let describing = Box::pin(reached.describe(&target, &said));
    let registration = tokio::select! {
        registration = patiently("asking the server", describing) => registration?,
        // With what was begun goes the server that was started for it.
        signal = stop => bail!("{signal}"),
    };
    json(&registration)
}
