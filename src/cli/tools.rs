//! `paulina tools`.

use clap::Args;

use super::filters::{Best, Filters, MORE};
use super::output::{Output, Sheet, Shown, cell, json, lines};
use super::progress::{ASKING, patiently};
use super::registry_args::At;

/// List tools, each once, with the servers that offer it.
///
/// Words and --tool choose tools, all other filters choose servers.
#[derive(Debug, Args)]
pub(super) struct Tools {
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    best: Best,
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    shown: Shown,
}

pub(super) async fn run(Tools { filters, best, at, shown }: Tools) -> anyhow::Result<()> {
    let client = at.client()?;
    let (filter, only_best) = best.of(filters.filter()?);
    let (tools, more) = if only_best {
        let page = patiently(ASKING, client.tools(filter)).await?;
        (page.tools, page.next_cursor.is_some())
    } else {
        (patiently(ASKING, client.all_tools(filter)).await?, false)
    };
    match shown.output {
        Output::Json => json(&tools),
        Output::Ids => lines(tools.iter().map(|tool| tool.name.as_str())),
        Output::Table if tools.is_empty() => lines(["no tools"]),
        Output::Table => {
            let mut sheet = Sheet::new(&["TOOL", "SERVERS", "WHAT IT DOES"]);
            for tool in &tools {
                let servers: Vec<_> = tool.servers.iter().map(|server| server.name.as_str()).collect();
                let what = tool.description.as_deref().or(tool.title.as_deref()).unwrap_or_default();
                sheet.row(vec![cell(&tool.name), cell(&servers.join(", ")), cell(what)]);
            }
            sheet.print()?;
            lines(more.then_some(MORE))
        }
    }
}
