//! What a registry is, without SQL, files, sockets and tasks.

use std::collections::BTreeMap;

use paulina::{HealthFilter, Registration, Role};
use serde_json::{Value, json};

pub(super) const IDS: [&str; 4] = ["a", "b", "c", "d"];
pub(super) const NAMES: [&str; 2] = ["files", "git"];
pub(super) const TOOLS: [&str; 3] = ["read_file", "writeFile", "log"];
pub(super) const TAGS: [&str; 2] = ["local", "production"];
pub(super) const RETENTION: i64 = 10_000;

/// The tokens that may come and go.
pub(super) const TOKENS: [(&str, Role); 4] =
    [("one", Role::Register), ("two", Role::Register), ("root", Role::Admin), ("eye", Role::Read)];

/// On whose behalf something is asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Who {
    /// The process that holds the registry.
    Process,
    /// Somebody without a token.
    Nobody,
    /// The holder of one of the [`TOKENS`], which may be revoked by now.
    Holder(usize),
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

    /// The same as the body of a request.
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

    /// The words that full text finds it by.
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
    pub(super) told: bool,
    pub(super) lease: Option<paulina::LeaseId>,
    pub(super) owner: Option<&'static str>,
}

/// See the [module](self).
#[derive(Debug, Default, Clone)]
pub(super) struct Model {
    pub(super) entries: BTreeMap<usize, Entry>,
    pub(super) next: u64,
    pub(super) now: i64,
    pub(super) standstill: i64,
    pub(super) revision: u64,
    /// The tokens that are there: which of the [`TOKENS`], and its secret.
    pub(super) tokens: BTreeMap<usize, String>,
}

impl Model {
    pub(super) fn pass(&mut self, milliseconds: i64) {
        let stood = milliseconds.min(self.standstill);
        self.standstill -= stood;
        self.now += milliseconds - stood;
    }

    pub(super) fn refresh(&mut self, id: usize) -> bool {
        let Some(entry) = self.entries.get_mut(&id) else { return false };
        entry.expires = self.now + i64::from(entry.content.ttl) * 1_000;
        self.revision += u64::from(std::mem::take(&mut entry.told));
        true
    }

    pub(super) fn prune(&mut self) {
        for entry in self.entries.values_mut().filter(|entry| entry.expires <= self.now) {
            self.revision += u64::from(!entry.told);
            entry.told = true;
        }
        let now = self.now;
        self.entries.retain(|_, entry| entry.expires > now - RETENTION);
    }

    pub(super) fn healthy(&self, entry: &Entry) -> bool {
        entry.expires > self.now
    }

    /// The token that acts; the status if that one is turned away.
    pub(super) fn admit(&self, who: Who, writing: bool) -> Result<Option<usize>, u16> {
        let holder = match who {
            Who::Process => return Ok(None),
            Who::Nobody | Who::Holder(_) if self.tokens.is_empty() => return Ok(None),
            Who::Nobody => return Err(401),
            Who::Holder(token) if !self.tokens.contains_key(&token) => return Err(401),
            Who::Holder(token) => token,
        };
        if writing && TOKENS[holder].1 == Role::Read { Err(403) } else { Ok(Some(holder)) }
    }

    /// Whether who acts may change what is there.
    pub(super) fn may_change(&self, id: usize, actor: Option<usize>) -> bool {
        let owner = self.entries.get(&id).and_then(|entry| entry.owner);
        let Some((actor, role)) = actor.map(|actor| TOKENS[actor]) else { return true };
        role == Role::Admin || owner.is_none_or(|owner| owner == actor)
    }

    /// The ids that match, in the order of their registration.
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
