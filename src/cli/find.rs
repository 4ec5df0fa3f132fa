//! The commands `paulina ls` and `paulina find`.

use clap::Args;
use comfy_table::Cell;

use super::filters::{FilterArgs, MORE_RESULTS, SearchArgs};
use super::output::{
    OutputArgs, OutputFormat, Table, count_cell, health_cell, print_json, print_lines, terminal_width,
    text_cell,
};
use super::progress::{CONTACTING_REGISTRY, with_spinner};
use super::registry_args::RegistryArgs;
use crate::model::{Filter, HealthFilter, Server, Transport};

/// List all servers, healthy or not.
#[derive(Debug, Args)]
pub(super) struct Ls {
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Find servers by their tools, resources, prompts and other properties.
#[derive(Debug, Args)]
pub(super) struct Find {
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    search: SearchArgs,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) async fn ls(Ls { registry, output }: Ls) -> anyhow::Result<()> {
    let servers = with_spinner(
        CONTACTING_REGISTRY,
        registry.client()?.find_all(Filter::new().health(HealthFilter::Any)),
    )
    .await?;
    print(&servers, false, output.output)
}

pub(super) async fn find(Find { filter, search, registry, output }: Find) -> anyhow::Result<()> {
    let client = registry.client()?;
    let (filter, first_page_only) = search.apply(filter.filter()?);
    if first_page_only {
        let page = with_spinner(CONTACTING_REGISTRY, client.find(filter)).await?;
        return print(&page.servers, page.next_cursor.is_some(), output.output);
    }
    print(&with_spinner(CONTACTING_REGISTRY, client.find_all(filter)).await?, false, output.output)
}

fn print(servers: &[Server], more: bool, format: OutputFormat) -> anyhow::Result<()> {
    match format {
        OutputFormat::Json => print_json(&servers),
        OutputFormat::Ids => print_lines(servers.iter().map(|server| server.id.as_str())),
        OutputFormat::Table if servers.is_empty() => print_lines(["no servers"]),
        OutputFormat::Table => {
            print_table(servers)?;
            print_lines(more.then_some(MORE_RESULTS))
        }
    }
}

/// A column: its heading, the minimum terminal width to show it, and its cells.
type Column = (&'static str, u16, fn(&Server) -> Cell);

/// The columns that distinguish servers come first. The id is never truncated, so that it can be copied.
const COLUMNS: [Column; 9] = [
    ("NAME", 0, |server| text_cell(&server.name)),
    ("VERSION", 100, |server| text_cell(server.version.as_deref().unwrap_or_default())),
    ("TRANSPORT!", 70, |server| match &server.transport {
        Transport::StreamableHttp { .. } => Cell::new("http"),
        other => Cell::new(other.kind().as_str()),
    }),
    ("HEALTH!", 0, |server| health_cell(server.health)),
    ("TOOLS!", 60, |server| count_cell(server.capabilities.tools.len())),
    ("RESOURCES!", 110, |server| count_cell(server.capabilities.resources.len())),
    ("PROMPTS!", 110, |server| count_cell(server.capabilities.prompts.len())),
    ("TAGS", 90, |server| text_cell(&server.tags.join(","))),
    ("ID!", 0, |server| text_cell(&server.id)),
];

fn print_table(servers: &[Server]) -> anyhow::Result<()> {
    let is_shown = |(_, min_width, _): &&Column| terminal_width().is_none_or(|width| width >= *min_width);
    let columns: Vec<_> = COLUMNS.iter().filter(is_shown).collect();
    let headings: Vec<_> = columns.iter().map(|(heading, ..)| *heading).collect();
    let mut table = Table::new(&headings);
    for server in servers {
        table.row(columns.iter().map(|(.., cell)| cell(server)).collect());
    }
    table.print()
}
