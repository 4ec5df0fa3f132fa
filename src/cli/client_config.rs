//! `paulina config`: what is registered, as a file for MCP clients.
//!
//! | client | file | documented at |
//! |---|---|---|
//! | claude (Claude Code) | `.mcp.json` | <https://docs.claude.com/en/docs/claude-code/mcp> |
//! | cursor | `.cursor/mcp.json` | <https://cursor.com/docs/context/mcp> |
//! | vscode | `.vscode/mcp.json` | <https://code.visualstudio.com/docs/copilot/reference/mcp-configuration> |

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use super::filters::Filters;
use super::output::json as print;
use super::progress::{ASKING, patiently};
use super::registry_args::At;
use crate::model::{Input, Match, Server, Transport};

/// Write a file for an MCP client that knows all servers which are found.
#[derive(Debug, Args)]
pub(super) struct Config {
    /// Which client the file is for.
    #[arg(long = "for", value_enum)]
    client: ClientKind,
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    at: At,
}

/// An MCP client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ClientKind {
    /// Claude Code.
    Claude,
    /// Visual Studio Code.
    Vscode,
    /// Cursor.
    Cursor,
}

pub(super) async fn run(Config { client, filters, at }: Config) -> anyhow::Result<()> {
    // What is written to a file is chosen, not found: every word has to match.
    let filter = filters.filter()?;
    let filter = if filter.words.is_some() { filter.matching(Match::All) } else { filter };
    let servers = patiently(ASKING, at.client()?.find_all(filter)).await?;
    print(&file(client, &servers))
}

fn file(client: ClientKind, servers: &[Server]) -> Value {
    let mut entries = Map::new();
    let mut inputs = Vec::new();
    for server in servers {
        // Names need not be unique here, and are in the file.
        let name = if entries.contains_key(&server.name) { &server.id } else { &server.name };
        if client == ClientKind::Vscode {
            let all = server.transport.environment().iter().chain(server.transport.headers());
            inputs.extend(all.map(|input| prompt(name, input)));
        }
        entries.insert(name.clone(), entry(client, name, server));
    }
    match client {
        ClientKind::Vscode if inputs.is_empty() => json!({ "servers": entries }),
        ClientKind::Vscode => json!({ "inputs": inputs, "servers": entries }),
        ClientKind::Claude | ClientKind::Cursor => json!({ "mcpServers": entries }),
    }
}

fn entry(client: ClientKind, name: &str, server: &Server) -> Value {
    let mut entry = Map::new();
    // Cursor tells the kinds apart by their members.
    let mut kind = |name: &str| {
        if client != ClientKind::Cursor {
            entry.insert("type".to_owned(), name.into());
        }
    };
    let (inputs, provided) = match &server.transport {
        Transport::Stdio { command, environment } => {
            kind("stdio");
            let (program, arguments) =
                command.split_first().map_or(("", &[][..]), |(first, rest)| (first, rest));
            entry.insert("command".to_owned(), program.into());
            entry.insert("args".to_owned(), arguments.into());
            ("env", environment)
        }
        Transport::StreamableHttp { url, headers } => {
            kind("http");
            entry.insert("url".to_owned(), url.as_str().into());
            ("headers", headers)
        }
        Transport::Sse { url, headers } => {
            kind("sse");
            entry.insert("url".to_owned(), url.as_str().into());
            ("headers", headers)
        }
    };
    if !provided.is_empty() {
        let value = |input: &Input| {
            // A program knows its variables by their own names; a header is called the same at every server.
            let variable =
                if inputs == "env" { input.name.clone() } else { format!("{name}_{}", input.name) };
            (input.name.clone(), placeholder(client, name, &variable, input).into())
        };
        entry.insert(inputs.to_owned(), Value::Object(provided.iter().map(value).collect()));
    }
    Value::Object(entry)
}

/// What stands for a value that is not in the registry: the client takes it from its environment, or asks for it. One server's
/// is never another's.
fn placeholder(client: ClientKind, server: &str, variable: &str, input: &Input) -> String {
    let plain = |character: char| if character.is_ascii_alphanumeric() { character } else { '_' };
    let variable: String = variable.chars().map(plain).collect();
    match client {
        ClientKind::Claude if input.required => format!("${{{variable}}}"),
        ClientKind::Claude => format!("${{{variable}:-}}"),
        ClientKind::Cursor => format!("${{env:{variable}}}"),
        ClientKind::Vscode => format!("${{input:{}}}", question(server, input)),
    }
}

/// The name of a question.
fn question(server: &str, input: &Input) -> String {
    format!("{server}-{}", input.name)
}

fn prompt(server: &str, input: &Input) -> Value {
    let what = input.description.as_deref().unwrap_or(&input.name);
    let description = format!("{server}: {what}");
    json!({ "type": "promptString", "id": question(server, input), "description": description, "password": input.secret })
}
