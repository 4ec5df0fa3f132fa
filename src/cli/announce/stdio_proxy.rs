//! Wraps a stdio server.
//!
//! The server inherits standard input and standard error; a dedicated thread copies its standard output. The registry is
//! handled separately. The server's environment does not contain `PAULINA_TOKEN`.

use std::convert::Infallible;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::process::{Child, Command};
use tokio::sync::{oneshot, watch};

use super::recheck::RecheckThrottle;
use super::relay::{self, RelayProgress, StandardOutput};
use super::{Announce, log_status};
use crate::client::{Client, Heartbeat};
use crate::clock::{Clock, SystemClock};
use crate::mcp::{ANNOUNCED_VARIABLE, Target};
use crate::model::Registration;

/// How soon a server that could not be described is read again.
const RETRY_INTERVAL: Duration = Duration::from_secs(30);
/// How long the output may be silent before it is abandoned, once the server has exited.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);

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
        Err(error) => return Ok(start_failure(command, &error)),
    };
    let (change_sender, list_changed) = watch::channel(0_u64);
    let relay = start_relay(&mut child, change_sender.clone())?;
    let id = child.id();
    let mut heartbeat = None;
    let status = {
        let mut registration =
            std::pin::pin!(keep_registered(announce, client, target, list_changed, &mut heartbeat));
        loop {
            #[cfg(unix)]
            let next_signal = signals.next();
            #[cfg(not(unix))]
            let next_signal = std::future::pending::<()>();
            tokio::select! {
                status = child.wait() => break status.context("cannot wait for the server")?,
                signal = next_signal => {
                    #[cfg(unix)]
                    super::signals::forward(id, &signal);
                }
                never = &mut registration => match never {},
            }
        }
    };
    let deregistration = async {
        if let Some(heartbeat) = heartbeat {
            heartbeat.stop().await;
        }
    };
    tokio::join!(relay.drain(), deregistration);
    Ok(ExitCode::from(exit_code(status)))
}

fn start(command: &[String]) -> std::io::Result<Child> {
    let (program, arguments) = command.split_first().ok_or(std::io::ErrorKind::NotFound)?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdout(Stdio::piped())
        .env_remove("PAULINA_TOKEN")
        .env(ANNOUNCED_VARIABLE, "1")
        .spawn()
}

/// Returns the exit code that a shell would: 127 if the program is not found, 126 if it cannot be run.
fn start_failure(command: &[String], error: &std::io::Error) -> ExitCode {
    let program = command.first().map_or("", String::as_str);
    tracing::error!("cannot start {program}: {error}");
    ExitCode::from(if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 })
}

/// The running copy of the server's output to the client.
struct Relay {
    done: oneshot::Receiver<()>,
    progress: Arc<RelayProgress>,
}

impl Relay {
    /// Waits until the client has read all output. If the server has left a process behind that keeps its standard output
    /// open, waits only until that process is silent.
    async fn drain(mut self) {
        let mut before = None;
        while tokio::time::timeout(DRAIN_TIMEOUT, &mut self.done).await.is_err() {
            let chunks = self.progress.chunks();
            if chunks.is_some() && chunks == before {
                return;
            }
            before = chunks;
        }
    }
}

/// Starts the thread that copies the output of the server.
fn start_relay(child: &mut Child, list_changes: watch::Sender<u64>) -> anyhow::Result<Relay> {
    let stdout = child.stdout.take().context("the server has no standard output")?;
    #[cfg(unix)]
    let stdout = std::fs::File::from(stdout.into_owned_fd().context("cannot read the output of the server")?);
    #[cfg(windows)]
    let stdout =
        std::fs::File::from(stdout.into_owned_handle().context("cannot read the output of the server")?);
    let (done_sender, done) = oneshot::channel();
    let progress = Arc::new(RelayProgress::default());
    let shared = Arc::clone(&progress);
    let mut out = StandardOutput::open().context("cannot open standard output")?;
    std::thread::spawn(move || {
        // When the client closes its end, the server's next write fails, as it would without a proxy. When the server closes
        // its output, so does this process.
        let _ = relay::copy(stdout, &mut out, &list_changes, &shared);
        let _ = out.close();
        let _ = done_sender.send(());
    });
    Ok(Relay { done, progress })
}

#[cfg(unix)]
fn exit_code(status: ExitStatus) -> u8 {
    super::signals::exit_like(status)
}

#[cfg(not(unix))]
fn exit_code(status: ExitStatus) -> u8 {
    status.code().and_then(|code| u8::try_from(code & 0xFF).ok()).unwrap_or(1)
}

/// Keeps the server registered with its current tools, resources and prompts.
async fn keep_registered(
    announce: &Announce,
    client: &Client,
    target: &Target,
    mut list_changed: watch::Receiver<u64>,
    heartbeat: &mut Option<Heartbeat>,
) -> Infallible {
    let clock = SystemClock::new();
    let mut throttle = RecheckThrottle::new(announce.recheck_interval);
    let mut registered = None;
    let mut last_warning = String::new();
    loop {
        list_changed.mark_unchanged();
        throttle.record_check(clock.monotonic());
        let described = announce.server_args.describe(target, &announce.registration_args).await;
        let outcome = described.map_err(|error| error.to_string()).and_then(|registration| {
            if registered.as_ref() != Some(&registration) {
                register_or_replace(client, heartbeat, registration.clone())
                    .map_err(|invalid| invalid.to_string())?;
                registered = Some(registration);
            }
            Ok(())
        });
        let pause = match outcome {
            Ok(()) => {
                last_warning.clear();
                announce.recheck_interval
            }
            Err(reason) => {
                if last_warning != reason {
                    tracing::warn!("cannot describe the server: {reason}");
                    last_warning = reason;
                }
                announce.recheck_interval.min(RETRY_INTERVAL)
            }
        };
        let recheck = clock.monotonic() + pause;
        let notified = async {
            // The sender lives as long as the server.
            let _ = list_changed.changed().await;
            clock.sleep_until(throttle.next_check(clock.monotonic())).await;
        };
        tokio::select! {
            () = notified => {}
            () = clock.sleep_until(recheck) => {}
        }
    }
}

fn register_or_replace(
    client: &Client,
    heartbeat: &mut Option<Heartbeat>,
    registration: Registration,
) -> Result<(), crate::model::InvalidRegistration> {
    if let Some(heartbeat) = heartbeat {
        return heartbeat.replace(registration);
    }
    let started = client.keep_alive(registration)?;
    log_status::log_changes(&started);
    *heartbeat = Some(started);
    Ok(())
}
