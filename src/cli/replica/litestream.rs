//! Runs Litestream, and describes the replicas that it writes.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use semver::Version;
use serde::Deserialize;
use tokio::process::Command;

use crate::store::{Companion, create_private};

/// Older versions bundle a SQLite that can damage a WAL database that two processes checkpoint at once.
const MIN_VERSION: Version = Version::new(0, 5, 17);

/// Time limits for queries and restores: an unreachable replica must not block a promotion.
const QUERY_TIMEOUT: Duration = Duration::from_secs(15);
const RESTORE_TIMEOUT: Duration = Duration::from_mins(4);

/// The Litestream executable.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Litestream(PathBuf);

/// Returns the release of a version, which can have more or fewer than three numbers; a pre-release counts as its release. None
/// for a custom build without a version number.
fn release_of(version: &str) -> Option<Version> {
    let release = version.split(['-', '+']).next()?;
    let numbers: Vec<u64> = release.split('.').map(str::parse).collect::<Result<_, _>>().ok()?;
    let number = |place: usize| numbers.get(place).copied().unwrap_or_default();
    Some(Version::new(number(0), number(1), number(2)))
}

/// A file of a replica, as `litestream ltx -json` lists it.
#[derive(Deserialize)]
struct LtxFile {
    /// The number of its last transaction, in hexadecimal with a fixed number of digits.
    max_txid: String,
}

impl Litestream {
    /// Returns the executable after checking its version.
    pub(in crate::cli) async fn find(program: &Path) -> anyhow::Result<Self> {
        let litestream = Self(program.to_owned());
        let version = litestream.run(&[OsStr::new("version")], QUERY_TIMEOUT).await?;
        let version = version.trim().trim_start_matches('v');
        if release_of(version).is_some_and(|release| release < MIN_VERSION) {
            bail!("{} is Litestream {version}: {MIN_VERSION} or newer is required", program.display());
        }
        Ok(litestream)
    }

