//! Restores the database at a start without one.

use std::path::Path;

use anyhow::{Context, bail};

use super::Replica;
use crate::store::{Companion, install_copy, resolve_symlinks};

/// Restores the latest epoch of a replica. Does nothing if the replica is empty.
pub(in crate::cli) async fn restore_if_missing(replica: &Replica, database: &Path) -> anyhow::Result<()> {
    if database == Path::new(":memory:") {
        bail!("--restore-from requires a database in a file");
    }
    let database = resolve_symlinks(database)?;
    let Some(latest) = replica.latest(1).await.context(failure(replica))? else {
        tracing::warn!(replica = replica.url(), "the replica is empty; starting a new registry");
        return Ok(());
    };
    let copy = Companion::Restored.path(&database);
    replica.restore(latest.number, &copy, true).await.context(failure(replica))?;
    drop(install_copy(&copy, &database).await?);
    tracing::info!(replica = replica.folder(latest.number), database = %database.display(), "restored");
    Ok(())
}

fn failure(replica: &Replica) -> String {
    format!("cannot restore from {}", replica.url())
}
