//! The command `paulina replicate`: runs Litestream next to the process that serves a database, with a folder per epoch.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use clap::Args;
use tokio::process::Child;

use super::{Litestream, Replica};
use crate::shutdown;
use crate::store::{
    Companion, LitestreamLock, LockAttempt, file_identity, resolve_symlinks, serving_epoch, truncate_wal,
};
use crate::telemetry;
use crate::telemetry::LogFormat;

/// Replicate a database with Litestream.
///
/// Run this command next to `paulina serve`. It runs Litestream while a primary serves the database. Each epoch of the
/// database is written to its own folder, URL/1, URL/2 and so on; a restore or a promotion begins a new epoch. Give each
/// machine its own URL.
#[derive(Debug, Args)]
pub(in crate::cli) struct Replicate {
    /// SQLite database of the registry.
    #[arg(long, env = "PAULINA_DATABASE", default_value = "paulina.db", value_name = "FILE")]
    database: PathBuf,
    /// URL of the replica: `file:///srv/replica`, `s3://bucket/path`, or any other URL that Litestream supports.
    #[arg(long, env = "PAULINA_REPLICA_URL", value_name = "URL")]
    to: String,
    /// Litestream configuration file. It refers to the database and the replica as `${PAULINA_DATABASE}` and
    /// `${PAULINA_REPLICA_URL}`.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Executable of Litestream 0.5.17 or newer.
    #[arg(long, env = "PAULINA_LITESTREAM_BIN", default_value = "litestream", value_name = "PROGRAM")]
    litestream_bin: PathBuf,
    /// Format of log lines.
    #[arg(long, env = "PAULINA_LOG_FORMAT", default_value = "text", value_enum)]
    log_format: LogFormat,
}

/// How often the database file and the process that serves it are checked.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// The pause after Litestream has failed.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// How long Litestream may take to exit after Ctrl-C, which also reaches Litestream.
const INTERRUPT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long Litestream may take to upload the remaining changes when it is stopped.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(30);

pub(in crate::cli) async fn replicate(arguments: Replicate) -> anyhow::Result<()> {
    telemetry::init(arguments.log_format, "info").context("cannot initialize logging")?;
    let database = resolve_symlinks(&arguments.database)?;
    let litestream = Litestream::find(&arguments.litestream_bin).await?;
    let replica = Replica::new(litestream.clone(), &arguments.to);
    let epochs = EpochFile::open(&database)?;
    let config = arguments.config;
    let mut supervisor = Supervisor { database, litestream, replica, config, epochs, last_seen: None };
    let signal = shutdown::signal().context("cannot wait for signals")?;
    let (mut running, mut interrupted) = (None, false);
    tokio::select! {
        result = supervisor.run(&mut running) => result?,
        name = signal => {
            tracing::info!(signal = name, "stopping; uploading the remaining changes");
            interrupted = name == "SIGINT";
        }
    }
    stop(&mut running, interrupted).await
}

/// Starts, restarts and stops Litestream.
struct Supervisor {
    database: PathBuf,
    litestream: Litestream,
    replica: Replica,
    config: Option<PathBuf>,
    epochs: EpochFile,
    /// The epoch that was served at the last poll, and when the serving process last wrote it.
    last_seen: Option<(String, SystemTime)>,
}

/// A Litestream process, and the identity of the database file that it replicates.
struct Running {
    child: Child,
    file: u64,
}

