//! The command `paulina promote`.

use clap::Args;

use super::output::print_lines;
use super::progress::with_spinner;
use super::registry_args::RegistryArgs;

/// Promote a standby to primary.
///
/// The standby restores the replica one last time and then accepts writes. Make sure first that the primary is stopped:
/// promotion is refused while the peer answers as a primary, but a primary that is only unreachable from here would
/// continue to accept writes.
#[derive(Debug, Args)]
pub(super) struct Promote {
    /// Promote even if the peer still serves as primary; if the replica cannot be read, use the local copy.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    registry_args: RegistryArgs,
}

pub(super) async fn run(Promote { force, registry_args }: Promote) -> anyhow::Result<()> {
    let client = registry_args.single_address_client()?;
    with_spinner("restoring the replica", client.promote(force)).await?;
    print_lines([format!("{} is now a primary", client.addresses())])
}
