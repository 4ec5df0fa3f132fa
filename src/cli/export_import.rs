//! The commands `paulina export` and `paulina import`: all registrations as JSON.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::output::print_lines;
use super::progress::{CONTACTING_REGISTRY, ProgressBar, with_spinner};
use super::register::read_input;
use super::registry_args::RegistryArgs;
use crate::client::{Client, ClientError};
use crate::model::{Filter, HealthFilter, ParseError, Registration, View};

/// Servers per page. A full record takes up to 4 MiB.
const PAGE_SIZE: u32 = 100;

/// Export all registrations as JSON.
///
/// The format is `{"servers": […]}`, each server as `register --file` and the API accept it. Leases, times and owners are not
/// included.
#[derive(Debug, Args)]
pub(super) struct Export {
    /// File to write; if not set, standard output.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    registry_args: RegistryArgs,
}

/// Import registrations that `export` has written.
///
/// An imported server is healthy for its ttl and then expires, unless it is refreshed. Ids that are already registered are
/// skipped: a server that announces itself would see another registration under its id as its successor and stop refreshing.
#[derive(Debug, Args)]
pub(super) struct Import {
    /// File to read, or `-` for standard input.
    file: PathBuf,
    /// Replace registrations with the same id instead of skipping them.
    #[arg(long)]
    replace: bool,
    /// How long the leases are valid, in seconds, instead of the ttl in the file.
    #[arg(long, value_name = "SECONDS")]
    ttl: Option<u32>,
    #[command(flatten)]
    registry_args: RegistryArgs,
}

#[derive(Serialize)]
struct ExportFile<'a> {
    servers: &'a [Registration],
}

#[derive(Deserialize)]
struct ImportFile<'a> {
    #[serde(borrow)]
    servers: Vec<&'a RawValue>,
}

pub(super) async fn export(Export { file, registry_args }: Export) -> anyhow::Result<()> {
    let filter = Filter::new().health(HealthFilter::Any).view(View::Full).limit(PAGE_SIZE);
    let client = registry_args.client()?;
    let servers = with_spinner(CONTACTING_REGISTRY, client.find_all(filter)).await?;
    let servers: Vec<_> = servers.iter().map(Registration::from).collect();
    let mut json = serde_json::to_vec_pretty(&ExportFile { servers: &servers })?;
    json.push(b'\n');
    let Some(file) = file else { return Ok(std::io::stdout().write_all(&json)?) };
    write(&file, &json).with_context(|| format!("cannot write {}", file.display()))?;
    print_lines([format!("wrote {} servers to {}", servers.len(), file.display())])
}

/// Writes a file atomically.
fn write(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
    temporary.write_all(bytes)?;
    temporary.persist(file)?;
    Ok(())
}

pub(super) async fn import(import: Import) -> anyhow::Result<()> {
    let registrations = import.read()?;
    let client = import.registry_args.client()?;
    let (mut counts, total) = (BTreeMap::new(), registrations.len());
    {
        let bar = ProgressBar::new("registering", total);
        for (done, registration) in registrations.into_iter().enumerate() {
            let registered = import.register(&client, registration).await;
            let outcome = registered.with_context(|| format!("failed after {done} of {total} servers"))?;
            *counts.entry(outcome).or_insert(0_usize) += 1;
            bar.step();
        }
    }
    let counts: Vec<_> = counts.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
    let text = if counts.is_empty() { "no servers".to_owned() } else { counts.join(", ") };
    print_lines([text.as_str()])
}

impl Import {
    fn read(&self) -> anyhow::Result<Vec<Registration>> {
        let name = self.file.display();
        let text = read_input(&self.file)?;
        let file: ImportFile<'_> = serde_json::from_slice(&text)
            .with_context(|| format!("{name} is not a file that `paulina export` has written"))?;
        let mut violations = Vec::new();
        let mut registrations = Vec::with_capacity(file.servers.len());
        for (index, server) in file.servers.iter().enumerate() {
            match Registration::from_json(server.get().as_bytes()) {
                Ok(valid) => registrations.push(valid.get().clone()),
                Err(ParseError::Malformed(reason)) => violations.push(format!("/servers/{index}: {reason}")),
                Err(ParseError::Invalid(found)) => {
                    violations.extend(found.iter().map(|violation| format!("/servers/{index}{violation}")));
                }
            }
        }
        if !violations.is_empty() {
            bail!(
                "{name} contains invalid registrations, and nothing was imported:\n  {}",
                violations.join("\n  ")
            );
        }
        Ok(registrations)
    }

    /// Registers one server and returns the outcome.
    async fn register(&self, client: &Client, registration: Registration) -> anyhow::Result<&'static str> {
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
            Err(ClientError::Api(error)) if error.code == "already_registered" => Ok("skipped"),
            Err(error) => Err(error.into()),
        }
    }
}
