//! `paulina replicate`: runs Litestream beside the process that serves a database, each epoch into a folder of its own.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use clap::Args;
use tokio::process::Child;

use super::{Litestream, Replica};
use crate::shutdown;
use crate::store::{Replicating, beside, empty_log, identity, resolved, served};
use crate::telemetry;
use crate::telemetry::LogFormat;

/// Replicate a database with Litestream, beside the process that serves it.
///
/// It runs Litestream while a primary serves the database. Each epoch of the database goes to a folder of its own, URL/1,
/// URL/2 and so on: a new one begins after a restore and a promotion. A replica belongs to one machine: give each its own
/// URL.
#[derive(Debug, Args)]
pub(in crate::cli) struct Replicate {
    /// The registry's SQLite database.
    #[arg(long, env = "PAULINA_DATABASE", default_value = "paulina.db", value_name = "FILE")]
    database: PathBuf,
    /// Where to: `file:///srv/replica`, `s3://bucket/path`, or whatever else Litestream knows.
    #[arg(long, env = "PAULINA_REPLICA_URL", value_name = "URL")]
    to: String,
    /// A configuration of Litestream, which says `${PAULINA_DATABASE}` and `${PAULINA_REPLICA_URL}` for what and where to.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The program Litestream, 0.5.17 or newer.
    #[arg(long, env = "PAULINA_LITESTREAM", default_value = "litestream", value_name = "PROGRAM")]
    litestream: PathBuf,
    /// How log lines look.
    #[arg(long, env = "PAULINA_LOG_FORMAT", default_value = "text", value_enum)]
    log_format: LogFormat,
}

/// How often it is looked who serves the database, and whether it is the same.
const LOOK: Duration = Duration::from_millis(250);
/// How long it rests when Litestream cannot be started.
const AGAIN: Duration = Duration::from_secs(1);
/// How long Litestream has to end by itself when the keyboard has told it to.
const TOLD: Duration = Duration::from_secs(10);
/// How long Litestream may take to upload the rest when it is stopped.
const FAREWELL: Duration = Duration::from_secs(30);

pub(in crate::cli) async fn replicate(arguments: Replicate) -> anyhow::Result<()> {
    telemetry::start(arguments.log_format, "info").context("cannot start the log")?;
    let database = resolved(&arguments.database)?;
    let litestream = Litestream::at(&arguments.litestream).await?;
    let replica = Replica::new(litestream.clone(), &arguments.to);
    let notes = Notes::open(&database)?;
    let mut sidecar = Sidecar { database, litestream, replica, config: arguments.config, notes, seen: None };
    let signal = shutdown::signal().context("cannot wait for signals")?;
    let (mut running, mut told) = (None, false);
    tokio::select! {
        failed = sidecar.run(&mut running) => failed?,
        name = signal => {
            tracing::info!(signal = name, "stopping: the rest is uploaded");
            told = name == "SIGINT";
        }
    }
    stop(&mut running, told).await
}

struct Sidecar {
    database: PathBuf,
    litestream: Litestream,
    replica: Replica,
    config: Option<PathBuf>,
    notes: Notes,
    /// The epoch that was served at the last look, and when its process last wrote that.
    seen: Option<(String, SystemTime)>,
}

/// A Litestream, and which file it was begun for.
struct Running {
    child: Child,
    file: u64,
}

