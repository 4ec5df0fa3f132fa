//! The program Litestream, run for one purpose at a time.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Deserialize;
use tokio::process::Command;

use crate::store::create_private;

/// Older ones bundle a SQLite that can damage a WAL database which two programs checkpoint at once.
const OLDEST: [u32; 3] = [0, 5, 17];

/// How long it may look, and restore: a place that does not answer must not hold up a promotion.
const LOOKING: Duration = Duration::from_secs(15);
const RESTORING: Duration = Duration::from_mins(4);

/// Where Litestream is.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Litestream(PathBuf);

/// A part of a replica, as `litestream ltx -json` lists it.
#[derive(Deserialize)]
struct Part {
    /// The number of the last transaction in it, in as many hex digits as any other.
    max_txid: String,
}

impl Litestream {
    /// Sees that it is there and no older than it has to be.
    pub(in crate::cli) async fn at(program: &Path) -> anyhow::Result<Self> {
        let litestream = Self(program.to_owned());
        let version = litestream.run(&[OsStr::new("version")], LOOKING).await?;
        let version = version.trim().trim_start_matches('v');
        // A build from somebody's own sources has no number.
        let numbers: Result<Vec<u32>, _> = version.split(['.', '-']).take(3).map(str::parse).collect();
        if numbers.is_ok_and(|numbers| numbers < OLDEST.to_vec()) {
            let [major, minor, patch] = OLDEST;
            bail!(
                "{} is Litestream {version}: {major}.{minor}.{patch} or newer is needed",
                program.display()
            );
        }
        Ok(litestream)
    }

    /// A command to be added to. It ends with this process, as far as this process can see to that.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.0);
        command.env_remove("PAULINA_TOKEN").stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Runs it to its end and gives what it wrote to its standard output.
    async fn run(&self, arguments: &[&OsStr], limit: Duration) -> anyhow::Result<String> {
        let output = tokio::time::timeout(limit, self.command().args(arguments).output()).await;
        let Ok(output) = output else { bail!("litestream has not ended within {} s", limit.as_secs()) };
        let output = output.with_context(|| {
            format!("cannot start {}; install Litestream, or name it with --litestream", self.0.display())
        })?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let last =
                said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it does not say why");
            bail!("litestream: {}", last.trim_start_matches("Error: "));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Forgets what it remembers of a database, so that it begins with a snapshot.
    pub(super) async fn reset(&self, database: &Path) -> anyhow::Result<()> {
        self.run(&[OsStr::new("reset"), database.as_os_str()], LOOKING).await.map(|_| ())
    }

    /// How far the folder of an epoch has come; none if there is nothing in it. What came last lies at level 0 for five
    /// minutes, and one level is one request where all are ten.
    async fn reached(&self, folder: &str) -> anyhow::Result<Option<String>> {
        for level in ["0", "all"] {
            let list = self.run(&["ltx", "-json", "-level", level, folder].map(OsStr::new), LOOKING).await?;
            let parts: Vec<Part> = serde_json::from_str(&list).context("litestream ltx gives no list")?;
            if let Some(last) = parts.into_iter().map(|part| part.max_txid).max() {
                return Ok(Some(last));
            }
        }
        Ok(None)
    }
}

/// A replica, see the [module](super).
#[derive(Debug, Clone)]
pub(in crate::cli) struct Replica {
    litestream: Litestream,
    url: String,
}

/// What a replica has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Newest {
    /// The number of the epoch's folder; 0 for a replica that has none, since plain Litestream made it.
    pub(super) number: u32,
    /// How far it has come.
    reached: String,
}

impl Replica {
    pub(in crate::cli) fn new(litestream: Litestream, url: &str) -> Self {
        Self { litestream, url: url.to_owned() }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The folder of an epoch.
    pub(super) fn folder(&self, number: u32) -> String {
        match (number, self.url.split_once('?')) {
            (0, _) => self.url.clone(),
            (_, Some((url, query))) => format!("{}/{number}?{query}", url.trim_end_matches('/')),
            (_, None) => format!("{}/{number}", self.url.trim_end_matches('/')),
        }
    }

    /// How far an epoch has come; none if there is nothing of it.
    pub(super) async fn reached(&self, number: u32) -> anyhow::Result<Option<Newest>> {
        let reached = self.litestream.reached(&self.folder(number)).await?;
        Ok(reached.map(|reached| Newest { number, reached }))
    }

    /// The newest that there is, looked for from an epoch on; none if there is nothing yet.
    pub(super) async fn newest(&self, from: u32) -> anyhow::Result<Option<Newest>> {
        let mut newest = None;
        for number in from.max(1).. {
            match self.reached(number).await? {
                None => break,
                found => newest = found,
            }
        }
        match newest {
            None if from <= 1 => self.reached(0).await,
            newest => Ok(newest),
        }
    }

    /// The number of the first epoch that there is nothing of.
    pub(super) async fn first_free(&self) -> anyhow::Result<u32> {
        Ok(self.newest(1).await?.map_or(1, |newest| newest.number + 1))
    }

    /// Restores an epoch to a file, in the place of what lies there.
    pub(super) async fn restore(&self, number: u32, to: &Path, check: bool) -> anyhow::Result<()> {
        clear(to)?;
        // Litestream writes there first.
        let unfinished = crate::store::beside(to, ".tmp");
        create_private(&unfinished).with_context(|| format!("cannot write {}", unfinished.display()))?;
        let check = OsStr::new(if check { "full" } else { "none" });
        let words = [OsStr::new("restore"), OsStr::new("-integrity-check"), check, OsStr::new("-o")];
        let folder = self.folder(number);
        let words = words.into_iter().chain([to.as_os_str(), OsStr::new(&folder)]);
        self.litestream.run(&words.collect::<Vec<_>>(), RESTORING).await.map(|_| ())
    }
}

/// Takes away what lies where a copy is to be, and beside it: a log that was left would be taken for the copy's.
pub(super) fn clear(to: &Path) -> anyhow::Result<()> {
    for ending in ["", ".tmp", "-wal", "-shm", "-journal"] {
        let left = crate::store::beside(to, ending);
        match std::fs::remove_file(&left) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", left.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_epoch_has_its_folder() {
        let folder = |url: &str, number| Replica::new(Litestream("l".into()), url).folder(number);
        assert_eq!(folder("file:///srv/replica", 1), "file:///srv/replica/1");
        assert_eq!(folder("file:///srv/replica/", 12), "file:///srv/replica/12");
        assert_eq!(
            folder("s3://bucket/a?endpoint=http://x:9000", 2),
            "s3://bucket/a/2?endpoint=http://x:9000"
        );
        assert_eq!(folder("s3://bucket/a", 0), "s3://bucket/a");
    }
}
