//! A spinner for what takes longer than a second.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

const UNNOTICED: Duration = Duration::from_secs(1);
const TURN: Duration = Duration::from_millis(100);

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

/// A bar for so many steps, which shows itself after a second, on a terminal.
pub(super) fn bar(what: &'static str, steps: usize) -> ProgressBar {
    let bar = ProgressBar::new(u64::try_from(steps).unwrap_or(u64::MAX)).with_message(what);
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}") {
        bar.set_style(style);
    }
    bar
}
