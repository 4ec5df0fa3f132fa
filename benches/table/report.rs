//! The result table, as text and JSON.

use serde::Serialize;

/// A line of the table.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    pub operation: String,
    /// Operations per second.
    pub rate: Option<f64>,
    /// Median latency in microseconds.
    pub p50: Option<f64>,
    /// 99th percentile of latency in microseconds.
    pub p99: Option<f64>,
    /// What the operation is compared with.
    pub ceiling: String,
    /// The value to compare with the bar: a ratio to the ceiling, unless there is a unit.
    pub value: f64,
    pub unit: &'static str,
    pub bar: Option<Bar>,
    pub reached: Option<bool>,
}

/// The target of a value.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bar {
    AtLeast(f64),
    AtMost(f64),
}

#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub machine: String,
    pub lines: Vec<Line>,
}

impl Line {
    pub fn new(
        operation: impl Into<String>,
        value: f64,
        unit: &'static str,
        ceiling: impl Into<String>,
    ) -> Self {
        Self {
            operation: operation.into(),
            rate: None,
            p50: None,
            p99: None,
            ceiling: ceiling.into(),
            value,
            unit,
            bar: None,
            reached: None,
        }
    }

    pub fn rate(mut self, sample: &crate::load::Sample) -> Self {
        self.rate = Some(sample.rate);
        self.p50 = Some(sample.percentile(50));
        self.p99 = Some(sample.percentile(99));
        self
    }

    pub fn at_least(mut self, bar: f64) -> Self {
        self.reached = Some(self.value >= bar);
        self.bar = Some(Bar::AtLeast(bar));
        self
    }

    pub fn at_most(mut self, bar: f64) -> Self {
        self.reached = Some(self.value <= bar);
        self.bar = Some(Bar::AtMost(bar));
        self
    }
}

impl Report {
    pub fn add(&mut self, line: Line) {
        if self.lines.is_empty() {
            println!("{}", self.machine);
            println!(
                "{:<58} {:>9} {:>8} {:>8} {:>9}       {:<8} ceiling",
                "operation", "rate/s", "p50 µs", "p99 µs", "value", "bar"
            );
        }
        let number = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.0}"));
        let bar = match line.bar {
            Some(Bar::AtLeast(bar)) => format!("≥ {bar}"),
            Some(Bar::AtMost(bar)) => format!("≤ {bar}"),
            None => String::new(),
        };
        let verdict = match line.reached {
            Some(true) => "ok",
            Some(false) => "MISSED",
            None => "",
        };
        println!(
            "{:<58} {:>9} {:>8} {:>8} {:>9.2} {:<5} {bar:<8} {verdict:<6} {}",
            line.operation,
            number(line.rate),
            number(line.p50),
            number(line.p99),
            line.value,
            line.unit,
            line.ceiling
        );
        self.lines.push(line);
    }
}
