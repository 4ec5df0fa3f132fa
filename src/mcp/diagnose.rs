//! What went wrong with a server, from how far it came and how it fares now.

use std::time::Duration;

use super::child::Child;
use super::error::{Cause, McpError};

/// What went wrong with a server that was started.
pub(super) async fn of_child(
    child: &mut Child,
    step: &'static str,
    patience: Duration,
    cause: Option<Cause>,
) -> McpError {
    if let Some(line) = child.rubbish() {
        return McpError::Rubbish { line: line.to_owned() };
    }
    match cause {
        None => McpError::Silent { step, seconds: patience.as_secs(), said: child.last_words().await },
        Some(Cause::Refused(detail) | Cause::NotMcp(detail)) => McpError::Refused { step, detail },
        Some(Cause::Credentials(how)) => McpError::Credentials { how },
        Some(Cause::Closed | Cause::Unreachable(_)) => {
            let status = match child.ended().await {
                Some(status) => status.to_string(),
                None => "it closed its standard output".to_owned(),
            };
            McpError::Ended { step, status, said: child.last_words().await }
        }
    }
}

/// What went wrong with a server that runs elsewhere.
pub(super) fn of_endpoint(
    url: &str,
    step: &'static str,
    patience: Duration,
    cause: Option<Cause>,
) -> McpError {
    let url = url.to_owned();
    match cause {
        None => McpError::Silent { step, seconds: patience.as_secs(), said: String::new() },
        Some(Cause::Unreachable(reason)) => McpError::Unreachable { url, reason },
        Some(Cause::Credentials(how)) => McpError::Credentials { how },
        Some(Cause::Refused(detail)) => McpError::Refused { step, detail },
        Some(Cause::NotMcp(detail)) => McpError::NotMcp { url, detail },
        Some(Cause::Closed) => McpError::NotMcp { url, detail: "it closes the connection".to_owned() },
    }
}
