//! The command `paulina watch`.

use clap::{Args, ValueEnum};

use super::filters::FilterArgs;
use super::output::{print_lines, sanitize};
use super::registry_args::RegistryArgs;
use crate::model::{Change, Revision, Server, WatchEvent};

/// An output format for events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EventFormat {
    /// One line per change.
    Table,
    /// One JSON object per line, as the API sends it.
    Json,
}

/// Watch servers being registered, changed and removed.
///
/// Resumes automatically after the registry was unavailable.
#[derive(Debug, Args)]
pub(super) struct WatchCommand {
    /// Resume after this revision, taken from an earlier event.
    #[arg(long, value_name = "REVISION")]
    since: Option<Revision>,

    /// Output format.
    #[arg(long, value_enum, default_value = "table", value_name = "table|json")]
    output: EventFormat,

    #[command(flatten)]
    filter_args: FilterArgs,

    #[command(flatten)]
    registry_args: RegistryArgs,
}

pub(super) async fn run(
    WatchCommand { since, output, filter_args, registry_args }: WatchCommand,
) -> anyhow::Result<()> {
    let (client, filter) = (registry_args.client()?, filter_args.filter()?);
    // Fail at once if the address is wrong.
    client.stats().await?;
    let mut watch = match since {
        Some(since) => client.watch_since(filter, since)?,
        None => client.watch(filter)?,
    };
    loop {
        let event = watch.next().await?;
        match output {
            EventFormat::Json => print_lines([serde_json::to_string(&event)?])?,
            EventFormat::Table => print_lines(event_lines(&event))?,
        }
    }
}

fn event_lines(event: &WatchEvent) -> Vec<String> {
    match event {
        WatchEvent::Snapshot(snapshot) => {
            let total = format!("{} servers at {}", snapshot.servers.len(), snapshot.revision);
            let servers =
                snapshot.servers.iter().map(|server| server_line(&server.registered_at, "present", server));
            servers.chain([total]).collect()
        }
        WatchEvent::Change(Change { kind, at, server, .. }) => vec![server_line(at, kind.as_str(), server)],
    }
}

fn server_line(at: &chrono::DateTime<chrono::Utc>, event: &str, server: &Server) -> String {
    let all = &server.capabilities;
    format!(
        "{}  {event:<12}  {}  {}  tools {}, resources {}, prompts {}",
        at.format("%Y-%m-%d %H:%M:%S"),
        sanitize(&server.name),
        server.id,
        all.tools.len(),
        all.resources.len(),
        all.prompts.len()
    )
}
