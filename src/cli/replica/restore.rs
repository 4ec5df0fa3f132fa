//! A start without a database: from a replica, if there is one.

use std::path::Path;

use anyhow::{Context, bail};

use super::Replica;
use crate::store::{adopt, beside, resolved};

/// Restores the newest epoch of a replica to where there is no database. An empty replica is none.
pub(in crate::cli) async fn restore_if_missing(replica: &Replica, database: &Path) -> anyhow::Result<()> {
    if database == Path::new(":memory:") {
        bail!("--restore-from needs a database in a file");
    }
    let database = resolved(database)?;
    let Some(newest) = replica.newest(1).await.context(cannot(replica))? else {
        tracing::warn!(replica = replica.url(), "there is nothing to restore: a new registry begins");
        return Ok(());
    };
    let copy = beside(&database, "-restored");
    replica.restore(newest.number, &copy, true).await.context(cannot(replica))?;
    drop(adopt(&copy, &database).await?);
    tracing::info!(replica = replica.folder(newest.number), database = %database.display(), "restored");
    Ok(())
}

fn cannot(replica: &Replica) -> String {
    format!("cannot restore from {}", replica.url())
}
