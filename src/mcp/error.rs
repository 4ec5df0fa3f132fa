//! Errors of MCP servers. Each variant calls for a different remedy.

use std::error::Error;

use rmcp::service::{ClientInitializeError, ServiceError};
use rmcp::transport::streamable_http_client::{HttpStatusError, StreamableHttpError};

use crate::client::root_cause;

/// The reason why a server could not be described.
#[derive(Debug, thiserror::Error)]
pub(crate) enum McpError {
    /// Fix the command.
    #[error("cannot start {program}: {reason}")]
    StartFailed { program: String, reason: std::io::Error },
    /// Read its standard error.
    #[error("the server exited ({status}) before it responded to {step}{}", stderr_suffix(.stderr))]
    Exited { step: &'static str, status: String, stderr: String },
    /// Increase the timeout, or find out why the server hangs.
    #[error("the server did not respond to {step} within {seconds} s{}", stderr_suffix(.stderr))]
    Timeout { step: &'static str, seconds: u64, stderr: String },
    /// It is not an MCP server, or logs to standard output.
    #[error("the server writes output that is not MCP to its standard output: {line:?}")]
    NonMcpOutput { line: String },
    /// Provide credentials.
    #[error("the server requires credentials ({challenge})")]
    CredentialsRequired { challenge: String },
    /// Start the server, or fix the address.
    #[error("cannot reach a server at {url}: {reason}")]
    Unreachable { url: String, reason: String },
    /// Fix the address.
    #[error("the server at {url} does not speak MCP: {detail}")]
    NotMcp { url: String, detail: String },
    /// Fix the server.
    #[error("the server responds to {step} with an error: {detail}")]
    ErrorResponse { step: &'static str, detail: String },
    /// Fix the server.
    #[error("the pagination of {step} does not end: stopped after {count} items")]
    EndlessList { step: &'static str, count: usize },
}

fn stderr_suffix(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!("; last output on stderr: {stderr}") }
}

/// An error of the transport or the protocol, before it is diagnosed.
pub(super) enum Cause {
    Closed,
    CredentialsRequired(String),
    Unreachable(String),
    NotMcp(String),
    ErrorResponse(String),
}

impl From<ClientInitializeError> for Cause {
    fn from(error: ClientInitializeError) -> Self {
        match error {
            ClientInitializeError::LegacyFallbackFailed { fallback, .. } => Self::from(*fallback),
            _ if error.is_authorization_required() => {
                Self::CredentialsRequired(error.auth_challenge().unwrap_or("unspecified").to_owned())
            }
            ClientInitializeError::ConnectionClosed(_) => Self::Closed,
            ClientInitializeError::JsonRpcError(error) => Self::ErrorResponse(shorten(&error.message)),
            ClientInitializeError::TransportError { error, .. } => Self::of_transport(error.error.as_ref()),
            other => Self::NotMcp(shorten(&other.to_string())),
        }
    }
}

impl From<ServiceError> for Cause {
    fn from(error: ServiceError) -> Self {
        match error {
            _ if error.is_authorization_required() => {
                Self::CredentialsRequired(error.auth_challenge().unwrap_or("unspecified").to_owned())
            }
            ServiceError::TransportClosed => Self::Closed,
            ServiceError::McpError(error) => Self::ErrorResponse(shorten(&error.message)),
            ServiceError::TransportSend(error) => Self::of_transport(error.error.as_ref()),
            other => Self::NotMcp(shorten(&other.to_string())),
        }
    }
}

impl Cause {
    pub(super) fn of_transport(error: &(dyn Error + 'static)) -> Self {
        let mut current = error;
        loop {
            // This error does not return its source.
            if let Some(StreamableHttpError::Client(request)) = current.downcast_ref() {
                current = request as &reqwest::Error;
            }
            if let Some(request) = current.downcast_ref::<reqwest::Error>()
                && request.is_connect()
            {
                return Self::Unreachable(root_cause(request));
            }
            if let Some(error) = current.downcast_ref::<std::io::Error>()
                && error.kind() == std::io::ErrorKind::BrokenPipe
            {
                return Self::Closed;
            }
            let status = current.downcast_ref::<HttpStatusError>().map(|error| error.status);
            let text = current.to_string();
            if status == Some(401) || text.contains("HTTP 401") {
                return Self::CredentialsRequired("HTTP 401".to_owned());
            }
            if text.contains("HTTP 403") {
                return Self::ErrorResponse(shorten(&text));
            }
            match current.source() {
                Some(source) => current = source,
                None => return Self::NotMcp(shorten(&text)),
            }
        }
    }
}

/// Returns the beginning of a text on one line, without control characters.
pub(super) fn shorten(text: &str) -> String {
    const MAX_CHARACTERS: usize = 300;
    let words = text.split(|character: char| character.is_whitespace() || character.is_control());
    let line = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    let mut short: String = line.chars().take(MAX_CHARACTERS).collect();
    if short.len() < line.len() {
        short.push('…');
    }
    short
}
