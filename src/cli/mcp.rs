//! `paulina mcp`: the registry as an MCP server over standard input and output.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use rmcp::ServiceExt;

use super::registry_args::At;
use crate::mcp::serve::{Attentive, Catalogue, Registrar, Writes};
use crate::registry::Registry;

/// Serve what is registered to an MCP client, over standard input and output.
///
/// It asks the registry at --registry; or it opens a database that nobody serves. A registry that runs has the same at `/mcp`.
#[derive(Debug, Args)]
pub(super) struct Mcp {
    /// Open this database instead of asking a registry.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["registry", "token"])]
    database: Option<PathBuf>,
    /// Let the client register servers and take them out, too.
    #[arg(long)]
    allow_writing: bool,
    #[command(flatten)]
    at: At,
}

pub(super) async fn run(Mcp { database, allow_writing, at }: Mcp) -> anyhow::Result<()> {
    let registry = match &database {
        Some(path) => Some(Registry::open(path).await?),
        None => None,
    };
    let catalogue = match &registry {
        Some(registry) => Catalogue::Registry(registry.clone()),
        None => Catalogue::Client(at.client()?),
    };
    let (_running, stopping) = tokio::sync::watch::channel(false);
    let registrar = Registrar::new(catalogue, Writes::ByTheClient(allow_writing), stopping);
    let served = async {
        let running = Attentive(registrar)
            .serve(rmcp::transport::stdio())
            .await
            .context("the client does not begin as MCP does")?;
        running.waiting().await.context("the client broke off")
    };
    let ended = served.await.map(|_| ());
    if let Some(registry) = registry {
        registry.close().await;
    }
    ended
}
