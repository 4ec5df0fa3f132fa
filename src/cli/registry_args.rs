//! The flags that name the registry, shared by the commands that contact one.

use clap::Args;

use crate::client::{Client, ClientError, ClientOptions};

/// The default address of `paulina serve`.
const DEFAULT_URL: &str = "http://127.0.0.1:7285";

/// The registry to contact.
#[derive(Debug, Args)]
#[command(next_help_heading = "Registry")]
pub(super) struct RegistryArgs {
    /// Address of the registry: `http://…`, `https://…`, or `unix:` and a path. Of several addresses, separated by commas,
    /// the first that answers is used.
    #[arg(
        long,
        env = "PAULINA_URL",
        default_value = DEFAULT_URL,
        value_name = "URL",
        value_delimiter = ','
    )]
    registry: Vec<String>,

    /// Token to authenticate with.
    #[arg(long, env = "PAULINA_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,
}

impl RegistryArgs {
    /// Returns a client for the named registry.
    pub(super) fn client(&self) -> Result<Client, ClientError> {
        let addresses = self.registry.iter().filter(|address| !address.is_empty());
        let options = addresses.fold(ClientOptions::new(), ClientOptions::address);
        // An empty environment variable is equivalent to an unset one.
        let is_unset = self.registry.iter().all(String::is_empty);
        let options = if is_unset { options.address(DEFAULT_URL) } else { options };
        let token = self.token.iter().filter(|token| !token.is_empty());
        token.fold(options, ClientOptions::token).build()
    }

    /// Returns a client for a command that acts on exactly one registry.
    pub(super) fn single_address_client(&self) -> anyhow::Result<Client> {
        if self.registry.len() > 1 {
            anyhow::bail!("--registry names several addresses, but this command takes exactly one");
        }
        Ok(self.client()?)
    }

    pub(super) fn has_token(&self) -> bool {
        self.token.as_ref().is_some_and(|token| !token.is_empty())
    }
}
