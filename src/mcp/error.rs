//! What can be wrong with an MCP server, told from one another.

use std::error::Error;

use rmcp::service::{ClientInitializeError, ServiceError};
use rmcp::transport::streamable_http_client::{HttpStatusError, StreamableHttpError};

use crate::client::innermost;

/// Why a server could not be described.
#[derive(Debug, thiserror::Error)]
pub(crate) enum McpError {
    /// Mend the command.
    #[error("cannot start {program}: {reason}")]
    Start { program: String, reason: std::io::Error },
    /// See what it says.
    #[error("the server ended ({status}) before it had answered {step}{}", last_words(.said))]
    Ended { step: &'static str, status: String, said: String },
    /// Give it longer, or see why it hangs.
    #[error("the server did not answer {step} within {seconds} s{}", last_words(.said))]
    Silent { step: &'static str, seconds: u64, said: String },
    /// It is no MCP server, or logs to the wrong place.
    #[error("the server writes to its standard output what is not MCP: {line:?}")]
    Rubbish { line: String },
    /// Give it credentials.
    #[error("the server asks for credentials ({how})")]
    Credentials { how: String },
    /// Start it, or mend the address.
    #[error("nothing answers at {url}: {reason}")]
    Unreachable { url: String, reason: String },
    /// Mend the address.
    #[error("what answers at {url} does not speak MCP: {detail}")]
    NotMcp { url: String, detail: String },
    /// The server is broken there.
    #[error("the server answers {step} with an error: {detail}")]
    Refused { step: &'static str, detail: String },
    /// The server is broken there.
    #[error("the server lists {step} without end: more than {most}")]
    Endless { step: &'static str, most: usize },
}

fn last_words(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!("; the last that it said: {said}") }
}

/// What the transport or the protocol gives, before it is known how the server fares.
pub(super) enum Cause {
    Closed,
    Credentials(String),
    Unreachable(String),
    NotMcp(String),
    Refused(String),
}

impl From<ClientInitializeError> for Cause {
    fn from(error: ClientInitializeError) -> Self {
        match error {
            ClientInitializeError::LegacyFallbackFailed { fallback, .. } => Self::from(*fallback),
            _ if error.is_authorization_required() => {
                Self::Credentials(error.auth_challenge().unwrap_or("it does not say which").to_owned())
            }
            ClientInitializeError::ConnectionClosed(_) => Self::Closed,
            ClientInitializeError::JsonRpcError(error) => Self::Refused(shown(&error.message)),
            ClientInitializeError::TransportError { error, .. } => Self::of_transport(error.error.as_ref()),
            other => Self::NotMcp(shown(&other.to_string())),
        }
    }
}

impl From<ServiceError> for Cause {
    fn from(error: ServiceError) -> Self {
        match error {
            _ if error.is_authorization_required() => {
                Self::Credentials(error.auth_challenge().unwrap_or("it does not say which").to_owned())
            }
            ServiceError::TransportClosed => Self::Closed,
            ServiceError::McpError(error) => Self::Refused(shown(&error.message)),
            ServiceError::TransportSend(error) => Self::of_transport(error.error.as_ref()),
            other => Self::NotMcp(shown(&other.to_string())),
        }
    }
}

impl Cause {
    pub(super) fn of_transport(error: &(dyn Error + 'static)) -> Self {
        let mut at = error;
        loop {
            // It does not say that this is where it comes from.
            if let Some(StreamableHttpError::Client(request)) = at.downcast_ref() {
                at = request as &reqwest::Error;
            }
            if let Some(request) = at.downcast_ref::<reqwest::Error>()
                && request.is_connect()
            {
                return Self::Unreachable(innermost(request));
            }
            if let Some(error) = at.downcast_ref::<std::io::Error>()
                && error.kind() == std::io::ErrorKind::BrokenPipe
            {
                return Self::Closed;
            }
            let status = at.downcast_ref::<HttpStatusError>().map(|error| error.status);
            let text = at.to_string();
            if status == Some(401) || text.contains("HTTP 401") {
                return Self::Credentials("HTTP 401".to_owned());
            }
            if text.contains("HTTP 403") {
                return Self::Refused(shown(&text));
            }
            match at.source() {
                Some(source) => at = source,
                None => return Self::NotMcp(shown(&text)),
            }
        }
    }
}

/// The beginning of what may be a page of text, in one line, without what a terminal would act on.
pub(super) fn shown(text: &str) -> String {
    const ENOUGH: usize = 300;
    let words = text.split(|character: char| character.is_whitespace() || character.is_control());
    let line = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    let mut short: String = line.chars().take(ENOUGH).collect();
    if short.len() < line.len() {
        short.push('…');
    }
    short
}
