//! The command `paulina backup`.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use super::output::print_lines;
use super::progress::with_spinner;
use crate::store::back_up;

/// Back up a database to a file and check the copy.
///
/// The database can be in use. A registry that is started on the copy begins a new epoch: watchers get a snapshot, and
/// leases a grace period of five seconds.
#[derive(Debug, Args)]
pub(super) struct Backup {
    /// File to write; it must not exist.
    file: PathBuf,
    /// SQLite database of the registry.
    #[arg(long, env = "PAULINA_DATABASE", default_value = "paulina.db", value_name = "FILE")]
    database: PathBuf,
}

pub(super) async fn run(Backup { file, database }: Backup) -> anyhow::Result<()> {
    if !database.exists() {
        bail!("database {} does not exist; name it with --database", database.display());
    }
    let report = with_spinner("copying the database", back_up(&database, &file)).await?;
    if !report.faults.is_empty() {
        bail!(
            "{} is damaged, so the copy was deleted: {}. Restore an earlier backup",
            database.display(),
            report.faults.join("; ")
        );
    }
    let bytes = std::fs::metadata(&file)?.len();
    let (servers, tokens) = (report.servers, report.tokens);
    print_lines([format!("{}: {servers} servers, {tokens} tokens, {bytes} bytes, checked", file.display())])
}
