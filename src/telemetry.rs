//! Logs: for people, or as JSON for programs; on standard error either way. No line shows a token.

use std::io::{self, Write};

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use crate::model::redact;

/// How log lines look.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging: `level` is one of error, warn, info, debug and trace, or a list of `target=level`.
pub(crate) fn start(format: LogFormat, level: &str) -> Result<(), ParseError> {
    // What the MCP server's library says of requests, and of clients that go away, is of no use to an operator.
    let quiet = if level.contains("rmcp") { String::new() } else { ",rmcp=off".to_owned() };
    let filter = EnvFilter::builder().parse(level.to_owned() + &quiet)?;
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Redacting(std::io::stderr()));
    match format {
        LogFormat::Text => {
            let colour = std::io::IsTerminal::is_terminal(&std::io::stderr())
                && std::env::var_os("NO_COLOR").is_none();
            subscriber.with_ansi(colour).with_target(false).init();
        }
        LogFormat::Json => subscriber.json().with_ansi(false).init(),
    }
    Ok(())
}

/// Takes what looks like a token out of each line. A line is written in one call.
struct Redacting<W>(W);

impl<W: Write> Write for Redacting<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match std::str::from_utf8(line) {
            Ok(text) => self.0.write_all(redact(text).as_bytes())?,
            Err(_) => self.0.write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
