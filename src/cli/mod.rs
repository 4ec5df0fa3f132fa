//! The command line, one file a command.

mod doctor;
mod serve;
mod token;

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

/// The registry for MCP servers: which are there, what can they do, are they alive?
#[derive(Debug, Parser)]
#[command(name = "paulina", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve a registry over HTTP.
    Serve(Box<crate::config::Config>),
    /// Make, list and revoke tokens.
    Token(token::Token),
    /// Check a database and a running registry.
    Doctor(doctor::Doctor),
    /// Print the OpenAPI 3.1 document of the HTTP API.
    Openapi,
}

/// Runs the command that the arguments of the process name. 0: done; 1: failed, with the reason on standard error;
/// 2: the arguments are wrong.
#[must_use]
pub fn main() -> ExitCode {
    let Arguments { command } = Arguments::parse();
    let result = match command {
        Command::Serve(config) => serve::run(*config),
        Command::Token(token) => wait(token::run(token)),
        Command::Doctor(doctor) => wait(doctor::run(doctor)),
        Command::Openapi => print(&crate::http::document()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "paulina: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a short command to its end.
fn wait(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start the runtime")?.block_on(command)
}

fn print(text: &str) -> anyhow::Result<()> {
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
