//! An in-memory registry for fuzz targets, with real SQLite and a manual clock.

use std::cell::OnceCell;

use paulina::clock::ManualClock;
use paulina::{Options, Registry};
use tokio::runtime::Runtime;

thread_local! {
    static REGISTRY: OnceCell<(Runtime, Registry)> = const { OnceCell::new() };
}

/// Runs a test with the registry, which is reused for all inputs.
pub fn with<T>(test: impl AsyncFnOnce(&Registry) -> T) -> T {
    REGISTRY.with(|cell| {
        let (runtime, registry) = cell.get_or_init(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let options = Options::new().clock(ManualClock::new()).cache_bytes(0);
            let registry = runtime.block_on(options.open(":memory:")).unwrap();
            (runtime, registry)
        });
        runtime.block_on(test(registry))
    })
}
