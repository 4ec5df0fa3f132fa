//! The other registry of a pair, asked what it is.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use crate::client::{Client, ClientError, ClientOptions};
use crate::store::{beside, resolved};

/// How long it has to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// See the [module](self).
#[derive(Debug, Clone)]
pub(in crate::cli) struct Peer {
    url: String,
    client: Client,
}

impl Peer {
    pub(in crate::cli) fn new(url: &str) -> Result<Self, ClientError> {
        let client = ClientOptions::new().address(url).timeout(PATIENCE).build()?;
        Ok(Self { url: url.to_owned(), client })
    }

    /// Whether it serves as a primary, and what makes that so. One that cannot be reached does not. Whatever answers and does not
    /// say that it is a standby is taken for one: it may be a primary that is ill, or that does not know this machine.
    pub(super) async fn primary(&self) -> Option<String> {
        match self.client.role().await {
            Ok(role) if role == "standby" => None,
            Ok(role) => Some(format!("{self} serves as a {role}")),
            Err(ClientError::Unreachable { reason, .. }) => {
                tracing::warn!("{self} does not answer ({reason}): it is taken not to be a primary");
                None
            }
            Err(error) => Some(format!("{self} answers, and may be a primary ({error})")),
        }
    }

    /// Keeps this registry from becoming a second primary beside it. Once it was seen to serve as one, that is remembered
    /// beside the database: the day that this machine starts while the other one is down, it must not take over by itself.
    pub(in crate::cli) async fn leaves_room(&self, database: &Path) -> anyhow::Result<()> {
        let mark = mark(database)?;
        let reason = if database.exists() && mark.exists() {
            format!("{self} was seen to serve as a primary")
        } else {
            match self.primary().await {
                Some(reason) => reason,
                None => return Ok(()),
            }
        };
        if database.exists() {
            std::fs::write(&mark, format!("{reason}\n"))
                .with_context(|| format!("cannot write {}", mark.display()))?;
        }
        Err(Superseded(reason).into())
    }
}

/// Another registry took over.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0}. If it was promoted in place of this one, move this database and the files beside it away and start with --standby; to \
     serve this one all the same, start without --peer"
)]
pub(in crate::cli) struct Superseded(String);

/// Forgets that another registry was seen to take over.
pub(in crate::cli) fn forget(database: &Path) -> anyhow::Result<()> {
    // Most of the time it is not there.
    let _ = std::fs::remove_file(mark(database)?);
    Ok(())
}

fn mark(database: &Path) -> anyhow::Result<PathBuf> {
    Ok(beside(&resolved(database)?, "-superseded"))
}

impl fmt::Display for Peer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.url)
    }
}
