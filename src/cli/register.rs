//! `paulina register`: what somebody says of a server, by flags or as JSON.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;

use super::output::{Output, Shown, json, lines};
use super::progress::{ASKING, patiently};
use super::registration_args::Said;
use super::registry_args::At;
use crate::model::{ParseError, Registration};

/// Register a server by hand. `paulina announce` does it for a server that runs, with all that it can do, for as long as it
/// lives.
#[derive(Debug, Args)]
pub(super) struct Register {
    /// The registration as JSON, as the API takes it: a file, or `-` for standard input. Flags are added to it.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["url", "command"])]
    file: Option<PathBuf>,

    /// The address of a server behind HTTP.
    #[arg(long, conflicts_with = "command")]
    url: Option<String>,

    /// The address speaks HTTP with server-sent events, the older way.
    #[arg(long, requires = "url")]
    sse: bool,

    #[command(flatten)]
    said: Said,

    /// Its name for people.
    #[arg(long)]
    title: Option<String>,

    /// Its version.
    #[arg(long = "version", id = "server version", value_name = "VERSION")]
    version: Option<String>,

    /// What it is for.
    #[arg(long)]
    description: Option<String>,

    /// A tool, by name. Can be given again, as the next three.
    #[arg(long)]
    tool: Vec<String>,

    /// A resource: its URI, or a template like `file:///{path}`.
    #[arg(long, value_name = "URI")]
    resource: Vec<String>,

    /// A prompt, by name.
    #[arg(long)]
    prompt: Vec<String>,

    /// A capability.
    #[arg(long)]
    capability: Vec<String>,

    #[command(flatten)]
    at: At,
    #[command(flatten)]
    shown: Shown,

    /// With stdio, the program and its arguments.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub(super) async fn run(register: Register) -> anyhow::Result<()> {
    let client = register.at.client()?;
    let registered = patiently(ASKING, client.register(register.registration()?)).await?;
    match register.shown.output {
        Output::Json => {
            let mut body = serde_json::to_value(&registered.server)?;
            if let Some(body) = body.as_object_mut() {
                body.insert("lease".to_owned(), registered.lease.to_string().into());
            }
            json(&body)
        }
        Output::Ids => lines([registered.server.id.as_str()]),
        Output::Table => {
            let id = &registered.server.id;
            let what = if registered.created { "registered" } else { "replaced" };
            let first = format!("{what} {id}, healthy for {} s; keep it so with", registered.server.ttl);
            let second = format!("  paulina refresh {id} --lease {}", registered.lease);
            lines([first.as_str(), second.as_str()])
        }
    }
}

impl Register {
    fn registration(&self) -> anyhow::Result<Registration> {
        let name = self.said.name.clone();
        let named = || name.clone().context("say what it is called, with --name");
        let base = match (&self.file, &self.url) {
            (Some(file), _) => read(file)?,
            (None, Some(url)) if self.sse => Registration::sse(named()?, url),
            (None, Some(url)) => Registration::streamable_http(named()?, url),
            (None, None) if self.command.is_empty() => {
                bail!("say how to reach it: a command behind --, --url, or --file with its JSON");
            }
            (None, None) => Registration::stdio(named()?, &self.command),
        };
        let mut registration = self.said.of(base);
        registration.title = self.title.clone().or(registration.title);
        registration.version = self.version.clone().or(registration.version);
        registration.description = self.description.clone().or(registration.description);
        let registration = self.tool.iter().fold(registration, |all, tool| all.tool(tool.as_str()));
        let registration = self.resource.iter().fold(registration, |all, uri| all.resource(uri.as_str()));
        let registration = self.prompt.iter().fold(registration, |all, prompt| all.prompt(prompt.as_str()));
        Ok(self.capability.iter().fold(registration, Registration::capability))
    }
}

fn read(file: &Path) -> anyhow::Result<Registration> {
    let text = text(file)?;
    match Registration::from_json(&text) {
        Ok(registration) => Ok(registration.get().clone()),
        Err(ParseError::Malformed(reason)) => bail!("{} is not JSON: {reason}", file.display()),
        Err(ParseError::Invalid(violations)) => {
            let violations = violations.iter().map(|violation| format!("\n  {violation}"));
            bail!("{} is not a valid registration:{}", file.display(), violations.collect::<String>())
        }
    }
}

/// A file, or standard input for `-`.
pub(super) fn text(file: &Path) -> anyhow::Result<Vec<u8>> {
    if file == Path::new("-") {
        let mut text = Vec::new();
        std::io::stdin().read_to_end(&mut text).context("cannot read standard input")?;
        return Ok(text);
    }
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}
