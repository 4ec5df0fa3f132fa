//! The other registry of a pair, and the check that it is not a primary.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::client::{Client, ClientError, ClientOptions};
use crate::store::{Companion, resolve_symlinks};

const TIMEOUT: Duration = Duration::from_secs(2);

/// The other registry of a pair.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Peer {
    url: String,
    client: Client,
}

impl Peer {
    pub(in crate::cli) fn new(url: &str) -> Result<Self, ClientError> {
        let client = ClientOptions::new().address(url).timeout(TIMEOUT).build()?;
        Ok(Self { url: url.to_owned(), client })
    }

    /// Returns why this registry must not become a primary, if so. A standby and an unreachable peer are no obstacle. Any
    /// other response is: the peer may be a failing primary, or may reject this machine. `/readyz` is not used, since a
    /// failing primary responds to it slowly.
    pub(super) async fn primary_conflict(&self) -> Option<PrimaryConflict> {
        match self.client.fetch(&["healthz"]).await {
            Ok(response) if response.is_by_standby() => None,
            Ok(response) if response.status().is_success() => {
                Some(PrimaryConflict::PeerIsPrimary(format!("{self} serves as a primary")))
            }
            Ok(response) => Some(self.unknown_role(&response.error(""))),
            Err(ClientError::Unreachable { reason, .. }) => {
                tracing::warn!("{self} does not respond ({reason}): assuming it is not a primary");
                None
            }
            Err(error) => Some(self.unknown_role(&error)),
        }
    }

    fn unknown_role(&self, error: &ClientError) -> PrimaryConflict {
        PrimaryConflict::Unknown(format!("{self} responds and may be a primary ({error})"))
    }

    /// Prevents this registry from becoming a second primary. A peer that was seen as a primary is recorded in a file next to
    /// the database, so that this machine does not take over when it starts while the peer is down.
    pub(in crate::cli) async fn ensure_no_other_primary(&self, database: &Path) -> anyhow::Result<()> {
        let marker = superseded_marker(database)?;
        if database.exists() && marker.exists() {
            return Err(Superseded(format!("{self} has served as a primary")).into());
        }
        match self.primary_conflict().await {
            None => Ok(()),
            Some(PrimaryConflict::Unknown(reason)) => {
                bail!("{reason}. Fix the peer, or start without --peer")
            }
            Some(PrimaryConflict::PeerIsPrimary(reason)) => {
                if database.exists() {
                    std::fs::write(&marker, format!("{reason}\n"))
                        .with_context(|| format!("cannot write {}", marker.display()))?;
                }
                Err(Superseded(reason).into())
            }
        }
    }
}

/// The reason why this registry must not become a primary.
#[derive(Debug)]
pub(super) enum PrimaryConflict {
    /// The peer is a primary.
    PeerIsPrimary(String),
    /// The peer responds, but its role is unknown.
    Unknown(String),
}

impl fmt::Display for PrimaryConflict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::PeerIsPrimary(reason) | Self::Unknown(reason)) = self;
        formatter.write_str(reason)
    }
}

/// The peer has taken over as the primary.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0}. If it was promoted to replace this registry, move this database and its companion files away and start with \
     --standby; to serve this database anyway, start without --peer"
)]
pub(in crate::cli) struct Superseded(String);

/// Deletes the record that the peer has taken over.
pub(in crate::cli) fn forget_superseded(database: &Path) -> anyhow::Result<()> {
    // Usually the file does not exist.
    let _ = std::fs::remove_file(superseded_marker(database)?);
    Ok(())
}

fn superseded_marker(database: &Path) -> anyhow::Result<PathBuf> {
    Ok(Companion::Superseded.path(&resolve_symlinks(database)?))
}

impl fmt::Display for Peer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.url)
    }
}
