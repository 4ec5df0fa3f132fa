//! The other registry of a pair, asked what it is.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};

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

    /// Whether it stands in the way of another primary, and why. One that cannot be reached does not, and a standby does not.
    /// Whatever else answers does: it may be a primary that is ill, or that does not know this machine. It is not asked
    /// whether it is ready, which a primary that is ill takes longest to say.
    pub(super) async fn rival(&self) -> Option<Rival> {
        match self.client.fetch(&["healthz"]).await {
            Ok(answer) if answer.is_by_standby() => None,
            Ok(answer) if answer.status().is_success() => {
                Some(Rival::Primary(format!("{self} serves as a primary")))
            }
            Ok(answer) => Some(self.unclear(&answer.refusal(""))),
            Err(ClientError::Unreachable { reason, .. }) => {
                tracing::warn!("{self} does not answer ({reason}): it is taken not to be a primary");
                None
            }
            Err(error) => Some(self.unclear(&error)),
        }
    }

    fn unclear(&self, error: &ClientError) -> Rival {
        Rival::Unclear(format!("{self} answers, and may be a primary ({error})"))
    }

    /// Keeps this registry from becoming a second primary beside it. Once it was seen to serve as one, that is remembered
    /// beside the database: the day that this machine starts while the other one is down, it must not take over by itself.
    pub(in crate::cli) async fn leaves_room(&self, database: &Path) -> anyhow::Result<()> {
        let mark = mark(database)?;
        if database.exists() && mark.exists() {
            return Err(Superseded(format!("{self} was seen to serve as a primary")).into());
        }
        match self.rival().await {
            None => Ok(()),
            Some(Rival::Unclear(reason)) => {
                bail!("{reason}. Mend what answers there, or start without --peer")
            }
            Some(Rival::Primary(reason)) => {
                if database.exists() {
                    std::fs::write(&mark, format!("{reason}\n"))
                        .with_context(|| format!("cannot write {}", mark.display()))?;
                }
                Err(Superseded(reason).into())
            }
        }
    }
}

/// What stands in the way of another primary.
#[derive(Debug)]
pub(super) enum Rival {
    Primary(String),
    /// What answers does not say what it is.
    Unclear(String),
}

impl fmt::Display for Rival {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Primary(reason) | Self::Unclear(reason)) = self;
        formatter.write_str(reason)
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
