//! Which registry a command asks, and what its exit code says.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | failed, with the reason on standard error |
//! | 2 | the arguments are wrong |
//! | 3 | what was asked for is not there, or is unhealthy |
//! | 4 | no registry answers |
//! | 5 | the registry asks for a token, or for one that may do more |
//! | 6 | another registry took over from this one |

use std::io;

use clap::Args;

use crate::client::{Client, ClientError, ClientOptions};
use crate::model::FilterError;

/// Where `paulina serve` listens.
const DEFAULT: &str = "http://127.0.0.1:7285";

/// Where the registry is.
#[derive(Debug, Args)]
pub(super) struct At {
    /// The registry's address: `http://…`, `https://…`, or `unix:` and a path. Of several, separated by commas, whichever
    /// answers.
    #[arg(
        long,
        env = "PAULINA_URL",
        default_value = DEFAULT,
        value_name = "URL",
        value_delimiter = ','
    )]
    registry: Vec<String>,

    /// A token to ask it with.
    #[arg(long, env = "PAULINA_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,
}

impl At {
    pub(super) fn client(&self) -> Result<Client, ClientError> {
        let given = self.registry.iter().filter(|address| !address.is_empty());
        let options = given.fold(ClientOptions::new(), ClientOptions::address);
        // An empty variable is as good as none.
        let nowhere = self.registry.iter().all(String::is_empty);
        let options = if nowhere { options.address(DEFAULT) } else { options };
        let token = self.token.iter().filter(|token| !token.is_empty());
        token.fold(options, ClientOptions::token).build()
    }

    /// A client of a registry that has to be named alone.
    pub(super) fn client_of_one(&self) -> anyhow::Result<Client> {
        if self.registry.len() > 1 {
            anyhow::bail!("--registry names several addresses, and this is for one");
        }
        Ok(self.client()?)
    }

    pub(super) fn has_token(&self) -> bool {
        self.token.as_ref().is_some_and(|token| !token.is_empty())
    }
}

/// What was asked for is not there, or is unhealthy.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NotThere(pub(super) String);

/// The exit code that an error gives.
pub(super) fn exit_code(error: &anyhow::Error) -> u8 {
    for cause in error.chain() {
        if cause.is::<NotThere>() {
            return 3;
        }
        if cause.is::<FilterError>() {
            return 2;
        }
        if cause.is::<super::replica::Superseded>() {
            return 6;
        }
        return match cause.downcast_ref::<ClientError>() {
            Some(ClientError::NotRegistered { .. } | ClientError::NoHealthyServers { .. }) => 3,
            Some(
                ClientError::Unreachable { .. } | ClientError::Tls { .. } | ClientError::NotARegistry { .. },
            ) => 4,
            Some(ClientError::Refused(refusal)) if matches!(refusal.status, 401 | 403) => 5,
            Some(ClientError::InvalidFilter(_)) => 2,
            Some(_) => 1,
            None => continue,
        };
    }
    1
}

/// Whether an error only says that nobody reads on, as in `paulina ls | head`.
pub(super) fn is_unread(error: &anyhow::Error) -> bool {
    let broken = |cause: &io::Error| cause.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref().is_some_and(broken))
}

/// What went wrong and what to do.
pub(super) fn explained(error: &anyhow::Error) -> String {
    if let Some(FilterError { parameter, detail }) = error.downcast_ref() {
        return if parameter == "words" {
            format!("the text to search for {detail}")
        } else {
            format!("--{parameter} {detail}")
        };
    }
    let client = error.chain().find_map(|cause| cause.downcast_ref::<ClientError>());
    match client {
        Some(ClientError::Unreachable { addresses, reason }) => format!(
            "no registry at {addresses} ({reason}): start one with `paulina serve`, or name another with --registry"
        ),
        Some(ClientError::NotARegistry { .. }) => format!("{error}: name another address with --registry"),
        Some(ClientError::Refused(refusal)) if refusal.status == 401 => {
            format!("{}: give it with --token or PAULINA_TOKEN", refusal.detail)
        }
        Some(ClientError::Refused(refusal)) if !refusal.errors.is_empty() => {
            let violations = refusal.errors.iter().map(|violation| format!("\n  {violation}"));
            format!("{}:{}", refusal.detail, violations.collect::<String>())
        }
        _ => format!("{error:#}"),
    }
}
