//! The evaluation set of the search: tools of real servers, and queries with the tools that answer them.
//!
//! `tools.tsv` lists the tools. The ranking is tuned with the queries of `development.tsv`, and measured with those of `test.tsv`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// A query and its relevant tools, each of which answers it.
pub struct Sentence {
    pub text: &'static str,
    pub tools: Vec<&'static str>,
}

fn rows(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    let rows = text.lines().filter(|line| !line.starts_with('#'));
    rows.map(|line| line.split('\t').collect())
}

/// Returns the registrations of the servers with their tools.
pub fn servers() -> Vec<Value> {
    let mut tools: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for row in rows(include_str!("tools.tsv")) {
        let [server, name, parameters, description] = row[..] else {
            panic!("invalid row in tools.tsv: {row:?}")
        };
        let parameters = parameters.split(',').filter(|name| !name.is_empty());
        let properties: Map<_, _> =
            parameters.map(|name| (name.to_owned(), json!({"type": "string"}))).collect();
        tools.entry(server).or_default().push(json!({
            "name": name, "description": description,
            "inputSchema": {"type": "object", "properties": properties},
        }));
    }
    let server = |(name, tools): (&str, Vec<Value>)| json!({"id": name, "name": name, "transport": "stdio", "command": [name], "capabilities": {"tools": tools}});
    tools.into_iter().map(server).collect()
}

fn sentences(text: &'static str) -> Vec<Sentence> {
    let sentence = |row: Vec<&'static str>| {
        let [text, tools] = row[..] else { panic!("invalid row, expected a query and its tools: {row:?}") };
        Sentence { text, tools: tools.split(' ').collect() }
    };
    rows(text).map(sentence).collect()
}

/// Returns the queries for tuning the ranking.
pub fn development() -> Vec<Sentence> {
    sentences(include_str!("development.tsv"))
}

/// Returns the queries for measuring the ranking.
pub fn test() -> Vec<Sentence> {
    sentences(include_str!("test.tsv"))
}

/// The quality of search results; each figure except the last is from 0 to 1.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quality {
    /// The share of queries whose first result is relevant.
    pub recall_at_1: f64,
    /// The share of queries with a relevant result among the first five.
    pub recall_at_5: f64,
    /// The share of queries with a relevant result among the first ten.
    pub recall_at_10: f64,
    /// Mean reciprocal rank of the first relevant result, <https://en.wikipedia.org/wiki/Mean_reciprocal_rank>.
    pub mrr: f64,
    /// Normalized discounted cumulative gain of the first ten, <https://en.wikipedia.org/wiki/Discounted_cumulative_gain>.
    pub ndcg_at_10: f64,
    /// The number of queries without any result.
    pub empty: usize,
}

impl Quality {
    /// Measures the results of these queries.
    #[expect(clippy::cast_precision_loss, reason = "ranks and counts of queries")]
    pub fn of(sentences: &[Sentence], answers: &[Vec<String>]) -> Self {
        let share = 1.0 / sentences.len() as f64;
        let discount = |rank: usize| 1.0 / (rank as f64 + 2.0).log2();
        let mut quality = Self::default();
        for (sentence, answer) in sentences.iter().zip(answers) {
            let is_relevant = |(_, name): &(usize, &String)| sentence.tools.contains(&name.as_str());
            let ranks: Vec<usize> =
                answer.iter().enumerate().filter(is_relevant).map(|(rank, _)| rank).collect();
            if let Some(first) = ranks.first() {
                quality.recall_at_1 += if *first < 1 { share } else { 0.0 };
                quality.recall_at_5 += if *first < 5 { share } else { 0.0 };
                quality.recall_at_10 += if *first < 10 { share } else { 0.0 };
                quality.mrr += share / (*first as f64 + 1.0);
            }
            let ideal_dcg: f64 = (0..sentence.tools.len().min(10)).map(discount).sum();
            let dcg: f64 = ranks.iter().filter(|rank| **rank < 10).map(|rank| discount(*rank)).sum();
            quality.ndcg_at_10 += share * dcg / ideal_dcg;
            quality.empty += usize::from(answer.is_empty());
        }
        quality
    }
}
