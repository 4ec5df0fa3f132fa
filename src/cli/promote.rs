//! `paulina promote`.

use clap::Args;

use super::output::lines;
use super::progress::patiently;
use super::registry_args::At;

/// Make a primary of a standby.
///
/// It restores the replica once more and takes writes from then on. Make sure first that the primary is gone: while it still
/// answers, this is refused, but one that is only cut off from here would go on beside this one.
#[derive(Debug, Args)]
pub(super) struct Promote {
    /// Although the other registry still serves as a primary, and from the copy in hand if the replica is gone.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    at: At,
}

pub(super) async fn run(Promote { force, at }: Promote) -> anyhow::Result<()> {
    let client = at.client_of_one()?;
    patiently("restoring the replica", client.promote(force)).await?;
    lines([format!("{} is a primary", client.addresses())])
}
