//! The command `paulina register`.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;

use super::output::{OutputArgs, OutputFormat, print_json, print_lines};
use super::progress::{CONTACTING_REGISTRY, with_spinner};
use super::registration_args::RegistrationArgs;
use super::registry_args::RegistryArgs;
use crate::model::{ParseError, Registration};

/// Register a server from flags or JSON.
///
/// This does not keep the lease alive; `paulina announce` does, and it reads the tools, resources and prompts from the
/// server itself.
#[derive(Debug, Args)]
pub(super) struct Register {
    /// File with the registration as JSON, in the format of the API, or `-` for standard input. Flags are added to it.
    #[arg(long, help_heading = "Server", value_name = "FILE", conflicts_with_all = ["url", "command"])]
    file: Option<PathBuf>,

    /// URL of a server that is reached over HTTP.
    #[arg(long, help_heading = "Server", conflicts_with = "command")]
    url: Option<String>,

    /// The URL uses the legacy HTTP+SSE transport.
    #[arg(long, help_heading = "Server", requires = "url")]
    sse: bool,

    /// Command of a stdio server: the program and its arguments.
    #[arg(last = true, help_heading = "Server", value_name = "COMMAND")]
    command: Vec<String>,

    #[command(flatten)]
    registration_args: RegistrationArgs,

    /// Human-readable name.
    #[arg(long, help_heading = "Registration")]
    title: Option<String>,

    /// Version of the server.
    #[arg(long = "version", id = "server version", help_heading = "Registration", value_name = "VERSION")]
    version: Option<String>,

    /// Description of the server.
    #[arg(long, help_heading = "Registration")]
    description: Option<String>,

    /// Tool name. Can be repeated.
    #[arg(long, help_heading = "Registration")]
    tool: Vec<String>,

    /// Resource URI, or a template like `file:///{path}`. Can be repeated.
    #[arg(long, help_heading = "Registration", value_name = "URI")]
    resource: Vec<String>,

    /// Prompt name. Can be repeated.
    #[arg(long, help_heading = "Registration")]
    prompt: Vec<String>,

    /// Capability name. Can be repeated.
    #[arg(long, help_heading = "Registration")]
    capability: Vec<String>,

    #[command(flatten)]
    registry_args: RegistryArgs,
    #[command(flatten)]
    output_args: OutputArgs,
}

pub(super) async fn run(register: Register) -> anyhow::Result<()> {
    let client = register.registry_args.client()?;
    let registered = with_spinner(CONTACTING_REGISTRY, client.register(register.registration()?)).await?;
    match register.output_args.output {
        OutputFormat::Json => {
            let mut body = serde_json::to_value(&registered.server)?;
            if let Some(body) = body.as_object_mut() {
                body.insert("lease".to_owned(), registered.lease.to_string().into());
            }
            print_json(&body)
        }
        OutputFormat::Ids => print_lines([registered.server.id.as_str()]),
        OutputFormat::Table => {
            let id = &registered.server.id;
            let outcome = if registered.created { "registered" } else { "replaced" };
            let summary = format!("{outcome} {id}, healthy for {} s; refresh it with", registered.server.ttl);
            let command = format!("  paulina refresh {id} --lease {}", registered.lease);
            print_lines([summary.as_str(), command.as_str()])
        }
    }
}

impl Register {
    fn registration(&self) -> anyhow::Result<Registration> {
        let name = self.registration_args.name.clone();
        let required_name = || name.clone().context("a name is required: set --name");
        let base = match (&self.file, &self.url) {
            (Some(file), _) => read_registration(file)?,
            (None, Some(url)) if self.sse => Registration::sse(required_name()?, url),
            (None, Some(url)) => Registration::streamable_http(required_name()?, url),
            (None, None) if self.command.is_empty() => {
                bail!("a transport is required: a command after --, --url, or --file with JSON");
            }
            (None, None) => Registration::stdio(required_name()?, &self.command),
        };
        let mut registration = self.registration_args.apply_to(base);
        registration.record.title = self.title.clone().or(registration.record.title);
        registration.record.version = self.version.clone().or(registration.record.version);
        registration.record.description = self.description.clone().or(registration.record.description);
        let registration = self.tool.iter().fold(registration, |all, tool| all.tool(tool.as_str()));
        let registration = self.resource.iter().fold(registration, |all, uri| all.resource(uri.as_str()));
        let registration = self.prompt.iter().fold(registration, |all, prompt| all.prompt(prompt.as_str()));
        Ok(self.capability.iter().fold(registration, Registration::capability))
    }
}

fn read_registration(file: &Path) -> anyhow::Result<Registration> {
    let text = read_input(file)?;
    match Registration::from_json(&text) {
        Ok(registration) => Ok(registration.get().clone()),
        Err(ParseError::Malformed(reason)) => bail!("{} is not JSON: {reason}", file.display()),
        Err(ParseError::Invalid(violations)) => {
            let violations = violations.iter().map(|violation| format!("\n  {violation}"));
            bail!("{} is not a valid registration:{}", file.display(), violations.collect::<String>())
        }
    }
}

/// Reads a file, or standard input for `-`.
pub(super) fn read_input(file: &Path) -> anyhow::Result<Vec<u8>> {
    if file == Path::new("-") {
        let mut text = Vec::new();
        std::io::stdin().read_to_end(&mut text).context("cannot read standard input")?;
        return Ok(text);
    }
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}
