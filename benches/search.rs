//! Measures search quality and latency for each search signal, on the evaluation set in `tests/search`.
//!
//! ```text
//! cargo bench --features bench --bench search
//! cargo bench --features bench --bench search -- misses     # also lists the sentences whose first result is wrong
//! ```

#![expect(
    unreachable_pub,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark"
)]

use std::time::Instant;

use paulina::Registration;
use paulina::bench_support::{SearchBench, SearchMode};

#[path = "../tests/search/set.rs"]
mod set;

use set::{Quality, Sentence};

const MODES: [SearchMode; 4] =
    [SearchMode::Strict, SearchMode::Lexical, SearchMode::Semantic, SearchMode::Both];

fn main() {
    let mut search = SearchBench::default();
    let servers = set::servers();
    for (number, server) in (1..).zip(&servers) {
        let registration = Registration::from_json(server.to_string().as_bytes()).expect("a registration");
        search.add(number, registration);
    }
    let wants_misses = std::env::args().any(|argument| argument == "misses");
    println!("| half | mode | recall@1 | @5 | @10 | MRR | nDCG@10 | no result | µs p50 | p99 |");
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for (half, sentences) in [("development", set::development()), ("test", set::test())] {
        for mode in MODES {
            row(&search, half, &sentences, mode);
        }
        if wants_misses {
            misses(&search, &sentences);
        }
    }
}

fn row(search: &SearchBench, half: &str, sentences: &[Sentence], mode: SearchMode) {
    let mut times = Vec::new();
    let search_tools = |sentence: &Sentence| {
        let start = Instant::now();
        let results = search.tools(sentence.text, mode);
        times.push(start.elapsed().as_micros());
        results
    };
    let results: Vec<Vec<String>> = sentences.iter().map(search_tools).collect();
    times.sort_unstable();
    let Quality { recall_at_1, recall_at_5, recall_at_10, mrr, ndcg_at_10, empty } =
        Quality::of(sentences, &results);
    println!(
        "| {half} | {mode:?} | {recall_at_1:.3} | {recall_at_5:.3} | {recall_at_10:.3} | {mrr:.3} | {ndcg_at_10:.3} | \
         {empty} of {} | {} | {} |",
        sentences.len(),
        times[times.len() / 2],
        times[times.len() * 99 / 100],
    );
}

fn misses(search: &SearchBench, sentences: &[Sentence]) {
    for Sentence { text, tools } in sentences {
        let results = search.tools(text, SearchMode::Both);
        if !results.first().is_some_and(|first| tools.contains(&first.as_str())) {
            println!("{text}: {:?}, not {tools:?}", results.iter().take(3).collect::<Vec<_>>());
        }
    }
}