    /// Returns a command without arguments. The child is killed when it is dropped.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.0);
        command.env_remove("PAULINA_TOKEN").stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Runs a command to completion and returns its standard output.
    async fn run(&self, arguments: &[&OsStr], limit: Duration) -> anyhow::Result<String> {
        let output = tokio::time::timeout(limit, self.command().args(arguments).output()).await;
        let Ok(output) = output else { bail!("litestream did not finish within {} s", limit.as_secs()) };
        let output = output.with_context(|| {
            format!("cannot start {}; install Litestream, or name it with --litestream-bin", self.0.display())
        })?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            let last = stderr
                .lines()
                .rev()
                .find(|line| !line.trim().is_empty())
                .unwrap_or("failed without a message");
            bail!("litestream: {}", last.trim_start_matches("Error: "));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Deletes the replication state of a database, so that the next replication begins with a snapshot.
    pub(super) async fn reset(&self, database: &Path) -> anyhow::Result<()> {
        self.run(&[OsStr::new("reset"), database.as_os_str()], QUERY_TIMEOUT).await.map(|_| ())
    }

    /// Returns the last transaction in the folder of an epoch; none if the folder is empty. Recent transactions stay at level
    /// 0 for five minutes; a query of one level is one request, a query of all levels ten.
    async fn last_transaction(&self, folder: &str) -> anyhow::Result<Option<String>> {
        for level in ["0", "all"] {
            let list =
                self.run(&["ltx", "-json", "-level", level, folder].map(OsStr::new), QUERY_TIMEOUT).await?;
            let files: Vec<LtxFile> =
                serde_json::from_str(&list).context("litestream ltx returned an invalid list")?;
            if let Some(last) = files.into_iter().map(|file| file.max_txid).max() {
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

/// The last position in a replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReplicaPosition {
    /// The number of the epoch's folder; 0 for a replica without epoch folders, written by Litestream directly.
    pub(super) number: u32,
    last_transaction: String,
}

impl Replica {
    pub(in crate::cli) fn new(litestream: Litestream, url: &str) -> Self {
        Self { litestream, url: url.to_owned() }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Returns the URL of the folder of an epoch.
    pub(super) fn folder(&self, number: u32) -> String {
        match (number, self.url.split_once('?')) {
            (0, _) => self.url.clone(),
            (_, Some((url, query))) => format!("{}/{number}?{query}", url.trim_end_matches('/')),
            (_, None) => format!("{}/{number}", self.url.trim_end_matches('/')),
        }
    }

    /// Returns the last position of an epoch; none if the replica does not contain the epoch.
    pub(super) async fn position(&self, number: u32) -> anyhow::Result<Option<ReplicaPosition>> {
        let last_transaction = self.litestream.last_transaction(&self.folder(number)).await?;
        Ok(last_transaction.map(|last_transaction| ReplicaPosition { number, last_transaction }))
    }

    /// Returns the last position of the latest epoch, searching upwards from the given one; none if the replica is empty.
    pub(super) async fn latest(&self, from: u32) -> anyhow::Result<Option<ReplicaPosition>> {
        let mut latest = None;
        for number in from.max(1).. {
            match self.position(number).await? {
                None => break,
                found => latest = found,
            }
        }
        match latest {
            None if from <= 1 => self.position(0).await,
            latest => Ok(latest),
        }
    }

    /// Returns the number of the first epoch that the replica does not contain.
    pub(super) async fn next_epoch_number(&self) -> anyhow::Result<u32> {
        Ok(self.latest(1).await?.map_or(1, |latest| latest.number + 1))
    }

    /// Restores an epoch to a file, replacing it.
    pub(super) async fn restore(&self, number: u32, to: &Path, check: bool) -> anyhow::Result<()> {
        remove_database(to)?;
        // Litestream writes to this file first.
        let temporary = Companion::Temporary.path(to);
        create_private(&temporary).with_context(|| format!("cannot write {}", temporary.display()))?;
        let check = OsStr::new(if check { "full" } else { "none" });
        let arguments = [OsStr::new("restore"), OsStr::new("-integrity-check"), check, OsStr::new("-o")];
        let folder = self.folder(number);
        let arguments = arguments.into_iter().chain([to.as_os_str(), OsStr::new(&folder)]);
        self.litestream.run(&arguments.collect::<Vec<_>>(), RESTORE_TIMEOUT).await.map(|_| ())
    }
}

/// Removes a database file and its companion files: SQLite would apply a remaining log to the next copy.
pub(super) fn remove_database(path: &Path) -> anyhow::Result<()> {
    let companions = [Companion::Temporary, Companion::Wal, Companion::SharedMemory, Companion::Journal];
    for file in std::iter::once(path.to_owned()).chain(companions.map(|companion| companion.path(path))) {
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", file.display()));
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
    fn each_epoch_has_its_own_folder() {
        let folder = |url: &str, number| Replica::new(Litestream("l".into()), url).folder(number);
        assert_eq!(folder("file:///srv/replica", 1), "file:///srv/replica/1");
        assert_eq!(folder("file:///srv/replica/", 12), "file:///srv/replica/12");
        assert_eq!(
            folder("s3://bucket/a?endpoint=http://x:9000", 2),
            "s3://bucket/a/2?endpoint=http://x:9000"
        );
        assert_eq!(folder("s3://bucket/a", 0), "s3://bucket/a");
    }

    #[test]
    fn old_versions_are_recognized_in_every_spelling() {
        for old in ["0.5", "0.5.16", "0.5.10.1", "0.5.3+build", "0.4.9-rc.1"] {
            assert!(release_of(old).is_some_and(|release| release < MIN_VERSION), "{old}");
        }
        for new in ["0.5.17", "0.5.17-beta", "0.6", "1.0.0+build"] {
            assert!(release_of(new).is_some_and(|release| release >= MIN_VERSION), "{new}");
        }
        assert!(release_of("(development build)").is_none());
    }
}
