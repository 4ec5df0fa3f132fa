//! `paulina refresh`, `deregister` and `health`: what is about one lease.

use clap::Args;

use super::ask::{At, NotThere};
use super::output::{Output, Shown, json, lines};
use crate::model::{Health, LeaseId, LeaseRef};

/// Renew leases.
///
/// Whoever registers does that at half the ttl. `paulina announce` does it by itself.
#[derive(Debug, Args)]
pub(super) struct Refresh {
    /// The ids of the servers.
    #[arg(required = true)]
    ids: Vec<String>,
    /// The lease that registering gave; with it, an id that another process has registered since is left alone.
    #[arg(long)]
    lease: Option<LeaseId>,
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    shown: Shown,
}

/// Take servers out.
#[derive(Debug, Args)]
pub(super) struct Deregister {
    /// The ids of the servers.
    #[arg(required = true)]
    ids: Vec<String>,
    /// The lease that registering gave; with it, an id that another process has registered since is left alone.
    #[arg(long)]
    lease: Option<LeaseId>,
    #[command(flatten)]
    at: At,
}

/// Say whether a server is alive. Exit code 0: healthy; 3: unhealthy or not registered.
#[derive(Debug, Args)]
pub(super) struct HealthOf {
    /// Its id.
    id: String,
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    shown: Shown,
}

pub(super) async fn refresh(Refresh { ids, lease, at, shown }: Refresh) -> anyhow::Result<()> {
    let client = at.client()?;
    let mut refreshed = Vec::new();
    for id in ids {
        refreshed.push(client.refresh(LeaseRef::new(id, lease)).await?);
    }
    match shown.output {
        Output::Json => json(&refreshed),
        Output::Ids => lines(refreshed.iter().map(|lease| lease.id.as_str())),
        Output::Table => {
            let texts: Vec<_> = refreshed
                .iter()
                .map(|lease| format!("{}: healthy for {} s from now", lease.id, lease.ttl))
                .collect();
            lines(texts.iter().map(String::as_str))
        }
    }
}

pub(super) async fn deregister(Deregister { ids, lease, at }: Deregister) -> anyhow::Result<()> {
    let client = at.client()?;
    for id in ids {
        client.deregister(LeaseRef::new(&id, lease)).await?;
        lines([format!("deregistered {id}").as_str()])?;
    }
    Ok(())
}

pub(super) async fn health(HealthOf { id, at, shown }: HealthOf) -> anyhow::Result<()> {
    let state = at.client()?.health(&id).await?.ok_or_else(|| NotThere(format!("{id} is not registered")))?;
    match shown.output {
        Output::Json => json(&state)?,
        Output::Ids => lines([state.id.as_str()])?,
        Output::Table => {
            let left = state.expires_in_ms.div_ceil(1_000);
            lines([
                format!("{}: {}, {left} s of {} s left", state.id, state.health.as_str(), state.ttl).as_str()
            ])?;
        }
    }
    match state.health {
        Health::Healthy => Ok(()),
        Health::Unhealthy => Err(NotThere(format!("{id} is unhealthy")).into()),
    }
}
