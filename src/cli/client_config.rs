//! The command `paulina config`: the registered servers as a configuration file for an MCP client.
//!
//! | client | file | documented at |
//! |---|---|---|
//! | claude (Claude Code) | `.mcp.json` | <https://docs.claude.com/en/docs/claude-code/mcp> |
//! | cursor | `.cursor/mcp.json` | <https://cursor.com/docs/context/mcp> |
//! | vscode | `.vscode/mcp.json` | <https://code.visualstudio.com/docs/copilot/reference/mcp-configuration> |

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use super::filters::FilterArgs;
use super::output::print_json;
use super::progress::{CONTACTING_REGISTRY, with_spinner};
use super::registry_args::RegistryArgs;
use crate::model::{Input, Match, Server, Transport};

/// Generate a configuration file for an MCP client.
///
/// The file contains all servers that match the filters.
#[derive(Debug, Args)]
pub(super) struct ClientConfig {
    /// MCP client to generate the file for.
    #[arg(long = "for", value_enum)]
    client: ClientKind,
    #[command(flatten)]
    filter_args: FilterArgs,
    #[command(flatten)]
    registry_args: RegistryArgs,
}

/// A supported MCP client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ClientKind {
    /// Claude Code.
    Claude,
    /// Visual Studio Code.
    Vscode,
    /// Cursor.
    Cursor,
}

pub(super) async fn run(
    ClientConfig { client, filter_args, registry_args }: ClientConfig,
) -> anyhow::Result<()> {
    // A configuration file must not contain partial matches: every word has to match.
    let filter = filter_args.filter()?;
    let filter = if filter.search.is_some() { filter.matching(Match::All) } else { filter };
    let servers = with_spinner(CONTACTING_REGISTRY, registry_args.client()?.find_all(filter)).await?;
    print_json(&config_file(client, &servers))
}

fn config_file(client: ClientKind, servers: &[Server]) -> Value {
    let mut entries = Map::new();
    let mut inputs = Vec::new();
    for server in servers {
        // Server names need not be unique in the registry, but have to be in the file.
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
    // Cursor infers the transport from the other members.
    let mut set_type = |name: &str| {
        if client != ClientKind::Cursor {
            entry.insert("type".to_owned(), name.into());
        }
    };
    let (member, inputs) = match &server.transport {
        Transport::Stdio { command, environment } => {
            set_type("stdio");
            let (program, arguments) =
                command.split_first().map_or(("", &[][..]), |(first, rest)| (first, rest));
            entry.insert("command".to_owned(), program.into());
            entry.insert("args".to_owned(), arguments.into());
            ("env", environment)
        }
        Transport::StreamableHttp { url, headers } => {
            set_type("http");
            entry.insert("url".to_owned(), url.as_str().into());
            ("headers", headers)
        }
        Transport::Sse { url, headers } => {
            set_type("sse");
            entry.insert("url".to_owned(), url.as_str().into());
            ("headers", headers)
        }
    };
    if !inputs.is_empty() {
        let value = |input: &Input| {
            // Environment variables keep their names. Header names repeat across servers, so the server name is added.
            let variable =
                if member == "env" { input.name.clone() } else { format!("{name}_{}", input.name) };
            (input.name.clone(), placeholder(client, name, &variable, input).into())
        };
        entry.insert(member.to_owned(), Value::Object(inputs.iter().map(value).collect()));
    }
    Value::Object(entry)
}

/// Returns the placeholder for a value that is not in the registry. The client reads the value from its environment, or asks
/// the user for it. Values are not shared between servers.
fn placeholder(client: ClientKind, server: &str, variable: &str, input: &Input) -> String {
    let to_identifier = |character: char| if character.is_ascii_alphanumeric() { character } else { '_' };
    let variable: String = variable.chars().map(to_identifier).collect();
    match client {
        ClientKind::Claude if input.required => format!("${{{variable}}}"),
        ClientKind::Claude => format!("${{{variable}:-}}"),
        ClientKind::Cursor => format!("${{env:{variable}}}"),
        ClientKind::Vscode => format!("${{input:{}}}", input_id(server, input)),
    }
}

/// Returns the id of an input in a file for Visual Studio Code.
fn input_id(server: &str, input: &Input) -> String {
    format!("{server}-{}", input.name)
}

fn prompt(server: &str, input: &Input) -> Value {
    let label = input.description.as_deref().unwrap_or(&input.name);
    let description = format!("{server}: {label}");
    json!({ "type": "promptString", "id": input_id(server, input), "description": description, "password": input.secret })
}
