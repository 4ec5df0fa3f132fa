//! The flags that describe a server, in `register`, `announce` and `inspect`.

use std::str::FromStr;

use clap::Args;

use crate::model::{Input, Registration};

/// A key and a value, separated by `=`.
#[derive(Debug, Clone)]
pub(super) struct KeyValue(String, String);

impl FromStr for KeyValue {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok(Self(key.to_owned(), value.to_owned())),
            _ => Err("write it like team=search"),
        }
    }
}

/// Properties of a registration that the server itself does not declare.
#[derive(Debug, Args)]
#[command(next_help_heading = "Registration")]
pub(super) struct RegistrationArgs {
    /// Name of the server; if not set, `announce` and `inspect` use the name that the server reports.
    #[arg(long)]
    pub(super) name: Option<String>,

    /// Stable id; if not set, one is generated. Replaces the registration under the same id.
    #[arg(long)]
    id: Option<String>,

    /// Tag. Can be repeated.
    #[arg(long, value_delimiter = ',')]
    tag: Vec<String>,

    /// Metadata as a key and a value. Can be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    metadata: Vec<KeyValue>,

    /// How long the lease is valid without a refresh, in seconds.
    #[arg(long, value_name = "SECONDS")]
    ttl: Option<u32>,

    /// Name of an environment variable that clients have to provide. Can be repeated.
    #[arg(long = "env", value_name = "NAME", conflicts_with = "url")]
    environment: Vec<String>,
}

impl RegistrationArgs {
    /// Returns the registration with these properties added.
    pub(super) fn apply_to(&self, mut registration: Registration) -> Registration {
        if let Some(name) = &self.name {
            registration.record.name.clone_from(name);
        }
        if let Some(id) = &self.id {
            registration = registration.id(id);
        }
        if let Some(ttl) = self.ttl {
            registration = registration.ttl(ttl);
        }
        let registration = self.tag.iter().fold(registration, Registration::tag);
        let registration = self
            .metadata
            .iter()
            .fold(registration, |registration, KeyValue(key, value)| registration.metadata(key, value));
        let required = |name: &String| Input { required: true, secret: true, ..Input::new(name) };
        self.environment.iter().map(required).fold(registration, Registration::input)
    }
}
