//! `paulina show`: one server.

use std::fmt::Write as _;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::output::{Output, Shown, command, json, lines, plain};
use super::progress::{ASKING, patiently};
use super::registry_args::{At, NotThere};
use crate::model::{Server, Transport};

/// Show one server with all that it registered.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// Its id.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    id: String,
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    shown: Shown,
}

pub(super) async fn run(Show { id, at, shown }: Show) -> anyhow::Result<()> {
    let found = patiently(ASKING, at.client()?.get(&id)).await?;
    let server = found.ok_or_else(|| NotThere(format!("{id} is not registered; see `paulina ls`")))?;
    match shown.output {
        Output::Json => json(&server),
        Output::Ids => lines([server.id.as_str()]),
        Output::Table => lines(sheet(&server).lines()),
    }
}

fn sheet(server: &Server) -> String {
    let mut text = String::new();
    let mut fact = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "{name:<12} {}", plain(value));
        }
    };
    fact("id", &server.id);
    fact("name", &server.name);
    fact("title", server.title.as_deref().unwrap_or_default());
    fact("version", server.version.as_deref().unwrap_or_default());
    fact("description", server.description.as_deref().unwrap_or_default());
    fact("transport", server.transport.kind().as_str());
    match &server.transport {
        Transport::Stdio { command: words, .. } => fact("command", &command(words)),
        Transport::StreamableHttp { url, .. } | Transport::Sse { url, .. } => fact("url", url),
    }
    for input in server.transport.environment().iter().chain(server.transport.headers()) {
        let needed = if input.required { "required" } else { "optional" };
        fact("needs", &format!("{} ({needed})", input.name));
    }
    fact("health", server.health.as_str());
    fact("ttl", &format!("{} s", server.ttl));
    let time = |time: chrono::DateTime<chrono::Utc>| time.format("%Y-%m-%d %H:%M:%S UTC").to_string();
    fact("registered", &time(server.registered_at));
    fact("refreshed", &time(server.refreshed_at));
    fact("expires", &time(server.expires_at));
    fact("owner", server.owner.as_deref().unwrap_or_default());
    fact("tags", &server.tags.join(", "));
    for (key, value) in &server.metadata {
        fact("metadata", &format!("{key} = {value}"));
    }
    let flags: Vec<_> = server.capabilities.flags.iter().map(|(name, _)| name).collect();
    fact("capabilities", &flags.join(", "));
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

/// What there is of one kind, a line each.
fn list<'a>(text: &mut String, kind: &str, items: impl Iterator<Item = (&'a str, Option<&'a str>)>) {
    /// Characters of a description.
    const ENOUGH: usize = 80;
    let items: Vec<_> = items.collect();
    let width = items.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default().min(40);
    if !items.is_empty() {
        let _ = writeln!(text, "\n{kind} ({})", items.len());
    }
    for (name, what) in items {
        let what = plain(what.unwrap_or_default());
        let mut short: String = what.chars().take(ENOUGH).collect();
        if short.len() < what.len() {
            short.push('…');
        }
        let line = format!("  {:<width$}  {short}", plain(name));
        let _ = writeln!(text, "{}", line.trim_end());
    }
}
