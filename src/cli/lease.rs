//! `paulina refresh`, `deregister` and `health`: what is about one lease.

use anyhow::bail;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::output::{Output, Shown, json, lines};
use super::progress::{ASKING, patiently};
use super::registry_args::{At, NotThere};
use crate::client::ClientError;
use crate::model::{Health, LeaseId, LeaseRef, Refreshed};

/// Renew leases.
///
/// Whoever registers does that at half the ttl. `paulina announce` does it by itself.
#[derive(Debug, Args)]
pub(super) struct Refresh {
    /// The ids of the servers.
    #[arg(required = true, value_parser = NonEmptyStringValueParser::new())]
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
    #[arg(required = true, value_parser = NonEmptyStringValueParser::new())]
    ids: Vec<String>,
    /// The lease that registering gave; with it, an id that another process has registered since is left alone.
    #[arg(long)]
    lease: Option<LeaseId>,
    #[command(flatten)]
    at: At,
}

/// Say whether a server is alive, or whether the registry is ready. Exit code 0: healthy; 3: unhealthy or not registered.
#[derive(Debug, Args)]
pub(super) struct HealthOf {
    /// Its id; without one, it is about the registry itself, and whether that is a primary or a standby.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    id: Option<String>,
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    shown: Shown,
}

pub(super) async fn refresh(Refresh { ids, lease, at, shown }: Refresh) -> anyhow::Result<()> {
    let client = at.client()?;
    let (refreshed, gone) = if let Some(lease) = one(&ids, lease)? {
        (vec![patiently(ASKING, client.refresh(lease)).await?], Vec::new())
    } else {
        let many = patiently(ASKING, client.refresh_many(&ids)).await?;
        (many.refreshed, many.not_registered)
    };
    match shown.output {
        Output::Json => json(&refreshed)?,
        Output::Ids => lines(refreshed.iter().map(|lease| lease.id.as_str()))?,
        Output::Table => {
            let text = |lease: &Refreshed| format!("{}: healthy for {} s from now", lease.id, lease.ttl);
            lines(refreshed.iter().map(text))?;
        }
    }
    all_there(&gone)
}

pub(super) async fn deregister(Deregister { ids, lease, at }: Deregister) -> anyhow::Result<()> {
    let client = at.client()?;
    let named = one(&ids, lease)?;
    let mut gone = Vec::new();
    for id in &ids {
        let lease = named.clone().unwrap_or_else(|| LeaseRef::new(id, None));
        match patiently(ASKING, client.deregister(lease)).await {
            Ok(()) => lines([format!("deregistered {id}")])?,
            Err(ClientError::NotRegistered { .. }) => gone.push(id.clone()),
            Err(error) => return Err(error.into()),
        }
    }
    all_there(&gone)
}

/// A lease is that of one server.
fn one(ids: &[String], lease: Option<LeaseId>) -> anyhow::Result<Option<LeaseRef>> {
    match (ids, lease) {
        (_, None) => Ok(None),
        ([id], lease) => Ok(Some(LeaseRef::new(id, lease))),
        _ => bail!("--lease goes with one id: each server has its own"),
    }
}

fn all_there(gone: &[String]) -> anyhow::Result<()> {
    match gone {
        [] => Ok(()),
        [one] => Err(NotThere(format!("{one} is not registered")).into()),
        many => Err(NotThere(format!("{} are not registered", many.join(", "))).into()),
    }
}

pub(super) async fn health(HealthOf { id, at, shown }: HealthOf) -> anyhow::Result<()> {
    let client = at.client()?;
    let Some(id) = id else {
        let role = patiently(ASKING, client.role()).await?;
        return match shown.output {
            Output::Json => json(&serde_json::json!({ "role": role })),
            Output::Ids | Output::Table => lines([format!("ready: {role}")]),
        };
    };
    let state = patiently(ASKING, client.health(&id))
        .await?
        .ok_or_else(|| NotThere(format!("{id} is not registered")))?;
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
