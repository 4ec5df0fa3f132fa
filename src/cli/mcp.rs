//! The command `paulina mcp`: the registry as an MCP server over standard input and output.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use rmcp::ServiceExt;
use tokio_util::sync::CancellationToken;

use super::registry_args::RegistryArgs;
use crate::mcp::serve::{Backend, RegistryMcpServer, RevisionRecorder, WriteAccess};
use crate::registry::Registry;

/// Serve the registry to an MCP client over standard input and output.
///
/// It forwards to the registry at --registry, or opens a database that no other process serves. A running registry offers
/// the same at `/mcp`.
#[derive(Debug, Args)]
pub(super) struct Mcp {
    /// Database to open instead of contacting a registry.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["registry", "token"])]
    database: Option<PathBuf>,
    /// Allow the client to register and deregister servers.
    #[arg(long)]
    allow_writes: bool,
    #[command(flatten)]
    registry_args: RegistryArgs,
}

pub(super) async fn run(Mcp { database, allow_writes, registry_args }: Mcp) -> anyhow::Result<()> {
    let registry = match &database {
        Some(path) => Some(Registry::open(path).await?),
        None => None,
    };
    let backend = match &registry {
        Some(registry) => Backend::Registry(registry.clone()),
        None => Backend::Client(registry_args.client()?),
    };
    let server = RegistryMcpServer::new(backend, WriteAccess::Fixed(allow_writes), CancellationToken::new());
    let session = async {
        let running = RevisionRecorder(server)
            .serve(rmcp::transport::stdio())
            .await
            .context("the MCP handshake with the client failed")?;
        running.waiting().await.context("the session with the client failed")
    };
    let result = session.await.map(|_| ());
    if let Some(registry) = registry {
        registry.close().await;
    }
    result
}
