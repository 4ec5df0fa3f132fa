//! The command `paulina show`.

use std::fmt::Write as _;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::exit_code::NotFound;
use super::output::{OutputArgs, OutputFormat, print_json, print_lines, sanitize, shell_quote};
use super::progress::{CONTACTING_REGISTRY, with_spinner};
use super::registry_args::RegistryArgs;
use crate::model::{Server, Transport};

/// Show one server with its tools, resources and prompts.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// Id of the server.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    id: String,
    #[command(flatten)]
    registry_args: RegistryArgs,
    #[command(flatten)]
    output_args: OutputArgs,
}

pub(super) async fn run(Show { id, registry_args, output_args }: Show) -> anyhow::Result<()> {
    let found = with_spinner(CONTACTING_REGISTRY, registry_args.client()?.get(&id)).await?;
    let server = found.ok_or_else(|| NotFound(format!("{id} is not registered; see `paulina ls`")))?;
    match output_args.output {
        OutputFormat::Json => print_json(&server),
        OutputFormat::Ids => print_lines([server.id.as_str()]),
        OutputFormat::Table => print_lines(details(&server).lines()),
    }
}

fn details(server: &Server) -> String {
    let mut text = String::new();
    let mut field = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "{name:<12} {}", sanitize(value));
        }
    };
    field("id", &server.id);
    field("name", &server.name);
    field("title", server.title.as_deref().unwrap_or_default());
    field("version", server.version.as_deref().unwrap_or_default());
    field("description", server.description.as_deref().unwrap_or_default());
    field("transport", server.transport.kind().as_str());
    match &server.transport {
        Transport::Stdio { command: words, .. } => field("command", &shell_quote(words)),
        Transport::StreamableHttp { url, .. } | Transport::Sse { url, .. } => field("url", url),
    }
    for input in server.transport.environment().iter().chain(server.transport.headers()) {
        let necessity = if input.required { "required" } else { "optional" };
        field("needs", &format!("{} ({necessity})", input.name));
    }
    field("health", server.health.as_str());
    field("ttl", &format!("{} s", server.ttl));
    let time = |time: chrono::DateTime<chrono::Utc>| time.format("%Y-%m-%d %H:%M:%S UTC").to_string();
    field("registered", &time(server.registered_at));
    field("refreshed", &time(server.refreshed_at));
    field("expires", &time(server.expires_at));
    field("owner", server.owner.as_deref().unwrap_or_default());
    field("tags", &server.tags.join(", "));
    for (key, value) in &server.metadata {
        field("metadata", &format!("{key} = {value}"));
    }
    let flags: Vec<_> = server.capabilities.flags.iter().map(|(name, _)| name).collect();
    field("capabilities", &flags.join(", "));
    let capabilities = &server.capabilities;
    list(
        &mut text,
        "tools",
        capabilities.tools.iter().map(|tool| (tool.name(), tool.description().or(tool.title()))),
    );
    let resources = capabilities.resources.iter();
    list(
        &mut text,
        "resources",
        resources.map(|resource| (resource.address().as_str(), resource.description().or(resource.name()))),
    );
    let prompts = capabilities.prompts.iter();
    list(
        &mut text,
        "prompts",
        prompts.map(|prompt| (prompt.name(), prompt.description().or(prompt.title()))),
    );
    text
}

/// Appends a section with one line per item; nothing if there are no items.
fn list<'a>(text: &mut String, kind: &str, items: impl Iterator<Item = (&'a str, Option<&'a str>)>) {
    const DESCRIPTION_CHARACTERS: usize = 80;
    let items: Vec<_> = items.collect();
    let width = items.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default().min(40);
    if !items.is_empty() {
        let _ = writeln!(text, "\n{kind} ({})", items.len());
    }
    for (name, description) in items {
        let description = sanitize(description.unwrap_or_default());
        let mut short: String = description.chars().take(DESCRIPTION_CHARACTERS).collect();
        if short.len() < description.len() {
            short.push('…');
        }
        let line = format!("  {:<width$}  {short}", sanitize(name));
        let _ = writeln!(text, "{}", line.trim_end());
    }
}
