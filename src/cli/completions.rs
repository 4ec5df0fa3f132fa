//! The command `paulina completions`.

use clap::{Args, Command, CommandFactory};
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
    let all = super::Arguments::command();
    // The generator includes hidden commands.
    let visible = all.get_subcommands().filter(|command| !command.is_hide_set());
    let mut command =
        Command::new("paulina").args(all.get_arguments().cloned()).subcommands(visible.cloned());
    let mut script = Vec::new();
    clap_complete::generate(*shell, &mut command, "paulina", &mut script);
    super::print(&script)
}
