//! The command line, one file a command.

mod announce;
mod backup;
mod client_config;
mod completions;
mod doctor;
mod export_import;
mod filters;
mod find;
mod inspect;
mod lease;
mod mcp;
mod output;
mod progress;
mod promote;
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
use clap::{Parser, Subcommand};

/// The registry for MCP servers: which are there, what can they do, are they alive?
///
/// Exit codes: 0 done; 1 failed; 2 wrong arguments; 3 what was asked for is not there, or is unhealthy; 4 no registry answers;
/// 5 the registry asks for a token, or for one that may do more; 6 another registry took over from this one. `announce` ends as its server does.
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
    /// Register an MCP server with all that it can do, for as long as it lives.
    Announce(Box<announce::Announce>),
    /// Ask an MCP server what it can do, without a registry.
    Inspect(Box<inspect::Inspect>),
    /// List all servers.
    Ls(find::Ls),
    /// Find servers by what they can do.
    Find(Box<find::Find>),
    /// List tools, with the servers that offer them.
    Tools(Box<tools::Tools>),
    /// Watch servers come, change and go.
    Watch(Box<watch::Watch>),
    /// Show one server with all that it registered.
    Show(show::Show),
    /// Say whether a server is alive, or whether the registry is ready.
    Health(lease::HealthOf),
    /// Register a server by hand.
    Register(Box<register::Register>),
    /// Renew leases.
    Refresh(lease::Refresh),
    /// Take servers out.
    Deregister(lease::Deregister),
    /// Write all registrations as JSON.
    Export(export_import::Export),
    /// Register what export has written.
    Import(export_import::Import),
    /// Write a file for an MCP client that knows all servers.
    Config(Box<client_config::Config>),
    /// Serve what is registered to an MCP client, over standard input and output.
    Mcp(mcp::Mcp),
    /// Make, list and revoke tokens.
    Token(token::Token),
    /// Copy a database to a file, whole and checked.
    Backup(backup::Backup),
    /// Replicate a database with Litestream.
    Replicate(Box<replica::Replicate>),
    /// Make a primary of a standby.
    Promote(promote::Promote),
    /// Check a database and a running registry.
    Doctor(doctor::Doctor),
    /// Print the OpenAPI 3.1 document of the HTTP API.
    Openapi,
    /// Write the completions of a shell.
    Completions(completions::Completions),
}

/// Runs the command that the arguments of the process name.
#[must_use]
pub fn main() -> ExitCode {
    let Arguments { command } = Arguments::parse();
    match run(command) {
        Ok(code) => code,
        Err(error) if registry_args::is_unread(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "paulina: {}", registry_args::explained(&error));
            ExitCode::from(registry_args::exit_code(&error))
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(config) => serve::run(*config)?,
        Command::Announce(announce) => return wait(announce::run(*announce)),
        Command::Inspect(inspect) => wait(inspect::run(*inspect))?,
        Command::Ls(ls) => wait(find::ls(ls))?,
        Command::Find(find) => wait(find::find(*find))?,
        Command::Tools(tools) => wait(tools::run(*tools))?,
        Command::Watch(watch) => wait(watch::run(*watch))?,
        Command::Show(show) => wait(show::run(show))?,
        Command::Health(health) => wait(lease::health(health))?,
        Command::Register(register) => wait(register::run(*register))?,
        Command::Refresh(refresh) => wait(lease::refresh(refresh))?,
        Command::Deregister(deregister) => wait(lease::deregister(deregister))?,
        Command::Export(export) => wait(export_import::export(export))?,
        Command::Import(import) => wait(export_import::import(import))?,
        Command::Config(config) => wait(client_config::run(*config))?,
        Command::Mcp(mcp) => wait(mcp::run(mcp))?,
        Command::Token(token) => wait(token::run(token))?,
        Command::Backup(backup) => wait(backup::run(backup))?,
        Command::Replicate(arguments) => wait(replica::replicate(*arguments))?,
        Command::Promote(promote) => wait(promote::run(promote))?,
        Command::Doctor(doctor) => wait(doctor::run(doctor))?,
        Command::Openapi => print(crate::http::document().as_bytes())?,
        Command::Completions(completions) => completions::run(&completions)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs a command to its end.
fn wait<T>(command: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start the runtime")?.block_on(command)
}

fn print(text: &[u8]) -> anyhow::Result<()> {
    Ok(std::io::stdout().write_all(text)?)
}
