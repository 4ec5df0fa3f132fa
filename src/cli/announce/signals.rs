//! Signals are the server's.

use std::process::ExitStatus;

use rustix::process::{Pid, Signal, getpgrp, kill_process};
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// What a process may be told.
pub(super) struct Signals(Vec<(Signal, Stream)>);

impl Signals {
    /// From now on none of them ends this process.
    pub(super) fn catch() -> std::io::Result<Self> {
        let kinds = [
            (Signal::TERM, SignalKind::terminate()),
            (Signal::INT, SignalKind::interrupt()),
            (Signal::HUP, SignalKind::hangup()),
            (Signal::QUIT, SignalKind::quit()),
            (Signal::USR1, SignalKind::user_defined1()),
            (Signal::USR2, SignalKind::user_defined2()),
        ];
        let caught = kinds.into_iter().map(|(number, kind)| Ok((number, signal(kind)?)));
        caught.collect::<std::io::Result<_>>().map(Self)
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Signal {
        std::future::poll_fn(|context| {
            for (number, stream) in &mut self.0 {
                if stream.poll_recv(context).is_ready() {
                    return std::task::Poll::Ready(*number);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}

/// Tells the server what this process was told. What comes from the keyboard of a terminal has come to both already.
pub(super) fn forward(to: Option<u32>, number: Signal) {
    let from_keyboard = matches!(number, Signal::INT | Signal::QUIT) && is_in_foreground();
    let process = to.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let (Some(process), false) = (process, from_keyboard) {
        let _ = kill_process(process, number);
    }
}

fn is_in_foreground() -> bool {
    let terminal = std::fs::File::open("/dev/tty");
    terminal.is_ok_and(|terminal| rustix::termios::tcgetpgrp(terminal).is_ok_and(|group| group == getpgrp()))
}

/// Ends as the server has ended: by the same signal, if it was one.
pub(super) fn end_like(status: ExitStatus) -> u8 {
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
