//! The command line. Each file contains a command, or the flags that several commands share.

mod announce;
mod backup;
mod client_config;
mod completions;
mod doctor;
mod exit_code;
mod export_import;
mod filters;
mod find;
mod inspect;
mod lease;
mod mcp;
mod output;
mod progress;
mod promote;
mod reference;
mod register;
mod registration_args;
mod registry_args;
mod replica;
mod serve;
mod server_args;
mod show;
mod token;
mod tools;
mod watch;

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand};

/// A registry for MCP servers: find out which servers are running, what they offer, and whether they are healthy.
///
/// Exit codes: 0 success; 1 failure; 2 invalid arguments; 3 not found, or unhealthy; 4 the registry cannot be reached; 5 the
/// registry requires a token, or one with another role; 6 another registry has taken over. `announce` returns the exit code of
/// its server.
#[derive(Debug, Parser)]
#[command(name = "paulina", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// The commands. Each is documented at its arguments; a comment here would replace its long help.
#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<crate::config::Config>),
    Announce(Box<announce::Announce>),
    Inspect(Box<inspect::Inspect>),
    Ls(find::Ls),
    Find(Box<find::Find>),
    Tools(Box<tools::Tools>),
    Watch(Box<watch::WatchCommand>),
    Show(show::Show),
    Health(lease::HealthArgs),
    Register(Box<register::Register>),
    Refresh(lease::Refresh),
    Deregister(lease::Deregister),
    Export(export_import::Export),
    Import(export_import::Import),
    Config(Box<client_config::ClientConfig>),
    Mcp(mcp::Mcp),
    Token(token::Token),
    Backup(backup::Backup),
    Replicate(Box<replica::Replicate>),
    Promote(promote::Promote),
    Doctor(doctor::Doctor),
    /// Print the OpenAPI 3.1 document of the HTTP API.
    Openapi,
    #[command(hide = true)]
    Reference(reference::Reference),
    Completions(completions::Completions),
}

/// Runs the command that is named by the arguments of the process.
#[must_use]
pub fn main() -> ExitCode {
    let Arguments { command } = Arguments::parse();
    match run(command) {
        Ok(code) => code,
        Err(error) if exit_code::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "paulina: {}", exit_code::user_message(&error));
            ExitCode::from(exit_code::of(&error))
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(config) => serve::run(*config)?,
        Command::Announce(announce) => return block_on(announce::run(*announce)),
        Command::Inspect(inspect) => block_on(inspect::run(*inspect))?,
        Command::Ls(ls) => block_on(find::ls(ls))?,
        Command::Find(find) => block_on(find::find(*find))?,
        Command::Tools(tools) => block_on(tools::run(*tools))?,
        Command::Watch(watch) => block_on(watch::run(*watch))?,
        Command::Show(show) => block_on(show::run(show))?,
        Command::Health(health) => block_on(lease::health(health))?,
        Command::Register(register) => block_on(register::run(*register))?,
        Command::Refresh(refresh) => block_on(lease::refresh(refresh))?,
        Command::Deregister(deregister) => block_on(lease::deregister(deregister))?,
        Command::Export(export) => block_on(export_import::export(export))?,
        Command::Import(import) => block_on(export_import::import(import))?,
        Command::Config(config) => block_on(client_config::run(*config))?,
        Command::Mcp(mcp) => block_on(mcp::run(mcp))?,
        Command::Token(token) => block_on(token::run(token))?,
        Command::Backup(backup) => block_on(backup::run(backup))?,
        Command::Replicate(arguments) => block_on(replica::replicate(*arguments))?,
        Command::Promote(promote) => block_on(promote::run(promote))?,
        Command::Doctor(doctor) => block_on(doctor::run(doctor))?,
        Command::Openapi => print(crate::http::document().as_bytes())?,
        Command::Reference(reference) => block_on(reference::run(reference, Arguments::command()))?,
        Command::Completions(completions) => completions::run(&completions)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs an asynchronous command on a single-threaded runtime.
fn block_on<T>(command: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start the runtime")?.block_on(command)
}

fn print(text: &[u8]) -> anyhow::Result<()> {
    Ok(std::io::stdout().write_all(text)?)
}
