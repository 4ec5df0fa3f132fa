//! `paulina ls` and `paulina find`.

use clap::Args;
use comfy_table::Cell;

use super::filters::{Best, Filters, MORE};
use super::output::{Output, Sheet, Shown, cell, count, health, json, lines, width};
use super::progress::{ASKING, patiently};
use super::registry_args::At;
use crate::model::{Filter, HealthFilter, Server, Transport};

/// List all servers, healthy or not.
#[derive(Debug, Args)]
pub(super) struct Ls {
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    shown: Shown,
}

/// Find servers by what they can do.
#[derive(Debug, Args)]
pub(super) struct Find {
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    best: Best,
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    shown: Shown,
}

pub(super) async fn ls(Ls { at, shown }: Ls) -> anyhow::Result<()> {
    let servers = patiently(ASKING, at.client()?.find_all(Filter::new().health(HealthFilter::Any))).await?;
    print(&servers, false, shown.output)
}

pub(super) async fn find(Find { filters, best, at, shown }: Find) -> anyhow::Result<()> {
    let client = at.client()?;
    let (filter, only_best) = best.of(filters.filter()?);
    if only_best {
        let page = patiently(ASKING, client.find(filter)).await?;
        return print(&page.servers, page.next_cursor.is_some(), shown.output);
    }
    print(&patiently(ASKING, client.find_all(filter)).await?, false, shown.output)
}

fn print(servers: &[Server], more: bool, output: Output) -> anyhow::Result<()> {
    match output {
        Output::Json => json(&servers),
        Output::Ids => lines(servers.iter().map(|server| server.id.as_str())),
        Output::Table if servers.is_empty() => lines(["no servers"]),
        Output::Table => {
            table(servers)?;
            lines(more.then_some(MORE))
        }
    }
}

/// One column: its heading, from which width of the terminal on it is shown, and what stands in it.
type Column = (&'static str, u16, fn(&Server) -> Cell);

/// What tells servers apart comes first; an id is never cut, since one copies it.
const COLUMNS: [Column; 9] = [
    ("NAME", 0, |server| cell(&server.name)),
    ("VERSION", 100, |server| cell(server.version.as_deref().unwrap_or_default())),
    ("TRANSPORT!", 70, |server| match &server.transport {
        Transport::StreamableHttp { .. } => Cell::new("http"),
        other => Cell::new(other.kind().as_str()),
    }),
    ("HEALTH!", 0, |server| health(server.health)),
    ("TOOLS!", 60, |server| count(server.capabilities.tools.len())),
    ("RESOURCES!", 110, |server| count(server.capabilities.resources.len())),
    ("PROMPTS!", 110, |server| count(server.capabilities.prompts.len())),
    ("TAGS", 90, |server| cell(&server.tags.join(","))),
    ("ID!", 0, |server| cell(&server.id)),
];

fn table(servers: &[Server]) -> anyhow::Result<()> {
    let shown = |(_, from, _): &&Column| width().is_none_or(|width| width >= *from);
    let columns: Vec<_> = COLUMNS.iter().filter(shown).collect();
    let headings: Vec<_> = columns.iter().map(|(heading, ..)| *heading).collect();
    let mut sheet = Sheet::new(&headings);
    for server in servers {
        sheet.row(columns.iter().map(|(.., cell)| cell(server)).collect());
    }
    sheet.print()
}
