//! How an MCP server is reached, in `announce` and `inspect`.

use std::cell::Cell;
use std::str::FromStr;
use std::time::Duration;

use anyhow::bail;
use clap::{Args, ValueEnum};
use http::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::registration_args::Said;
use crate::config::duration;
use crate::mcp::{Endpoint, Era, McpError, Session, Speaks, Target};
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
enum Kind {
    /// Streamable HTTP.
    Http,
    /// HTTP with server-sent events, the older way.
    Sse,
}

/// Which server, and how it is reached.
#[derive(Debug, Args)]
pub(super) struct Reached {
    /// The address of a server behind HTTP.
    #[arg(long, value_name = "URL", conflicts_with = "command", required_unless_present = "command")]
    url: Option<Url>,

    /// What the address speaks; else both are tried.
    #[arg(long, value_enum, requires = "url")]
    transport: Option<Kind>,

    /// A header that the address asks for, like 'Authorization: Bearer …'. Clients are told to provide it, by name; its
    /// value is told to nobody. Can be given again.
    #[arg(long, requires = "url", value_name = "NAME: VALUE", hide_env_values = true)]
    header: Vec<Header>,

    /// How long the server may take over each of its answers.
    #[arg(long, default_value = "60s", value_name = "DURATION", value_parser = duration)]
    patience: Duration,

    /// The program and its arguments.
    #[arg(last = true, value_name = "COMMAND")]
    pub(super) command: Vec<String>,

    /// How it was greeted the last time.
    #[arg(skip)]
    era: Cell<Era>,
}

impl Reached {
    pub(super) fn target(&self) -> anyhow::Result<Target> {
        let Some(url) = &self.url else { return Ok(Target::Stdio(self.command.clone())) };
        if !matches!(url.scheme(), "http" | "https") {
            bail!("{url} is neither http nor https");
        }
        if !url.username().is_empty() || url.password().is_some() {
            bail!(
                "--url holds a user or password, which the registry would show: give them with --header 'Authorization: …'"
            );
        }
        let headers: HeaderMap =
            self.header.iter().map(|Header(name, value)| (name.clone(), value.clone())).collect();
        let speaks = match self.transport {
            None => Speaks::Either,
            Some(Kind::Http) => Speaks::StreamableHttp,
            Some(Kind::Sse) => Speaks::Sse,
        };
        Ok(Target::Http(Endpoint { url: url.clone(), speaks, headers }))
    }

    /// Greets the server.
    pub(super) async fn open(&self, target: &Target) -> Result<Session, McpError> {
        let session = Box::pin(Session::open(target, self.patience, self.era.get())).await;
        match &session {
            Ok(session) => self.era.set(session.era()),
            // It may be another one now.
            Err(_) => self.era.set(Era::default()),
        }
        session
    }

    /// What the server says of itself, and what is said of it beside.
    pub(super) fn complete(&self, own: Registration, said: &Said) -> Registration {
        let needed =
            |Header(name, _): &Header| Input { required: true, secret: true, ..Input::new(name.as_str()) };
        said.of(self.header.iter().map(needed).fold(own, Registration::input))
    }

    /// Greets a server, reads what it says of itself, and lets it go.
    pub(super) async fn describe(&self, target: &Target, said: &Said) -> Result<Registration, McpError> {
        let mut session = self.open(target).await?;
        let read = session.read().await;
        session.close().await;
        Ok(self.complete(read?, said))
    }
}
