//! The reference model: the expected state of a registry, without SQL, files, sockets and tasks.

use std::collections::BTreeMap;

use paulina::{HealthFilter, Registration, Role};
use serde_json::{Value, json};

pub(super) const IDS: [&str; 4] = ["a", "b", "c", "d"];
pub(super) const NAMES: [&str; 2] = ["files", "git"];
pub(super) const TOOLS: [&str; 3] = ["read_file", "writeFile", "log"];
pub(super) const TAGS: [&str; 2] = ["local", "production"];
pub(super) const RETENTION: i64 = 10_000;

/// The tokens that a history can create and revoke.
pub(super) const TOKENS: [(&str, Role); 4] =
    [("one", Role::Register), ("two", Role::Register), ("root", Role::Admin), ("eye", Role::Read)];

/// The caller of an operation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Caller {
    /// The process that embeds the registry.
    InProcess,
    /// A client without a token.
    Anonymous,
    /// A client with one of the [`TOKENS`], which can be revoked.
    TokenHolder(usize),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Content {
    pub(super) name: usize,
    pub(super) tools: Vec<bool>,
    pub(super) tags: Vec<bool>,
    pub(super) sampling: Option<bool>,
    pub(super) resources: usize,
    pub(super) ttl: u32,
}

impl Content {
    pub(super) fn registration(&self, id: usize) -> Registration {
        let mut registration = Registration::stdio(NAMES[self.name], ["/x"])
            .id(IDS[id])
            .ttl(self.ttl)
            .version(format!("{}", self.name));
        registration = chosen(&TOOLS, &self.tools).fold(registration, Registration::tool);
        registration = chosen(&TAGS, &self.tags).fold(registration, Registration::tag);
        registration = match self.resources {
            1 => registration.resource("file:///etc/hosts"),
            2 => registration.resource("file:///{path}").resource("db:*").metadata("zone", "x"),
            _ => registration,
        };
        match self.sampling {
            Some(true) => registration.capability("sampling"),
            Some(false) => registration.capability_options("sampling", serde_json::Value::Bool(false)),
            None => registration,
        }
    }

    /// Returns the same registration as a request body.
    pub(super) fn body(&self, id: usize) -> Value {
        let resources = match self.resources {
            1 => json!(["file:///etc/hosts"]),
            2 => json!(["file:///{path}", "db:*"]),
            _ => json!([]),
        };
        let tools: Vec<_> = chosen(&TOOLS, &self.tools).collect();
        let tags: Vec<_> = chosen(&TAGS, &self.tags).collect();
        let mut body = json!({
            "id": IDS[id], "name": NAMES[self.name], "version": format!("{}", self.name), "transport": "stdio",
            "command": ["/x"], "ttl": self.ttl, "tags": tags, "capabilities": {"tools": tools, "resources": resources},
            "metadata": if self.resources == 2 { json!({"zone": "x"}) } else { json!({}) },
        });
        if let Some(sampling) = self.sampling {
            body["capabilities"]["sampling"] = json!(sampling);
        }
        body
    }

    pub(super) fn has_tool(&self, tool: &str) -> bool {
        chosen(&TOOLS, &self.tools).any(|own| own == tool)
    }

    pub(super) fn serves(&self, uri: &str) -> bool {
        match self.resources {
            1 => uri == "file:///etc/hosts",
            2 => uri.starts_with("file:///") || uri.starts_with("db:"),
            _ => false,
        }
    }

    /// Returns the words that search finds it by.
    pub(super) fn words(&self) -> Vec<&'static str> {
        let tools = chosen(&TOOLS, &self.tools).flat_map(|tool| match tool {
            "read_file" => vec!["read", "file"],
            "writeFile" => vec!["write", "file", "writefile"],
            other => vec![other],
        });
        tools.chain(chosen(&TAGS, &self.tags)).chain([NAMES[self.name]]).collect()
    }
}

pub(super) fn chosen<'a>(
    all: &'a [&'static str],
    flags: &'a [bool],
) -> impl Iterator<Item = &'static str> + 'a {
    all.iter().zip(flags).filter(|(_, chosen)| **chosen).map(|(text, _)| *text)
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) content: Content,
    pub(super) number: u64,
    pub(super) expires: i64,
    pub(super) expiry_recorded: bool,
    pub(super) lease: Option<paulina::LeaseId>,
    pub(super) owner: Option<&'static str>,
}

/// The expected state.
#[derive(Debug, Default, Clone)]
pub(super) struct Model {
    pub(super) entries: BTreeMap<usize, Entry>,
    pub(super) next_number: u64,
    pub(super) now: i64,
    pub(super) grace_period: i64,
    pub(super) revision: u64,
    /// The existing tokens: index in [`TOKENS`] and secret.
    pub(super) tokens: BTreeMap<usize, String>,
}

impl Model {
    pub(super) fn run_for(&mut self, milliseconds: i64) {
        let paused = milliseconds.min(self.grace_period);
        self.grace_period -= paused;
        self.now += milliseconds - paused;
    }

    pub(super) fn refresh(&mut self, id: usize) -> bool {
        let Some(entry) = self.entries.get_mut(&id) else { return false };
        entry.expires = self.now + i64::from(entry.content.ttl) * 1_000;
        self.revision += u64::from(std::mem::take(&mut entry.expiry_recorded));
        true
    }

    pub(super) fn prune(&mut self) {
        for entry in self.entries.values_mut().filter(|entry| entry.expires <= self.now) {
            self.revision += u64::from(!entry.expiry_recorded);
            entry.expiry_recorded = true;
        }
        let now = self.now;
        self.entries.retain(|_, entry| entry.expires > now - RETENTION);
    }

    pub(super) fn healthy(&self, entry: &Entry) -> bool {
        entry.expires > self.now
    }

    /// Returns the index of the caller's token, or the status with which the caller is rejected.
    pub(super) fn authorize(&self, caller: Caller, writing: bool) -> Result<Option<usize>, u16> {
        let holder = match caller {
            Caller::InProcess => return Ok(None),
            Caller::Anonymous | Caller::TokenHolder(_) if self.tokens.is_empty() => return Ok(None),
            Caller::Anonymous => return Err(401),
            Caller::TokenHolder(token) if !self.tokens.contains_key(&token) => return Err(401),
            Caller::TokenHolder(token) => token,
        };
        if writing && TOKENS[holder].1 == Role::Read { Err(403) } else { Ok(Some(holder)) }
    }

    /// Whether the actor may change the server.
    pub(super) fn may_change(&self, id: usize, actor: Option<usize>) -> bool {
        let owner = self.entries.get(&id).and_then(|entry| entry.owner);
        let Some((actor, role)) = actor.map(|actor| TOKENS[actor]) else { return true };
        role == Role::Admin || owner.is_none_or(|owner| owner == actor)
    }

    /// Returns the matching ids in the order of registration.
    pub(super) fn find(&self, health: HealthFilter, matches: impl Fn(&Content) -> bool) -> Vec<String> {
        let wanted = |entry: &&Entry| match health {
            HealthFilter::Any => true,
            HealthFilter::Healthy => self.healthy(entry),
            HealthFilter::Unhealthy => !self.healthy(entry),
        };
        let mut found: Vec<_> = self
            .entries
            .iter()
            .filter(|(_, entry)| wanted(entry) && matches(&entry.content))
            .map(|(id, entry)| (entry.number, IDS[*id].to_owned()))
            .collect();
        found.sort();
        found.into_iter().map(|(_, id)| id).collect()
    }
}
