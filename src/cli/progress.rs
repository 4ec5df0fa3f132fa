//! A spinner and a progress bar for operations that take longer than a second.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressDrawTarget, ProgressStyle};

use crate::clock::{Clock, SystemClock};

/// How long an operation runs before its progress is shown.
const DISPLAY_DELAY: Duration = Duration::from_secs(1);
const TICK_INTERVAL: Duration = Duration::from_millis(100);

/// The usual spinner message.
pub(super) const CONTACTING_REGISTRY: &str = "contacting the registry";

/// Awaits an operation and shows a spinner on a terminal once it has taken a second.
pub(super) async fn with_spinner<T>(message: &str, operation: impl Future<Output = T>) -> T {
    let mut operation = std::pin::pin!(operation);
    tokio::select! {
        biased;
        output = &mut operation => return output,
        () = tokio::time::sleep(DISPLAY_DELAY) => {}
    }
    let spinner = indicatif::ProgressBar::new_spinner().with_message(format!("{message} …"));
    if std::io::stderr().is_terminal() {
        spinner.enable_steady_tick(TICK_INTERVAL);
    }
    let output = operation.await;
    spinner.finish_and_clear();
    output
}

/// A progress bar that appears on a terminal once its steps have taken a second.
pub(super) struct ProgressBar {
    bar: indicatif::ProgressBar,
    clock: SystemClock,
}

impl ProgressBar {
    pub(super) fn new(message: &'static str, steps: usize) -> Self {
        let steps = u64::try_from(steps).unwrap_or(u64::MAX);
        let bar = indicatif::ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::hidden())
            .with_message(message);
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}") {
            bar.set_style(style);
        }
        Self { bar, clock: SystemClock::new() }
    }

    pub(super) fn step(&self) {
        self.bar.inc(1);
        if self.bar.is_hidden() && self.clock.monotonic() > DISPLAY_DELAY {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }
}

impl Drop for ProgressBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
