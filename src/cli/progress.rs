//! A spinner for what takes longer than a second.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::clock::{Clock, SystemClock};

const UNNOTICED: Duration = Duration::from_secs(1);
const TURN: Duration = Duration::from_millis(100);

/// What is waited for most of the time.
pub(super) const ASKING: &str = "asking the registry";

/// Waits for something, and says so on a terminal when it takes longer than a second.
pub(super) async fn patiently<T>(what: &str, waited_for: impl Future<Output = T>) -> T {
    let mut waited_for = std::pin::pin!(waited_for);
    tokio::select! {
        biased;
        done = &mut waited_for => return done,
        () = tokio::time::sleep(UNNOTICED) => {}
    }
    let spinner = ProgressBar::new_spinner().with_message(format!("{what} …"));
    if std::io::stderr().is_terminal() {
        spinner.enable_steady_tick(TURN);
    }
    let done = waited_for.await;
    spinner.finish_and_clear();
    done
}

/// A bar for so many steps, on a terminal, once they have taken a second.
pub(super) struct Bar {
    bar: ProgressBar,
    clock: SystemClock,
}

impl Bar {
    pub(super) fn new(what: &'static str, steps: usize) -> Self {
        let steps = u64::try_from(steps).unwrap_or(u64::MAX);
        let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::hidden()).with_message(what);
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}") {
            bar.set_style(style);
        }
        Self { bar, clock: SystemClock::new() }
    }

    pub(super) fn step(&self) {
        self.bar.inc(1);
        if self.bar.is_hidden() && self.clock.monotonic() > UNNOTICED {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
