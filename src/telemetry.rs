//! Logging to standard error, as text or as JSON. Tokens are redacted from every line.

use std::io::{self, Write};

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use crate::model::redact;

/// The format of log lines.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LogFormat {
    /// Human-readable lines.
    Text,
    /// One JSON object per line.
    Json,
}

/// Starts logging. `level` is error, warn, info, debug or trace, or a list of `target=level`.
pub(crate) fn init(format: LogFormat, level: &str) -> Result<(), ParseError> {
    // The MCP library logs requests and disconnects, which are of no use to an operator.
    let silence_rmcp = if level.contains("rmcp") { String::new() } else { ",rmcp=off".to_owned() };
    let filter = EnvFilter::builder().parse(level.to_owned() + &silence_rmcp)?;
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| RedactingWriter(std::io::stderr()));
    match format {
        LogFormat::Text => {
            let use_color = std::io::IsTerminal::is_terminal(&std::io::stderr())
                && std::env::var_os("NO_COLOR").is_none();
            subscriber.with_ansi(use_color).with_target(false).init();
        }
        LogFormat::Json => subscriber.json().with_ansi(false).init(),
    }
    Ok(())
}

/// A writer that redacts tokens. It expects each line in a single call.
struct RedactingWriter<W>(W);

impl<W: Write> Write for RedactingWriter<W> {
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
