//! Benchmarks of the in-process API: cached and uncached queries, and writes.
//!
//! ```text
//! cargo bench --features bench --bench in_process
//! ```
//!
//! The benchmark `table` compares the same operations with their ceilings.

#![expect(
    unreachable_pub,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark"
)]

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use divan::Bencher;
use paulina::{Filter, Options, Registration, Registry, View};
use tokio::runtime::Runtime;

#[path = "catalog.rs"]
mod catalog;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

/// Returns a registry with this number of servers, which is created once per size and kind.
fn registry(size: usize, is_cached: bool) -> Registry {
    type Registries = HashMap<(usize, bool), (Registry, tempfile::TempDir)>;
    static REGISTRIES: LazyLock<Mutex<Registries>> = LazyLock::new(Mutex::default);
    let mut registries = REGISTRIES.lock().unwrap();
    let entry = registries.entry((size, is_cached)).or_insert_with(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let bytes = if is_cached { 32 << 20 } else { 0 };
        let registry = RUNTIME.block_on(async {
            let registry =
                Options::new().cache_bytes(bytes).open(folder.path().join("a.db")).await.expect("it opens");
            for index in 0..size {
                registry.register_valid(registration(index)).await.expect("it is registered");
            }
            registry
        });
        (registry, folder)
    });
    entry.0.clone()
}

fn registration(index: usize) -> paulina::ValidRegistration {
    Registration::from_json(catalog::server(index, None).to_string().as_bytes()).expect("a registration")
}

fn find(bencher: Bencher<'_, '_>, registry: &Registry, filter: &Filter) {
    bencher.bench(|| {
        let page = RUNTIME.block_on(registry.find(filter.clone())).expect("a result");
        assert_eq!(page.servers.len(), catalog::MATCHES);
        page
    });
}

#[divan::bench(args = [10, 100, 1_000])]
fn find_by_tool_cached(bencher: Bencher<'_, '_>, size: usize) {
    find(bencher, &registry(size, true), &Filter::new().tool("tool_1"));
}

#[divan::bench(args = [10, 100, 1_000])]
fn find_by_tool_uncached(bencher: Bencher<'_, '_>, size: usize) {
    find(bencher, &registry(size, false), &Filter::new().tool("tool_1"));
}

#[divan::bench(args = [10, 100, 1_000])]
fn find_by_resource_and_tag_uncached(bencher: Bencher<'_, '_>, size: usize) {
    let filter = Filter::new().resource("res://1/notes.txt").tag("production");
    find(bencher, &registry(size, false), &filter);
}

#[divan::bench(args = [10, 100, 1_000])]
fn find_with_schemas_uncached(bencher: Bencher<'_, '_>, size: usize) {
    find(bencher, &registry(size, false), &Filter::new().tool("tool_1").view(View::Full));
}

#[divan::bench(args = [10, 100, 1_000])]
fn get_uncached(bencher: Bencher<'_, '_>, size: usize) {
    let registry = registry(size, false);
    bencher
        .bench(|| RUNTIME.block_on(registry.get("server-7")).expect("a result").expect("it is registered"));
}

#[divan::bench(args = [10, 100, 1_000])]
fn health(bencher: Bencher<'_, '_>, size: usize) {
    let registry = registry(size, true);
    bencher.bench(|| registry.health("server-7").expect("a result").expect("it is registered"));
}

#[divan::bench(args = [10, 100, 1_000])]
fn refresh(bencher: Bencher<'_, '_>, size: usize) {
    let registry = registry(size, true);
    bencher.bench(|| RUNTIME.block_on(registry.refresh("server-7")).expect("it is registered"));
}

#[divan::bench(args = [10, 100, 1_000], sample_count = 50)]
fn register_and_deregister(bencher: Bencher<'_, '_>, size: usize) {
    let registry = registry(size, true);
    bencher.with_inputs(|| registration(1_000_000)).bench_values(|registration| {
        RUNTIME.block_on(async {
            let registered = registry.register_valid(registration).await.expect("it is registered");
            registry.deregister(&registered).await.expect("it is deregistered");
        });
    });
}

fn main() {
    divan::main();
}
