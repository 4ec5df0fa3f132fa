//! The other registry of a pair, asked what it is.

use std::fmt;
use std::path::Path;
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

    /// Whether it serves as a primary. One that does not answer does not.
    pub(super) async fn is_primary(&self) -> bool {
        self.client.role().await.is_ok_and(|role| role == "primary")
    }

    /// Keeps this registry from becoming a second primary beside it. Once it was seen to serve as one, that is remembered
    /// beside the database: the day that this machine starts while the other one is down, it must not take over by itself.
    pub(in crate::cli) async fn leaves_room(&self, database: &Path) -> anyhow::Result<()> {
        let mark = beside(&resolved(database)?, "-superseded");
        let known = database.exists() && mark.exists();
        if !known && !self.is_primary().await {
            return Ok(());
        }
        if database.exists() && !known {
            std::fs::write(&mark, format!("{self} served as a primary\n"))
                .with_context(|| format!("cannot write {}", mark.display()))?;
        }
        bail!(
            "{self} {} as a primary. If it was promoted in place of this one, move this database and the files beside it away \
             and start with --standby; to serve this one all the same, start without --peer",
            if known { "was seen to serve" } else { "serves" }
        );
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.url)
    }
}