impl Supervisor {
    /// Keeps Litestream running for the epoch that is served.
    async fn run(&mut self, running: &mut Option<Running>) -> anyhow::Result<()> {
        // A leftover Litestream would block the process that is about to serve the database.
        drop(acquire_lock(&self.database).await?);
        let (mut replicated, mut file) = (None, file_identity(&self.database));
        loop {
            let now = file_identity(&self.database);
            if std::mem::replace(&mut file, now) != now
                || running.as_ref().is_some_and(|running| now != Some(running.file))
            {
                tracing::warn!("the database file was replaced; stopping its replication");
                kill(running).await?;
                (replicated, self.last_seen) = (None, None);
            }
            if let Some(epoch) = self.served_epoch().filter(|epoch| replicated.as_ref() != Some(epoch)) {
                stop(running, false).await?;
                replicated = Some(epoch);
            }
            if let Some(status) =
                running.as_mut().map(|running| running.child.try_wait()).transpose()?.flatten()
            {
                tracing::warn!("litestream exited ({status}); restarting it");
                *running = None;
                tokio::time::sleep(RETRY_INTERVAL).await;
            }
            if let (Some(epoch), None) = (&replicated, &running) {
                match self.start(epoch).await {
                    Ok(started) => *running = Some(started),
                    Err(error) => {
                        tracing::warn!("cannot replicate: {error:#}; retrying");
                        tokio::time::sleep(RETRY_INTERVAL).await;
                    }
                }
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Returns the epoch that a primary serves. The lease file counts once it was written between two polls: a process that
    /// has just started may not have begun its epoch yet.
    fn served_epoch(&mut self) -> Option<String> {
        let now = serving_epoch(&self.database);
        let before = std::mem::replace(&mut self.last_seen, now.clone());
        match (before, now) {
            (Some((_, before)), Some((epoch, now))) if now > before => Some(epoch),
            _ => None,
        }
    }

    async fn start(&mut self, epoch: &str) -> anyhow::Result<Running> {
        let mut lock = acquire_lock(&self.database).await?;
        let known = self.epochs.number(epoch, self.replica.url());
        let number = match known {
            Some(number) => number,
            None => self.replica.next_epoch_number().await?,
        };
        if known.is_none() {
            // Otherwise Litestream would continue from the end of the previous epoch.
            self.litestream.reset(&self.database).await?;
            self.epochs.write(epoch, number, self.replica.url())?;
        }
        let folder = self.replica.folder(number);
        let mut command = self.litestream.command();
        command.arg("replicate");
        match &self.config {
            Some(config) => {
                command.arg("-config").arg(config);
                command.env("PAULINA_DATABASE", &self.database).env("PAULINA_REPLICA_URL", &folder);
            }
            None => {
                command.arg(&self.database).arg(&folder);
            }
        }
        let file = file_identity(&self.database).context("the database does not exist any more")?;
        if !truncate_wal(&self.database).await? {
            bail!(
                "cannot truncate the write-ahead log, since another program holds a read transaction open on the database"
            );
        }
        command.stdin(lock.stdin()?);
        let child = command.spawn().context("cannot start litestream")?;
        lock.set_holder(child.id().unwrap_or_default(), file)?;
        tracing::info!(epoch, replica = folder, "replicating");
        Ok(Running { child, file })
    }
}

/// How to end a Litestream process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Termination {
    /// Litestream uploads the remaining changes first.
    Graceful,
    Kill,
}

fn terminate(process: Option<u32>, how: Termination) {
    #[cfg(unix)]
    if let Some(id) = process.and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw) {
        let signal = match how {
            Termination::Graceful => rustix::process::Signal::TERM,
            Termination::Kill => rustix::process::Signal::KILL,
        };
        let _ = rustix::process::kill_process(id, signal);
    }
    #[cfg(not(unix))]
    let _ = (process, how);
}

/// Stops Litestream after it has uploaded the remaining changes. After Ctrl-C, Litestream has already received a signal, and a
/// second one would abort the upload.
async fn stop(running: &mut Option<Running>, interrupted: bool) -> anyhow::Result<()> {
    let Some(Running { child, .. }) = running else { return Ok(()) };
    if !interrupted || tokio::time::timeout(INTERRUPT_TIMEOUT, child.wait()).await.is_err() {
        terminate(child.id(), Termination::Graceful);
    }
    if tokio::time::timeout(SHUTDOWN_TIMEOUT, child.wait()).await.is_err() {
        tracing::warn!("litestream has not exited within {} s; killing it", SHUTDOWN_TIMEOUT.as_secs());
    }
    kill(running).await
}

/// Kills Litestream.
async fn kill(running: &mut Option<Running>) -> anyhow::Result<()> {
    let Some(mut running) = running.take() else { return Ok(()) };
    // An error means that it has already exited.
    let _ = running.child.start_kill();
    running.child.wait().await.map(|_| ()).context("cannot wait for litestream")
}

/// Acquires the lock for a Litestream process. A process that has outlived its `paulina replicate` is ended first: two
/// processes must not write the same replica.
async fn acquire_lock(database: &Path) -> anyhow::Result<LitestreamLock> {
    let mut terminating: Option<(Option<u32>, Duration)> = None;
    loop {
        let held = LitestreamLock::try_lock(database)
            .context("cannot lock the database against a second litestream")?;
        let process = match held {
            LockAttempt::Acquired(lock) => return Ok(lock),
            LockAttempt::HeldBy(holder) => Some(holder.process),
            LockAttempt::HeldByUnknown => None,
        };
        match &mut terminating {
            Some((before, waited)) if *before == process => {
                *waited += POLL_INTERVAL;
                if *waited >= SHUTDOWN_TIMEOUT {
                    tracing::warn!(
                        process,
                        "the leftover litestream has not exited within {} s; killing it",
                        SHUTDOWN_TIMEOUT.as_secs()
                    );
                    terminate(process, Termination::Kill);
                    *waited = Duration::ZERO;
                }
            }
            _ => {
                tracing::warn!(
                    process,
                    "a litestream process has outlived its `paulina replicate`; stopping it"
                );
                terminate(process, Termination::Graceful);
                terminating = Some((process, Duration::ZERO));
            }
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// The file that records which epoch is written to which folder of which replica. It is locked by `paulina replicate`.
struct EpochFile(File);

impl EpochFile {
    fn open(database: &Path) -> anyhow::Result<Self> {
        let path = Companion::Replica.path(database);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.with_context(|| format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => bail!("{} is replicated by another process", database.display()),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", path.display()))
            }
        }
    }

    fn number(&mut self, epoch: &str, url: &str) -> Option<u32> {
        let mut text = String::new();
        self.0.seek(SeekFrom::Start(0)).ok()?;
        self.0.read_to_string(&mut text).ok()?;
        let (stored_epoch, rest) = text.trim_end().split_once(' ')?;
        let (number, stored_url) = rest.split_once(' ')?;
        number.parse().ok().filter(|_| stored_epoch == epoch && stored_url == url)
    }

    fn write(&mut self, epoch: &str, number: u32, url: &str) -> anyhow::Result<()> {
        self.0.set_len(0)?;
        self.0.seek(SeekFrom::Start(0))?;
        self.0.write_all(format!("{epoch} {number} {url}\n").as_bytes())?;
        Ok(self.0.sync_all()?)
    }
}
