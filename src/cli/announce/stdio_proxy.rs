//! Standing in for a server over standard input and output.
//!
//! The server has this process's standard input and standard error themselves, so that nothing can get between; its standard
//! output passes through a thread that does nothing else. Everything about the registry happens beside that. What Paulina is
//! trusted with (`PAULINA_TOKEN`) is kept from the server.

use std::convert::Infallible;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::process::{Child, Command};
use tokio::sync::{oneshot, watch};

use super::recheck::Pace;
use super::{Announce, log_status, relay};
use crate::client::{Client, Heartbeat};
use crate::clock::{Clock, SystemClock};
use crate::mcp::{ANNOUNCED, Target};
use crate::model::Registration;

/// How soon a server that could not be described is asked again.
const AGAIN: Duration = Duration::from_secs(30);
/// How long a process that the server has left behind may say nothing.
const REST: Duration = Duration::from_millis(500);

pub(super) async fn run(
    announce: &Announce,
    client: &Client,
    target: &Target,
    command: &[String],
) -> anyhow::Result<ExitCode> {
    #[cfg(unix)]
    let mut signals = super::signals::Signals::catch().context("cannot wait for signals")?;
    let mut child = match start(command) {
        Ok(child) => child,
        Err(error) => return Ok(not_started(command, &error)),
    };
    let (heard, changes) = watch::channel(0_u64);
    let passing = passing(&mut child, heard.clone())?;
    let id = child.id();
    let mut heartbeat = None;
    let status = {
        let mut keeping = std::pin::pin!(keep(announce, client, target, changes, &mut heartbeat));
        loop {
            #[cfg(unix)]
            let signalled = signals.next();
            #[cfg(not(unix))]
            let signalled = std::future::pending::<()>();
            tokio::select! {
                status = child.wait() => break status.context("cannot wait for the server")?,
                signal = signalled => {
                    #[cfg(unix)]
                    super::signals::forward(id, &signal);
                }
                never = &mut keeping => match never {},
            }
        }
    };
    let leaving = async {
        if let Some(heartbeat) = heartbeat {
            heartbeat.stop().await;
        }
    };
    tokio::join!(passing.rest(), leaving);
    Ok(ExitCode::from(ended(status)))
}

fn start(command: &[String]) -> std::io::Result<Child> {
    let (program, arguments) = command.split_first().ok_or(std::io::ErrorKind::NotFound)?;
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::piped()).env_remove("PAULINA_TOKEN").env(ANNOUNCED, "1").spawn()
}

/// As a shell says it: 127 for what is not there, 126 for what cannot be run.
fn not_started(command: &[String], error: &std::io::Error) -> ExitCode {
    let program = command.first().map_or("", String::as_str);
    tracing::error!("cannot start {program}: {error}");
    ExitCode::from(if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 })
}

/// What the server says, on its way to the client.
struct Passing {
    done: oneshot::Receiver<()>,
    progress: Arc<relay::Progress>,
}

impl Passing {
    /// Waits until all that the server has said is passed on, as slowly as the client takes it. The end may never come, where
    /// the server has left a process behind that holds its standard output: then until that says nothing any more.
    async fn rest(mut self) {
        let mut before = None;
        while tokio::time::timeout(REST, &mut self.done).await.is_err() {
            let pieces = self.progress.pieces();
            if pieces.is_some() && pieces == before {
                return;
            }
            before = pieces;
        }
    }
}

/// Passes on what the server says.
fn passing(child: &mut Child, heard: watch::Sender<u64>) -> anyhow::Result<Passing> {
    let stdout = child.stdout.take().context("the server has no standard output")?;
    #[cfg(unix)]
    let stdout = std::fs::File::from(stdout.into_owned_fd().context("cannot read what the server says")?);
    #[cfg(windows)]
    let stdout = std::fs::File::from(stdout.into_owned_handle().context("cannot read what the server says")?);
    let (finished, done) = oneshot::channel();
    let progress = Arc::new(relay::Progress::default());
    let shared = Arc::clone(&progress);
    let mut out = relay::Out::of_process().context("there is no standard output")?;
    std::thread::spawn(move || {
        // When nobody reads on, the server is told so by its next write, as if it were alone; when it says no more, so is the
        // client.
        let _ = relay::pass(stdout, &mut out, &heard, &shared);
        let _ = out.end();
        let _ = finished.send(());
    });
    Ok(Passing { done, progress })
}

#[cfg(unix)]
fn ended(status: ExitStatus) -> u8 {
    super::signals::end_like(status)
}

#[cfg(not(unix))]
fn ended(status: ExitStatus) -> u8 {
    status.code().and_then(|code| u8::try_from(code & 0xFF).ok()).unwrap_or(1)
}

/// Keeps the server registered under what it can do.
async fn keep(
    announce: &Announce,
    client: &Client,
    target: &Target,
    mut changes: watch::Receiver<u64>,
    heartbeat: &mut Option<Heartbeat>,
) -> Infallible {
    let clock = SystemClock::new();
    let mut pace = Pace::new(announce.recheck);
    let mut known = None;
    let mut complaint = String::new();
    loop {
        changes.mark_unchanged();
        pace.asked(clock.monotonic());
        let described = announce.reached.describe(target, &announce.said).await;
        let outcome = described.map_err(|error| error.to_string()).and_then(|registration| {
            if known.as_ref() != Some(&registration) {
                put(client, heartbeat, registration.clone()).map_err(|invalid| invalid.to_string())?;
                known = Some(registration);
            }
            Ok(())
        });
        let pause = match outcome {
            Ok(()) => {
                complaint.clear();
                announce.recheck
            }
            Err(why) => {
                if complaint != why {
                    tracing::warn!("cannot tell what the server can do: {why}");
                    complaint = why;
                }
                announce.recheck.min(AGAIN)
            }
        };
        let recheck = clock.monotonic() + pause;
        let told = async {
            // The sender lives as long as the server.
            let _ = changes.changed().await;
            clock.sleep_until(pace.due(clock.monotonic())).await;
        };
        tokio::select! {
            () = told => {}
            () = clock.sleep_until(recheck) => {}
        }
    }
}

fn put(
    client: &Client,
    heartbeat: &mut Option<Heartbeat>,
    registration: Registration,
) -> Result<(), crate::model::Invalid> {
    if let Some(heartbeat) = heartbeat {
        return heartbeat.replace(registration);
    }
    let begun = client.keep_alive(registration)?;
    log_status::tell(&begun);
    *heartbeat = Some(begun);
    Ok(())
}
