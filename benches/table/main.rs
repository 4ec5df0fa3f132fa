//! Measures operations of the registry, over HTTP and in process, and compares them with their ceilings.
//!
//! ```text
//! cargo bench --features bench --bench table                   everything, about five minutes
//! cargo bench --features bench --bench table -- http growth    only these parts
//! ```
//!
//! Parts are `http`, `refresh`, `register`, `process`, `growth` and `prune`. The ceiling of each operation is measured in
//! the same run: rounds of both alternate, and their medians are compared. The table is also written to
//! `target/bench/table.json`.

#![expect(unreachable_pub, reason = "a program")]
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a benchmark measures real time and panics on errors"
)]

#[path = "../catalog.rs"]
mod catalog;
mod growth;
mod http;
mod in_process;
mod load;
mod process;
mod prune;
mod register;
mod report;

use report::Report;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [flag, address] = &arguments[..]
        && flag == "--bare"
    {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(process::serve_bare(address.parse().expect("an address")));
        return;
    }
    let wanted = |part: &str| arguments.is_empty() || arguments.iter().any(|argument| argument == part);
    let mut report = Report { machine: machine(), ..Report::default() };
    // The load generator has a single thread; the servers are processes with any number of threads.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    if wanted("http") {
        runtime.block_on(http::measure(&mut report));
    }
    if wanted("refresh") {
        runtime.block_on(http::measure_refreshes(&mut report));
    }
    if wanted("register") {
        runtime.block_on(register::measure(&mut report));
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    if wanted("process") {
        runtime.block_on(in_process::measure(&mut report));
    }
    if wanted("growth") {
        runtime.block_on(growth::measure(&mut report));
    }
    if wanted("prune") {
        runtime.block_on(prune::measure(&mut report));
    }
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    std::fs::create_dir_all(&folder).expect("a folder");
    let json = serde_json::to_string_pretty(&report).expect("JSON");
    std::fs::write(folder.join("table.json"), json).expect("a file");
    let missed = report.lines.iter().filter(|line| line.reached == Some(false)).count();
    println!("\n{missed} missed; as JSON in target/bench/table.json");
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    format!("{cores} cores, {}", model.trim_start_matches([' ', '\t', ':']))
}

/// Returns the median.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
