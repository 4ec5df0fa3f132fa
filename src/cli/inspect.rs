//! `paulina inspect`: what a server says of itself, without a registry.

use clap::Args;

use super::output::json;
use super::patience::patiently;
use super::said::Said;
use super::target::Reached;

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
    let describing = Box::pin(reached.describe(&target, &said));
    let registration = patiently("asking the server", describing).await?;
    json(&registration)
}