impl Sidecar {
    /// Keeps the Litestream running that belongs to the epoch which is served.
    async fn run(&mut self, running: &mut Option<Running>) -> anyhow::Result<()> {
        // One that was left would keep whoever is to serve the database waiting.
        drop(lock(&self.database).await?);
        let (mut replicated, mut file) = (None, identity(&self.database));
        loop {
            let now = identity(&self.database);
            if std::mem::replace(&mut file, now) != now
                || running.as_ref().is_some_and(|running| now != Some(running.file))
            {
                tracing::warn!("another file was put in the place of the database: its replica ends");
                kill(running).await?;
                (replicated, self.seen) = (None, None);
            }
            if let Some(epoch) = self.served().filter(|epoch| replicated.as_ref() != Some(epoch)) {
                stop(running, false).await?;
                replicated = Some(epoch);
            }
            if let Some(status) =
                running.as_mut().map(|running| running.child.try_wait()).transpose()?.flatten()
            {
                tracing::warn!("litestream ended ({status}); starting it again");
                *running = None;
                tokio::time::sleep(AGAIN).await;
            }
            if let (Some(epoch), None) = (&replicated, &running) {
                match self.start(epoch).await {
                    Ok(started) => *running = Some(started),
                    Err(error) => {
                        tracing::warn!("cannot replicate: {error:#}; trying again");
                        tokio::time::sleep(AGAIN).await;
                    }
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The epoch that a primary serves. What the file beside the database says counts once it was written between two looks:
    /// a process that has just started may not have begun its epoch yet.
    fn served(&mut self) -> Option<String> {
        let now = served(&self.database);
        let before = std::mem::replace(&mut self.seen, now.clone());
        match (before, now) {
            (Some((_, before)), Some((epoch, now))) if now > before => Some(epoch),
            _ => None,
        }
    }

    async fn start(&mut self, epoch: &str) -> anyhow::Result<Running> {
        let mut lock = lock(&self.database).await?;
        let known = self.notes.number(epoch, self.replica.url());
        let number = match known {
            Some(number) => number,
            None => self.replica.first_free().await?,
        };
        if known.is_none() {
            // It would go on where the epoch before has ended.
            self.litestream.reset(&self.database).await?;
            self.notes.write(epoch, number, self.replica.url())?;
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
        let file = identity(&self.database).context("the database is gone")?;
        if !empty_log(&self.database).await? {
            bail!(
                "the log cannot be emptied, since another program holds a read transaction open on the database"
            );
        }
        command.stdin(lock.input()?);
        let child = command.spawn().context("cannot start litestream")?;
        lock.name(child.id().unwrap_or_default(), file)?;
        tracing::info!(epoch, replica = folder, "replicating");
        Ok(Running { child, file })
    }
}

/// How a Litestream is told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It uploads the rest first.
    Asked,
    Killed,
}

fn end(process: Option<u32>, how: End) {
    #[cfg(unix)]
    if let Some(id) = process.and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw) {
        let signal = match how {
            End::Asked => rustix::process::Signal::TERM,
            End::Killed => rustix::process::Signal::KILL,
        };
        let _ = rustix::process::kill_process(id, signal);
    }
    #[cfg(not(unix))]
    let _ = (process, how);
}

/// Lets Litestream upload the rest. A second signal would break that off: from the keyboard it may have been told already.
async fn stop(running: &mut Option<Running>, told: bool) -> anyhow::Result<()> {
    let Some(Running { child, .. }) = running else { return Ok(()) };
    if !told || tokio::time::timeout(TOLD, child.wait()).await.is_err() {
        end(child.id(), End::Asked);
    }
    if tokio::time::timeout(FAREWELL, child.wait()).await.is_err() {
        tracing::warn!("litestream has not ended within {} s: it is killed", FAREWELL.as_secs());
    }
    kill(running).await
}

/// Ends Litestream without another word.
async fn kill(running: &mut Option<Running>) -> anyhow::Result<()> {
    let Some(mut running) = running.take() else { return Ok(()) };
    // An error says that it has ended already.
    let _ = running.child.start_kill();
    running.child.wait().await.map(|_| ()).context("cannot wait for litestream")
}

/// The lock of the Litestream that is to be started. One that has outlived its `paulina replicate` is ended first: two would
/// write one replica.
async fn lock(database: &Path) -> anyhow::Result<Replicating> {
    let mut asked: Option<(Option<u32>, Duration)> = None;
    loop {
        let held =
            Replicating::lock(database).context("cannot lock the database against a second litestream")?;
        let process = match held {
            Ok(lock) => return Ok(lock),
            Err(holder) => holder.map(|holder| holder.process),
        };
        match &mut asked {
            Some((before, waited)) if *before == process => {
                *waited += LOOK;
                if *waited >= FAREWELL {
                    tracing::warn!(process, "it has not ended within {} s: it is killed", FAREWELL.as_secs());
                    end(process, End::Killed);
                    *waited = Duration::ZERO;
                }
            }
            _ => {
                tracing::warn!(
                    process,
                    "a litestream was left when its `paulina replicate` was killed: ending it"
                );
                end(process, End::Asked);
                asked = Some((process, Duration::ZERO));
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Which epoch went to which folder of which replica, in a file that one `paulina replicate` holds.
struct Notes(File);

impl Notes {
    fn open(database: &Path) -> anyhow::Result<Self> {
        let path = beside(database, "-replica");
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
        let (known, rest) = text.trim_end().split_once(' ')?;
        let (number, place) = rest.split_once(' ')?;
        number.parse().ok().filter(|_| known == epoch && place == url)
    }

    fn write(&mut self, epoch: &str, number: u32, url: &str) -> anyhow::Result<()> {
        self.0.set_len(0)?;
        self.0.seek(SeekFrom::Start(0))?;
        self.0.write_all(format!("{epoch} {number} {url}\n").as_bytes())?;
        Ok(self.0.sync_all()?)
    }
}
