//! A registry in memory for a fuzz target to ask: real SQLite, and a clock that stands still.

use std::cell::OnceCell;

use paulina::clock::ManualClock;
use paulina::{Options, Registry};
use tokio::runtime::Runtime;

thread_local! {
    static HELD: OnceCell<(Runtime, Registry)> = const { OnceCell::new() };
}

/// Runs what is to be tried with the registry, which stays from one input to the next.
pub fn with<T>(act: impl AsyncFnOnce(&Registry) -> T) -> T {
    HELD.with(|held| {
        let (runtime, registry) = held.get_or_init(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let options = Options::new().clock(ManualClock::new()).answer_cache(0);
            let registry = runtime.block_on(options.open(":memory:")).unwrap();
            (runtime, registry)
        });
        runtime.block_on(act(registry))
    })
}
