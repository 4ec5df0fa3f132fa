//! Diagnosis of a failed server, from the failed step and the current state of the server.

use std::time::Duration;

use super::child::Child;
use super::error::{Cause, McpError};

/// Returns the error for a server that was started as a child process.
pub(super) async fn child_error(
    child: &mut Child,
    step: &'static str,
    timeout: Duration,
    cause: Option<Cause>,
) -> McpError {
    if let Some(line) = child.non_mcp_line() {
        return McpError::NonMcpOutput { line: line.to_owned() };
    }
    match cause {
        None => McpError::Timeout { step, seconds: timeout.as_secs(), stderr: child.stderr_tail().await },
        Some(Cause::ErrorResponse(detail) | Cause::NotMcp(detail)) => {
            McpError::ErrorResponse { step, detail }
        }
        Some(Cause::CredentialsRequired(challenge)) => McpError::CredentialsRequired { challenge },
        Some(Cause::Closed | Cause::Unreachable(_)) => {
            let status = match child.wait_for_exit().await {
                Some(status) => status.to_string(),
                None => "it closed its standard output".to_owned(),
            };
            McpError::Exited { step, status, stderr: child.stderr_tail().await }
        }
    }
}

/// Returns the error for a server that is reached over HTTP.
pub(super) fn endpoint_error(
    url: &str,
    step: &'static str,
    timeout: Duration,
    cause: Option<Cause>,
) -> McpError {
    let url = url.to_owned();
    match cause {
        None => McpError::Timeout { step, seconds: timeout.as_secs(), stderr: String::new() },
        Some(Cause::Unreachable(reason)) => McpError::Unreachable { url, reason },
        Some(Cause::CredentialsRequired(challenge)) => McpError::CredentialsRequired { challenge },
        Some(Cause::ErrorResponse(detail)) => McpError::ErrorResponse { step, detail },
        Some(Cause::NotMcp(detail)) => McpError::NotMcp { url, detail },
        Some(Cause::Closed) => McpError::NotMcp { url, detail: "it closed the connection".to_owned() },
    }
}
