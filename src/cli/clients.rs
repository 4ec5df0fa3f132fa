//! `paulina config`: what is registered, as a file for MCP clients.
//!
//! | client | file | documented at |
//! |---|---|---|
//! | claude | `.mcp.json`, `claude_desktop_config.json` | <https://docs.claude.com/en/docs/claude-code/mcp> |
//! | cursor | `.cursor/mcp.json` | <https://cursor.com/docs/context/mcp> |
//! | vscode | `.vscode/mcp.json` | <https://code.visualstudio.com/docs/copilot/reference/mcp-configuration> |

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use super::ask::At;
use super::filters::Filters;
use super::output::json as print;
use crate::model::{Input, Server, Transport};

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
    /// Claude Code and Claude Desktop.
    Claude,
    /// Visual Studio Code.
    Vscode,
    /// Cursor.
    Cursor,
}

pub(super) async fn run(Config { client, filters, at }: Config) -> anyhow::Result<()> {
    let servers = at.client()?.find_all(filters.filter()?).await?;
    print(&file(client, &servers))
}

fn file(client: ClientKind, servers: &[Server]) -> Value {
    let mut entries = Map::new();
    let mut inputs: Vec<Value> = Vec::new();
    for server in servers {
        // Names need not be unique here, and are in the file.
        let name = if entries.contains_key(&server.name) { &server.id } else { &server.name };
        entries.insert(name.clone(), entry(client, server));
        if client == ClientKind::Vscode {
            for input in server.transport.environment().iter().chain(server.transport.headers()) {
                if inputs.iter().all(|known| known["id"] != input.name) {
                    inputs.push(prompt(input));
                }
            }
        }
    }
    match client {
        ClientKind::Vscode if inputs.is_empty() => json!({ "servers": entries }),
        ClientKind::Vscode => json!({ "inputs": inputs, "servers": entries }),
        ClientKind::Claude | ClientKind::Cursor => json!({ "mcpServers": entries }),
    }
}

fn entry(client: ClientKind, server: &Server) -> Value {
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
        let values =
            provided.iter().map(|input| (input.name.clone(), placeholder(client, &input.name).into()));
        entry.insert(inputs.to_owned(), Value::Object(values.collect()));
    }
    Value::Object(entry)
}

/// What stands for a value that is not in the registry: the client takes it from its environment, or asks for it.
fn placeholder(client: ClientKind, name: &str) -> String {
    let variable: String = name
        .chars()
        .map(|character| if character.is_ascii_alphanumeric() { character } else { '_' })
        .collect();
    match client {
        ClientKind::Claude => format!("${{{variable}}}"),
        ClientKind::Cursor => format!("${{env:{variable}}}"),
        ClientKind::Vscode => format!("${{input:{name}}}"),
    }
}

fn prompt(input: &Input) -> Value {
    let description = input.description.as_deref().unwrap_or(&input.name);
    json!({ "type": "promptString", "id": input.name, "description": description, "password": input.secret })
}
