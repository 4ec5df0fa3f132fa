//! The set that searching is judged by: tools as real servers have them, sentences, and for each the tools that do it.
//!
//! `tools.tsv` has the tools. `development.tsv` is what ranking is worked on with; `test.tsv` is looked at when that is done.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// A sentence and the tools that do what it says, any of them.
pub struct Sentence {
    pub text: &'static str,
    pub tools: Vec<&'static str>,
}

fn rows(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    let rows = text.lines().filter(|line| !line.starts_with('#'));
    rows.map(|line| line.split('\t').collect())
}

/// The servers with their tools, to be registered.
pub fn servers() -> Vec<Value> {
    let mut tools: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for row in rows(include_str!("tools.tsv")) {
        let [server, name, parameters, description] = row[..] else { panic!("no row of tools.tsv: {row:?}") };
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
        let [text, tools] = row[..] else { panic!("no sentence and its tools: {row:?}") };
        Sentence { text, tools: tools.split(' ').collect() }
    };
    rows(text).map(sentence).collect()
}

/// What ranking is worked on with.
pub fn development() -> Vec<Sentence> {
    sentences(include_str!("development.tsv"))
}

/// What ranking is judged by.
pub fn test() -> Vec<Sentence> {
    sentences(include_str!("test.tsv"))
}

/// How good answers are, each figure from 0 to 1 but the last.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quality {
    /// The share of sentences of which the first answer is right.
    pub recall_at_1: f64,
    /// Of which one of the first five is.
    pub recall_at_5: f64,
    /// Of which one of the first ten is.
    pub recall_at_10: f64,
    /// Mean reciprocal rank of the first right answer, <https://en.wikipedia.org/wiki/Mean_reciprocal_rank>.
    pub mrr: f64,
    /// Normalized discounted cumulative gain of the first ten, <https://en.wikipedia.org/wiki/Discounted_cumulative_gain>.
    pub ndcg_at_10: f64,
    /// How many sentences have no answer at all.
    pub empty: usize,
}

impl Quality {
    /// Of the answers to these sentences.
    #[expect(clippy::cast_precision_loss, reason = "ranks and counts of sentences")]
    pub fn of(sentences: &[Sentence], answers: &[Vec<String>]) -> Self {
        let share = 1.0 / sentences.len() as f64;
        let gain = |rank: usize| 1.0 / (rank as f64 + 2.0).log2();
        let mut quality = Self::default();
        for (sentence, answer) in sentences.iter().zip(answers) {
            let right = |(_, name): &(usize, &String)| sentence.tools.contains(&name.as_str());
            let ranks: Vec<usize> = answer.iter().enumerate().filter(right).map(|(rank, _)| rank).collect();
            if let Some(first) = ranks.first() {
                quality.recall_at_1 += if *first < 1 { share } else { 0.0 };
                quality.recall_at_5 += if *first < 5 { share } else { 0.0 };
                quality.recall_at_10 += if *first < 10 { share } else { 0.0 };
                quality.mrr += share / (*first as f64 + 1.0);
            }
            let ideal: f64 = (0..sentence.tools.len().min(10)).map(gain).sum();
            let reached: f64 = ranks.iter().filter(|rank| **rank < 10).map(|rank| gain(*rank)).sum();
            quality.ndcg_at_10 += share * reached / ideal;
            quality.empty += usize::from(answer.is_empty());
        }
        quality
    }
}
