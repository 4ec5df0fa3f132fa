//! `paulina backup`.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use super::output::lines;
use super::progress::patiently;
use crate::store::back_up;

/// Copy a database to a file, whole and checked, also while it is served.
///
/// A registry that is started on the copy begins a new epoch: watchers get a snapshot, and leases a grace of five seconds.
#[derive(Debug, Args)]
pub(super) struct Backup {
    /// The file to write, which must not be there yet.
    file: PathBuf,
    /// The registry's SQLite database.
    #[arg(long, env = "PAULINA_DATABASE", default_value = "paulina.db", value_name = "FILE")]
    database: PathBuf,
}

pub(super) async fn run(Backup { file, database }: Backup) -> anyhow::Result<()> {
    if !database.exists() {
        bail!("there is no database {}; name it with --database", database.display());
    }
    let examined = patiently("copying the database", back_up(&database, &file)).await?;
    if !examined.faults.is_empty() {
        bail!(
            "{} is damaged, and so is a copy of it, which was not kept: {}. Restore an earlier backup",
            database.display(),
            examined.faults.join("; ")
        );
    }
    let bytes = std::fs::metadata(&file)?.len();
    let (servers, tokens) = (examined.servers, examined.tokens);
    lines([format!("{}: {servers} servers, {tokens} tokens, {bytes} bytes, checked", file.display())])
}
