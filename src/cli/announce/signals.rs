//! Forwards signals to the server.
//!
//! Signals from the kernel are not forwarded: those of a terminal reach both processes. Signals that this process was started
//! to ignore (`nohup`) are not caught, so that the server ignores them as well.

use std::io;
use std::process::ExitStatus;

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::iterator::exfiltrator::origin::Origin;
use tokio::sync::mpsc;

/// The signals that this process receives.
pub(super) struct Signals(mpsc::UnboundedReceiver<Origin>);

impl Signals {
    /// Starts to catch signals, which from then on do not end this process.
    pub(super) fn catch() -> io::Result<Self> {
        let ignored = ignored_signals();
        let all = [SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2];
        let caught = all.into_iter().filter(|number| ignored & (1 << (number - 1)) == 0);
        let mut signals = SignalsInfo::<WithOrigin>::new(caught)?;
        let (sender, receiver) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for origin in &mut signals {
                if sender.send(origin).is_err() {
                    return;
                }
            }
        });
        Ok(Self(receiver))
    }

    /// Waits for the next signal.
    pub(super) async fn next(&mut self) -> Origin {
        match self.0.recv().await {
            Some(origin) => origin,
            None => std::future::pending().await,
        }
    }
}

/// Returns the signals that this process was started to ignore, as a bit mask. Known only on Linux; elsewhere 0.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

/// Forwards a signal that another process has sent.
pub(super) fn forward(to: Option<u32>, origin: &Origin) {
    let process = to.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let number = Signal::from_named_raw(origin.signal);
    if let (Some(process), Some(number), Some(_)) = (process, number, &origin.process) {
        let _ = kill_process(process, number);
    }
}

/// Returns the exit code of the server. If a signal ended the server, ends this process by the same signal.
pub(super) fn exit_like(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    let Some(number) = status.signal() else {
        return status.code().and_then(|code| u8::try_from(code & 0xFF).ok()).unwrap_or(1);
    };
    let _ = signal_hook::low_level::emulate_default_handler(number);
    if let Some(kill) = Signal::from_named_raw(number) {
        let _ = kill_process(rustix::process::getpid(), kill);
    }
    u8::try_from(128 + number).unwrap_or(u8::MAX)
}
