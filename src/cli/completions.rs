//! The command `paulina completions`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

/// Generate shell completions.
///
/// Load them with `source <(paulina completions bash)`.
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// Shell to generate completions for.
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(Completions { shell }: &Completions) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(*shell, &mut super::Arguments::command(), "paulina", &mut script);
    super::print(&script)
}
