//! `paulina watch`: what comes, changes and goes, as it happens.

use clap::{Args, ValueEnum};

use super::filters::Filters;
use super::output::{lines, plain};
use super::registry_args::At;
use crate::model::{Change, Revision, Server, Watched};

/// How it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Told {
    /// A line a change, for people.
    Table,
    /// One JSON object a line, as the API sends it.
    Json,
}

/// Watch servers come, change and go. It goes on by itself when the registry was away.
#[derive(Debug, Args)]
pub(super) struct Watch {
    #[command(flatten)]
    filters: Filters,

    /// Go on right after this revision, which was told before.
    #[arg(long, value_name = "REVISION")]
    since: Option<Revision>,

    #[command(flatten)]
    at: At,

    /// How it is shown.
    #[arg(long, value_enum, default_value = "table", value_name = "table|json")]
    output: Told,
}

pub(super) async fn run(Watch { filters, since, at, output }: Watch) -> anyhow::Result<()> {
    let (client, filter) = (at.client()?, filters.filter()?);
    // Whoever has mistyped the address is told so at once.
    client.stats().await?;
    let mut watch = match since {
        Some(since) => client.watch_since(filter, since)?,
        None => client.watch(filter)?,
    };
    loop {
        let told = watch.next().await?;
        match output {
            Told::Json => lines([serde_json::to_string(&told)?])?,
            Told::Table => lines(texts(&told))?,
        }
    }
}

fn texts(told: &Watched) -> Vec<String> {
    match told {
        Watched::Snapshot(snapshot) => {
            let now = format!("{} servers at {}", snapshot.servers.len(), snapshot.revision);
            let servers = snapshot.servers.iter().map(|server| text(&server.registered_at, "there", server));
            servers.chain([now]).collect()
        }
        Watched::Change(Change { kind, at, server, .. }) => vec![text(at, kind.as_str(), server)],
    }
}

fn text(at: &chrono::DateTime<chrono::Utc>, what: &str, server: &Server) -> String {
    let all = &server.capabilities;
    format!(
        "{}  {what:<12}  {}  {}  tools {}, resources {}, prompts {}",
        at.format("%Y-%m-%d %H:%M:%S"),
        plain(&server.name),
        server.id,
        all.tools.len(),
        all.resources.len(),
        all.prompts.len()
    )
}
