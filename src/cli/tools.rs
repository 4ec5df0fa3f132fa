//! The command `paulina tools`.

use clap::Args;

use super::filters::{FilterArgs, MORE_RESULTS, SearchArgs};
use super::output::{OutputArgs, OutputFormat, Table, print_json, print_lines, text_cell};
use super::progress::{CONTACTING_REGISTRY, with_spinner};
use super::registry_args::RegistryArgs;

/// List tools and the servers that offer them.
///
/// The search text and --tool select tools; all other filters select servers.
#[derive(Debug, Args)]
pub(super) struct Tools {
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    search: SearchArgs,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) async fn run(Tools { filter, search, registry, output }: Tools) -> anyhow::Result<()> {
    let client = registry.client()?;
    let (filter, first_page_only) = search.apply(filter.filter()?);
    let (tools, more) = if first_page_only {
        let page = with_spinner(CONTACTING_REGISTRY, client.tools(filter)).await?;
        (page.tools, page.next_cursor.is_some())
    } else {
        (with_spinner(CONTACTING_REGISTRY, client.all_tools(filter)).await?, false)
    };
    match output.output {
        OutputFormat::Json => print_json(&tools),
        OutputFormat::Ids => print_lines(tools.iter().map(|tool| tool.name.as_str())),
        OutputFormat::Table if tools.is_empty() => print_lines(["no tools"]),
        OutputFormat::Table => {
            let mut table = Table::new(&["TOOL", "SERVERS", "DESCRIPTION"]);
            for tool in &tools {
                let servers: Vec<_> = tool.servers.iter().map(|server| server.name.as_str()).collect();
                let description = tool.description.as_deref().or(tool.title.as_deref()).unwrap_or_default();
                table.row(vec![
                    text_cell(&tool.name),
                    text_cell(&servers.join(", ")),
                    text_cell(description),
                ]);
            }
            table.print()?;
            print_lines(more.then_some(MORE_RESULTS))
        }
    }
}
