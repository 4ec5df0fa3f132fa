//! Logs: for people, or as JSON for programs; on standard error either way.

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

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
    let filter = EnvFilter::builder().parse(level)?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
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
