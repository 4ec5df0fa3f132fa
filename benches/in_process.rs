//! The API in process: questions asked again, questions answered anew, and writes.
//!
//! ```text
//! cargo bench --features bench --bench in_process
//! ```
//!
//! `table` sets the same operations beside their ceilings.

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

#[path = "catalogue.rs"]
mod catalogue;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

/// A registry of so many servers, made once for each size and kind.
fn registry(size: usize, answers: bool) -> Registry {
    type Made = HashMap<(usize, bool), (Registry, tempfile::TempDir)>;
    static MADE: LazyLock<Mutex<Made>> = LazyLock::new(Mutex::default);
    let mut made = MADE.lock().unwrap();
    let entry = made.entry((size, answers)).or_insert_with(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let bytes = if answers { 32 << 20 } else { 0 };
        let registry = RUNTIME.block_on(async {
            let registry =
                Options::new().answer_cache(bytes).open(folder.path().join("a.db")).await.expect("it opens");
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
    Registration::from_json(catalogue::server(index, None).to_string().as_bytes()).expect("a registration")
}

fn find(bencher: Bencher<'_, '_>, registry: &Registry, filter: &Filter) {
    bencher.bench(|| {
        let page = RUNTIME.block_on(registry.find(filter.clone())).expect("an answer");
        assert_eq!(page.servers.len(), catalogue::MATCHES);
        page
    });
}

#[divan::bench(args = [10, 100, 1_000])]
fn find_by_tool_again(bencher: Bencher<'_, '_>, size: usize) {
    find(bencher, &registry(size, true), &Filter::new().tool("tool_1"));
}

#[divan::bench(args = [10, 100, 1_000])]
fn find_by_tool_anew(bencher: Bencher<'_, '_>, size: usize) {
    find(bencher, &registry(size, false), &Filter::new().tool("tool_1"));
}

#[divan::bench(args = [10, 100, 1_000])]
fn find_by_resource_and_tag_anew(bencher: Bencher<'_, '_>, size: usize) {
    let filter = Filter::new().resource("res://1/notes.txt").tag("production");
    find(bencher, &registry(size, false), &filter);
}

#[divan::bench(args = [10, 100, 1_000])]
fn find_with_schemas_anew(bencher: Bencher<'_, '_>, size: usize) {
    find(bencher, &registry(size, false), &Filter::new().tool("tool_1").view(View::Full));
}

#[divan::bench(args = [10, 100, 1_000])]
fn get_anew(bencher: Bencher<'_, '_>, size: usize) {
    let registry = registry(size, false);
    bencher
        .bench(|| RUNTIME.block_on(registry.get("server-7")).expect("an answer").expect("it is registered"));
}

#[divan::bench(args = [10, 100, 1_000])]
fn health(bencher: Bencher<'_, '_>, size: usize) {
    let registry = registry(size, true);
    bencher.bench(|| registry.health("server-7").expect("an answer").expect("it is registered"));
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
            registry.deregister(&registered).await.expect("it leaves");
        });
    });
}

fn main() {
    divan::main();
}
