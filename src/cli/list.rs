//! `paulina ls` and `paulina find`.

use clap::Args;
use comfy_table::Cell;

use super::ask::At;
use super::filters::Filters;
use super::output::{Output, Sheet, Shown, cell, count, health, json, lines};
use super::patience::patiently;
use crate::client::Client;
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
    at: At,
    #[command(flatten)]
    shown: Shown,
}

pub(super) async fn ls(Ls { at, shown }: Ls) -> anyhow::Result<()> {
    print(&at.client()?, Filter::new().health(HealthFilter::Any), shown.output).await
}

pub(super) async fn find(Find { filters, at, shown }: Find) -> anyhow::Result<()> {
    print(&at.client()?, filters.filter()?, shown.output).await
}

async fn print(client: &Client, filter: Filter, output: Output) -> anyhow::Result<()> {
    let servers = patiently("asking", client.find_all(filter)).await?;
    match output {
        Output::Json => json(&servers),
        Output::Ids => lines(servers.iter().map(|server| server.id.as_str())),
        Output::Table if servers.is_empty() => lines(["no servers"]),
        Output::Table => table(&servers),
    }
}

fn table(servers: &[Server]) -> anyhow::Result<()> {
    let mut sheet = Sheet::new(&[
        "NAME",
        "VERSION",
        "TRANSPORT",
        "HEALTH!",
        "TOOLS!",
        "RESOURCES!",
        "PROMPTS!",
        "TAGS",
        "ID",
    ]);
    for server in servers {
        let capabilities = &server.capabilities;
        let transport = match &server.transport {
            Transport::StreamableHttp { .. } => "http",
            other => other.kind().as_str(),
        };
        sheet.row(vec![
            cell(&server.name),
            cell(server.version.as_deref().unwrap_or_default()),
            Cell::new(transport),
            health(server.health),
            count(capabilities.tools.len()),
            count(capabilities.resources.len()),
            count(capabilities.prompts.len()),
            cell(&server.tags.join(",")),
            cell(&server.id),
        ]);
    }
    sheet.print()
}
