//! The commands `paulina refresh`, `deregister` and `health`, which concern leases.

use anyhow::bail;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::exit_code::NotFound;
use super::output::{OutputArgs, OutputFormat, print_json, print_lines};
use super::progress::{CONTACTING_REGISTRY, with_spinner};
use super::registry_args::RegistryArgs;
use crate::client::ClientError;
use crate::model::{Health, LeaseId, LeaseRef, Refreshed};

/// Refresh leases.
///
/// Refresh each server at half its ttl. `paulina announce` does so automatically.
#[derive(Debug, Args)]
pub(super) struct Refresh {
    /// Ids of the servers.
    #[arg(required = true, value_parser = NonEmptyStringValueParser::new())]
    ids: Vec<String>,
    /// Lease that the registration returned. If another process has registered the id since, the command fails.
    #[arg(long)]
    lease: Option<LeaseId>,
    #[command(flatten)]
    registry_args: RegistryArgs,
    #[command(flatten)]
    output_args: OutputArgs,
}

/// Deregister servers.
#[derive(Debug, Args)]
pub(super) struct Deregister {
    /// Ids of the servers.
    #[arg(required = true, value_parser = NonEmptyStringValueParser::new())]
    ids: Vec<String>,
    /// Lease that the registration returned. If another process has registered the id since, the command fails.
    #[arg(long)]
    lease: Option<LeaseId>,
    #[command(flatten)]
    registry_args: RegistryArgs,
}

/// Check the health of a server, or of the registry.
///
/// Exit code 0: healthy; 3: unhealthy or not registered.
#[derive(Debug, Args)]
pub(super) struct HealthArgs {
    /// Id of the server. Without an id, check whether the registry is ready, and show whether it is a primary or a standby.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    id: Option<String>,
    #[command(flatten)]
    registry_args: RegistryArgs,
    #[command(flatten)]
    output_args: OutputArgs,
}

pub(super) async fn refresh(
    Refresh { ids, lease, registry_args, output_args }: Refresh,
) -> anyhow::Result<()> {
    let client = registry_args.client()?;
    let (refreshed, not_found) = if let Some(lease) = single_lease(&ids, lease)? {
        (vec![with_spinner(CONTACTING_REGISTRY, client.refresh(lease)).await?], Vec::new())
    } else {
        let many = with_spinner(CONTACTING_REGISTRY, client.refresh_many(&ids)).await?;
        (many.refreshed, many.not_registered)
    };
    match output_args.output {
        OutputFormat::Json => print_json(&refreshed)?,
        OutputFormat::Ids => print_lines(refreshed.iter().map(|lease| lease.id.as_str()))?,
        OutputFormat::Table => {
            let text = |lease: &Refreshed| format!("{}: healthy for {} s from now", lease.id, lease.ttl);
            print_lines(refreshed.iter().map(text))?;
        }
    }
    ensure_all_found(&not_found)
}

pub(super) async fn deregister(Deregister { ids, lease, registry_args }: Deregister) -> anyhow::Result<()> {
    let client = registry_args.client()?;
    let named_lease = single_lease(&ids, lease)?;
    let mut not_found = Vec::new();
    for id in &ids {
        let lease = named_lease.clone().unwrap_or_else(|| LeaseRef::new(id, None));
        match with_spinner(CONTACTING_REGISTRY, client.deregister(lease)).await {
            Ok(()) => print_lines([format!("deregistered {id}")])?,
            Err(ClientError::NotRegistered { .. }) => not_found.push(id.clone()),
            Err(error) => return Err(error.into()),
        }
    }
    ensure_all_found(&not_found)
}

/// Returns the lease to act on, if one is named. A lease belongs to a single server.
fn single_lease(ids: &[String], lease: Option<LeaseId>) -> anyhow::Result<Option<LeaseRef>> {
    match (ids, lease) {
        (_, None) => Ok(None),
        ([id], lease) => Ok(Some(LeaseRef::new(id, lease))),
        _ => bail!("--lease requires exactly one id: each server has its own lease"),
    }
}

fn ensure_all_found(not_found: &[String]) -> anyhow::Result<()> {
    match not_found {
        [] => Ok(()),
        [one] => Err(NotFound(format!("{one} is not registered")).into()),
        many => Err(NotFound(format!("{} are not registered", many.join(", "))).into()),
    }
}

pub(super) async fn health(HealthArgs { id, registry_args, output_args }: HealthArgs) -> anyhow::Result<()> {
    let client = registry_args.client()?;
    let Some(id) = id else {
        let role = with_spinner(CONTACTING_REGISTRY, client.role()).await?;
        return match output_args.output {
            OutputFormat::Json => print_json(&serde_json::json!({ "role": role })),
            OutputFormat::Ids | OutputFormat::Table => print_lines([format!("ready: {role}")]),
        };
    };
    let state = with_spinner(CONTACTING_REGISTRY, client.health(&id))
        .await?
        .ok_or_else(|| NotFound(format!("{id} is not registered")))?;
    match output_args.output {
        OutputFormat::Json => print_json(&state)?,
        OutputFormat::Ids => print_lines([state.id.as_str()])?,
        OutputFormat::Table => {
            let left = state.expires_in_ms.div_ceil(1_000);
            print_lines([format!(
                "{}: {}, {left} s of {} s left",
                state.id,
                state.health.as_str(),
                state.ttl
            )
            .as_str()])?;
        }
    }
    match state.health {
        Health::Healthy => Ok(()),
        Health::Unhealthy => Err(NotFound(format!("{id} is unhealthy")).into()),
    }
}
