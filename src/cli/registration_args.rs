//! What is said of a server by flags, in `register`, `announce` and `inspect`.

use std::str::FromStr;

use clap::Args;

use crate::model::{Input, Registration};

/// A key and a value, written with `=`.
#[derive(Debug, Clone)]
pub(super) struct Pair(String, String);

impl FromStr for Pair {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok(Self(key.to_owned(), value.to_owned())),
            _ => Err("write it like team=search"),
        }
    }
}

/// What is said of a server beside what it says itself.
#[derive(Debug, Args)]
pub(super) struct Said {
    /// Its name; else what it calls itself.
    #[arg(long)]
    pub(super) name: Option<String>,

    /// A stable id; else the registry's client makes one. What was registered under it is replaced.
    #[arg(long)]
    id: Option<String>,

    /// A tag. Can be given again.
    #[arg(long, value_delimiter = ',')]
    tag: Vec<String>,

    /// A pair of metadata. Can be given again.
    #[arg(long, value_name = "KEY=VALUE")]
    metadata: Vec<Pair>,

    /// How long its lease runs without a refresh, in seconds.
    #[arg(long, value_name = "SECONDS")]
    ttl: Option<u32>,

    /// A variable that its environment needs, by name: clients are told to provide it. Can be given again.
    #[arg(long = "env", value_name = "NAME", conflicts_with = "url")]
    environment: Vec<String>,
}

impl Said {
    /// Puts it to what is known of a server.
    pub(super) fn of(&self, mut registration: Registration) -> Registration {
        if let Some(name) = &self.name {
            registration.name.clone_from(name);
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
            .fold(registration, |registration, Pair(key, value)| registration.metadata(key, value));
        let needed = |name: &String| Input { required: true, secret: true, ..Input::new(name) };
        self.environment.iter().map(needed).fold(registration, Registration::input)
    }
}
