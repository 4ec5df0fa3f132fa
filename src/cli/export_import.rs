//! `paulina export` and `paulina import`: everything that is registered, as JSON that can be registered again.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::output::lines;
use super::progress::{ASKING, Bar, patiently};
use super::register::text;
use super::registry_args::At;
use crate::client::{Client, ClientError};
use crate::model::{Filter, HealthFilter, ParseError, Registration, View};

/// Servers a page: in full they weigh up to 4 MiB each.
const PAGE: u32 = 100;

/// Write all registrations as JSON: `{"servers": […]}`, each as `register --file` and the API take it.
///
/// Leases, times and owners are not part of it.
#[derive(Debug, Args)]
pub(super) struct Export {
    /// The file to write; else standard output.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    at: At,
}

/// Register what `export` has written.
///
/// An imported server is healthy for its ttl and goes, unless somebody refreshes it. An id that is registered is left as it
/// is: a server that announces itself would take a second registration for its successor, and let go.
#[derive(Debug, Args)]
pub(super) struct Import {
    /// The file to read, or `-` for standard input.
    file: PathBuf,
    /// Replace what is registered under the same ids.
    #[arg(long)]
    replace: bool,
    /// How long the leases run, in seconds, instead of what the file says.
    #[arg(long, value_name = "SECONDS")]
    ttl: Option<u32>,
    #[command(flatten)]
    at: At,
}

#[derive(Serialize)]
struct Written<'a> {
    servers: &'a [Registration],
}

#[derive(Deserialize)]
struct Read<'a> {
    #[serde(borrow)]
    servers: Vec<&'a RawValue>,
}

pub(super) async fn export(Export { file, at }: Export) -> anyhow::Result<()> {
    let filter = Filter::new().health(HealthFilter::Any).view(View::Full).limit(PAGE);
    let client = at.client()?;
    let servers = patiently(ASKING, client.find_all(filter)).await?;
    let servers: Vec<_> = servers.iter().map(|server| Registration::from(&**server.record())).collect();
    let mut json = serde_json::to_vec_pretty(&Written { servers: &servers })?;
    json.push(b'\n');
    let Some(file) = file else { return Ok(std::io::stdout().write_all(&json)?) };
    write(&file, &json).with_context(|| format!("cannot write {}", file.display()))?;
    lines([format!("wrote {} servers to {}", servers.len(), file.display())])
}

/// Writes a file whole or not at all.
fn write(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut whole = tempfile::NamedTempFile::new_in(folder)?;
    whole.write_all(bytes)?;
    whole.persist(file)?;
    Ok(())
}

pub(super) async fn import(import: Import) -> anyhow::Result<()> {
    let registrations = import.read()?;
    let client = import.at.client()?;
    let (mut counts, all) = (BTreeMap::new(), registrations.len());
    {
        let bar = Bar::new("registering", all);
        for (done, registration) in registrations.into_iter().enumerate() {
            let put = import.put(&client, registration).await;
            let what = put.with_context(|| format!("{done} of {all} were done"))?;
            *counts.entry(what).or_insert(0_usize) += 1;
            bar.step();
        }
    }
    let counts: Vec<_> = counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
    let text = if counts.is_empty() { "no servers".to_owned() } else { counts.join(", ") };
    lines([text.as_str()])
}

impl Import {
    fn read(&self) -> anyhow::Result<Vec<Registration>> {
        let name = self.file.display();
        let text = text(&self.file)?;
        let read: Read<'_> = serde_json::from_slice(&text)
            .with_context(|| format!("{name} is not what `paulina export` writes"))?;
        let mut wrong = Vec::new();
        let mut registrations = Vec::with_capacity(read.servers.len());
        for (index, server) in read.servers.iter().enumerate() {
            match Registration::from_json(server.get().as_bytes()) {
                Ok(valid) => registrations.push(valid.get().clone()),
                Err(ParseError::Malformed(reason)) => wrong.push(format!("/servers/{index}: {reason}")),
                Err(ParseError::Invalid(violations)) => {
                    wrong.extend(violations.iter().map(|violation| format!("/servers/{index}{violation}")));
                }
            }
        }
        if !wrong.is_empty() {
            bail!(
                "{name} holds what cannot be registered, and nothing was imported:\n  {}",
                wrong.join("\n  ")
            );
        }
        Ok(registrations)
    }

    /// Registers one, and says what became of it.
    async fn put(&self, client: &Client, registration: Registration) -> anyhow::Result<&'static str> {
        let registration = match self.ttl {
            Some(ttl) => registration.ttl(ttl),
            None => registration,
        };
        if self.replace {
            let registered = client.register(registration).await?;
            return Ok(if registered.created { "registered" } else { "replaced" });
        }
        match client.register_new(registration).await {
            Ok(_) => Ok("registered"),
            Err(ClientError::Refused(refusal)) if refusal.code == "already_registered" => {
                Ok("left as they are")
            }
            Err(error) => Err(error.into()),
        }
    }
}
