//! `paulina reference`: the parts of the documentation that follow from the code, as Markdown. `cargo xtask docs` puts them
//! into the files in docs/.

use std::collections::HashMap;
use std::fmt::Write as _;

use axum::body::Body;
use axum::extract::Request;
use clap::builder::ValueRange;
use clap::{Arg, Args, Command, ValueEnum};
use tower::ServiceExt;

use crate::model::{FieldDefinition, FilterField};

/// Print a generated part of the documentation as Markdown.
#[derive(Debug, Args)]
pub(super) struct Reference {
    /// What to print.
    part: Part,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Part {
    /// All commands except `serve`.
    Commands,
    /// The flags of `serve`.
    Serve,
    /// The filters of the API.
    Filters,
    /// The metrics of `GET /metrics`.
    Metrics,
    /// The codes of problem details.
    Problems,
}

pub(super) async fn run(reference: Reference, mut commands: Command) -> anyhow::Result<()> {
    commands.build();
    let mut text = String::new();
    match reference.part {
        Part::Commands => {
            for command in commands.get_subcommands().filter(|command| command.get_name() != "serve") {
                describe(&mut text, command)?;
            }
        }
        Part::Serve => {
            if let Some(serve) = commands.find_subcommand("serve") {
                flags(&mut text, serve)?;
            }
        }
        Part::Filters => {
            text.push_str("| parameter | example | meaning |\n|---|---|---|\n");
            for field in FilterField::ALL {
                let FieldDefinition { name, description, example, .. } = field.definition();
                let example = example.map_or_else(String::new, |example| format!("`{example}`"));
                writeln!(text, "| `{name}` | {example} | {description} |")?;
            }
        }
        Part::Metrics => metrics(&mut text).await?,
        Part::Problems => {
            text.push_str("| code | status | meaning |\n|---|---|---|\n");
            for (code, status, title) in crate::http::problem_codes() {
                writeln!(text, "| `{code}` | {status} | {title} |")?;
            }
        }
    }
    super::print(text.trim_end().as_bytes())?;
    super::print(b"\n")
}

/// Describes a command with its flags, and its subcommands.
fn describe(text: &mut String, command: &Command) -> std::fmt::Result {
    if command.is_hide_set() || command.get_name() == "help" {
        return Ok(());
    }
    let name = command.get_display_name().unwrap_or_default().replace('-', " ");
    writeln!(text, "### `{name}`\n")?;
    if let Some(about) = command.get_long_about().or(command.get_about()) {
        writeln!(text, "{}\n", sentence(&about.to_string()))?;
    }
    let usage = command.clone().render_usage().to_string();
    writeln!(text, "```\n{}\n```\n", usage.trim_start_matches("Usage: "))?;
    flags(text, command)?;
    command.get_subcommands().try_for_each(|command| describe(text, command))
}

/// Writes a table of arguments and flags for each heading.
fn flags(text: &mut String, command: &Command) -> std::fmt::Result {
    let shown = |argument: &&Arg| {
        !argument.is_hide_set() && !matches!(argument.get_id().as_str(), "help" | "version")
    };
    let arguments: Vec<&Arg> = command.get_arguments().filter(shown).collect();
    let mut headings: Vec<Option<&str>> = Vec::new();
    for argument in &arguments {
        if !headings.contains(&argument.get_help_heading()) {
            headings.push(argument.get_help_heading());
        }
    }
    for heading in headings {
        if heading == Some("Filters") {
            text.push_str("**Filters**: the search text, and each [filter of the API](http-api.md#filters) as a flag.\n\n");
            continue;
        }
        if let Some(heading) = heading {
            writeln!(text, "**{heading}**\n")?;
        }
        text.push_str("| flag | default | meaning |\n|---|---|---|\n");
        for argument in arguments.iter().filter(|argument| argument.get_help_heading() == heading) {
            let help = argument.get_long_help().or(argument.get_help());
            let help = help.map(ToString::to_string).unwrap_or_default();
            let help = sentence(&help).replace('\n', " ").replace('|', "\\|");
            writeln!(text, "| {} | {} | {help} |", spelling(argument), default(argument))?;
        }
        text.push('\n');
    }
    Ok(())
}

/// Returns how an argument is written.
fn spelling(argument: &Arg) -> String {
    let many =
        argument.get_num_args().is_some_and(|range| range == ValueRange::new(0..)) || argument.is_last_set();
    let takes_value = argument.get_action().takes_values();
    let names = argument.get_value_names().unwrap_or_default();
    let values: Vec<String> =
        names.iter().map(|name| format!("{name}{}", if many { "…" } else { "" })).collect();
    match argument.get_long() {
        None => format!("`{}`", values.join(" ")),
        Some(long) if takes_value => format!("`--{long} {}`", values.join(" ")),
        Some(long) => format!("`--{long}`"),
    }
}

/// Returns the default, or the environment variable that provides it.
fn default(argument: &Arg) -> String {
    let defaults = argument.get_default_values().iter().map(|value| format!("`{}`", value.to_string_lossy()));
    let mut parts: Vec<String> =
        if argument.get_action().takes_values() { defaults.collect() } else { Vec::new() };
    parts.extend(argument.get_env().map(|name| format!("`${}`", name.to_string_lossy())));
    parts.join(", ")
}

/// Returns a help text with a full stop at its end.
fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.ends_with(['.', ':', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}

/// Writes the table of metrics, from what a new registry answers.
async fn metrics(text: &mut String) -> anyhow::Result<()> {
    let registry = crate::Registry::in_memory().await?;
    let router = crate::http::router(registry.clone());
    // A counter of requests appears with the first request.
    router.clone().oneshot(Request::get("/healthz").body(Body::empty())?).await?;
    let response = router.oneshot(Request::get("/metrics").body(Body::empty())?).await?;
    let exposition = axum::body::to_bytes(response.into_body(), usize::MAX).await?;
    let exposition = std::str::from_utf8(&exposition)?;
    registry.close().await;
    text.push_str("| metric | type | meaning |\n|---|---|---|\n");
    let mut kinds = HashMap::new();
    for line in exposition.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            kinds.insert(name, kind);
        }
    }
    for line in exposition.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            let kind = kinds.get(name).copied().unwrap_or_default();
            let suffix = if kind == "counter" { "_total" } else { "" };
            writeln!(text, "| `{name}{suffix}` | {kind} | {} |", sentence(help).replace('|', "\\|"))?;
        }
    }
    Ok(())
}
