//! The flags that say how an MCP server is reached, in `announce` and `inspect`.

use std::cell::Cell;
use std::str::FromStr;
use std::time::Duration;

use anyhow::bail;
use clap::{Args, ValueEnum};
use http::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::registration_args::RegistrationArgs;
use crate::config::parse_duration;
use crate::mcp::{Endpoint, EndpointTransport, Era, McpError, Session, Target};
use crate::model::{Input, Registration};

/// A header, written as in a request.
#[derive(Debug, Clone)]
struct Header(HeaderName, HeaderValue);

impl FromStr for Header {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text.split_once(':').and_then(|(name, value)| {
            let mut value = HeaderValue::from_str(value.trim()).ok()?;
            value.set_sensitive(true);
            Some(Self(name.trim().parse().ok()?, value))
        });
        parsed.ok_or("write it like 'Authorization: Bearer …'")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TransportArg {
    /// Streamable HTTP.
    Http,
    /// The legacy HTTP+SSE transport.
    Sse,
}

/// The MCP server to connect to.
#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub(super) struct ServerArgs {
    /// URL of a server that runs by itself.
    #[arg(long, value_name = "URL", conflicts_with = "command", required_unless_present = "command")]
    url: Option<Url>,

    /// Transport of the URL; if not set, both are tried.
    #[arg(long, value_enum, requires = "url")]
    transport: Option<TransportArg>,

    /// Header that the URL requires, like 'Authorization: Bearer …'. Clients see the name of the header, never its value.
    /// Can be repeated.
    #[arg(long, requires = "url", value_name = "NAME: VALUE", hide_env_values = true)]
    header: Vec<Header>,

    /// Time limit for each response of the server.
    #[arg(long, default_value = "60s", value_name = "DURATION", value_parser = parse_duration)]
    timeout: Duration,

    /// Command of a stdio server: the program and its arguments.
    #[arg(last = true, value_name = "COMMAND")]
    pub(super) command: Vec<String>,

    /// The era that the last handshake found.
    #[arg(skip)]
    era: Cell<Era>,
}

impl ServerArgs {
    /// Returns how to reach the server.
    pub(super) fn target(&self) -> anyhow::Result<Target> {
        let Some(url) = &self.url else { return Ok(Target::Stdio(self.command.clone())) };
        if !matches!(url.scheme(), "http" | "https") {
            bail!("{url} is neither http nor https");
        }
        if !url.username().is_empty() || url.password().is_some() {
            bail!(
                "--url contains a user name or password, which the registry would show: pass them with --header \
                 'Authorization: …'"
            );
        }
        let headers: HeaderMap =
            self.header.iter().map(|Header(name, value)| (name.clone(), value.clone())).collect();
        let transport = match self.transport {
            None => EndpointTransport::Auto,
            Some(TransportArg::Http) => EndpointTransport::StreamableHttp,
            Some(TransportArg::Sse) => EndpointTransport::Sse,
        };
        Ok(Target::Http(Endpoint { url: url.clone(), transport, headers }))
    }

    /// Opens a session.
    pub(super) async fn open(&self, target: &Target) -> Result<Session, McpError> {
        let session = Box::pin(Session::open(target, self.timeout, self.era.get())).await;
        match &session {
            Ok(session) => self.era.set(session.era()),
            // Another server may run there now.
            Err(_) => self.era.set(Era::default()),
        }
        session
    }

    /// Adds to a server's own description what the flags say about it.
    pub(super) fn complete(
        &self,
        description: Registration,
        registration_args: &RegistrationArgs,
    ) -> Registration {
        let required =
            |Header(name, _): &Header| Input { required: true, secret: true, ..Input::new(name.as_str()) };
        registration_args.apply_to(self.header.iter().map(required).fold(description, Registration::input))
    }

    /// Opens a session, describes the server, and closes the session.
    pub(super) async fn describe(
        &self,
        target: &Target,
        registration_args: &RegistrationArgs,
    ) -> Result<Registration, McpError> {
        let mut session = self.open(target).await?;
        let description = session.describe().await;
        session.close().await;
        Ok(self.complete(description?, registration_args))
    }
}
