//! What a server says of itself when it registers.

use std::collections::BTreeMap;

use chrono::DateTime;
use serde::de::Error as _;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::capabilities::Flags;
use super::violation::list;
use super::{
    Capabilities, DEFAULT_TTL_SECONDS, Input, Json, LeaseId, ParseError, Prompt, Record, Resource, Server,
    Tool, Transport, Violation,
};

/// What a server says of itself when it registers. Only a name and a transport are needed.
///
/// ```
/// use paulina::Registration;
///
/// let registration = Registration::stdio("filesystem", ["/usr/local/bin/mcp-filesystem", "/srv"])
///     .version("1.0.0")
///     .tool("read_file")
///     .resource("file:///{path}")
///     .capability("sampling")
///     .tag("local")
///     .metadata("team", "search");
/// assert!(registration.validate().is_ok());
/// ```
///
/// The builder takes anything; [`validate`](Self::validate), which registering calls, lists all that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    pub(crate) id: Option<String>,
    pub(crate) name: String,
    pub(crate) title: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) transport: Transport,
    pub(crate) capabilities: Capabilities,
    pub(crate) tags: Vec<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) ttl: u32,
}

impl Registration {
    /// A server that is started as a program and speaks over its standard input and output.
    #[must_use]
    pub fn stdio<C>(name: impl Into<String>, command: C) -> Self
    where
        C: IntoIterator<Item: Into<String>>,
    {
        let command = command.into_iter().map(Into::into).collect();
        Self::new(name, Transport::Stdio { command, environment: Vec::new() })
    }

    /// A server behind a streamable HTTP endpoint.
    #[must_use]
    pub fn streamable_http(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self::new(name, Transport::StreamableHttp { url: url.into(), headers: Vec::new() })
    }

    /// A server behind an endpoint of HTTP with server-sent events, the older way.
    #[must_use]
    pub fn sse(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self::new(name, Transport::Sse { url: url.into(), headers: Vec::new() })
    }

    /// A server that is reached in this way.
    #[must_use]
    pub fn new(name: impl Into<String>, transport: Transport) -> Self {
        Self {
            id: None,
            name: name.into(),
            title: None,
            version: None,
            description: None,
            transport,
            capabilities: Capabilities::default(),
            tags: Vec::new(),
            metadata: BTreeMap::new(),
            ttl: DEFAULT_TTL_SECONDS,
        }
    }

    /// Reads the JSON body of `POST /v1/servers`.
    ///
    /// # Errors
    /// When the text is not JSON or not a valid registration; every violation is listed.
    pub fn from_json(text: &[u8]) -> Result<ValidRegistration, ParseError> {
        super::parse::registration(text)
    }

    /// A stable id, `[A-Za-z0-9._-]{1,128}`. Registering the same id again replaces the registration. Without one the
    /// registry makes one.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// A name for people.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// The server's version.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// What the server is for.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Adds a tool: its name, or the whole [`Tool`].
    #[must_use]
    pub fn tool(mut self, tool: impl Into<Tool>) -> Self {
        self.capabilities.tools.push(tool.into());
        self
    }

    /// Adds a resource: its URI or template, or the whole [`Resource`].
    #[must_use]
    pub fn resource(mut self, resource: impl Into<Resource>) -> Self {
        self.capabilities.resources.push(resource.into());
        self
    }

    /// Adds a prompt: its name, or the whole [`Prompt`].
    #[must_use]
    pub fn prompt(mut self, prompt: impl Into<Prompt>) -> Self {
        self.capabilities.prompts.push(prompt.into());
        self
    }

    /// Adds a capability that has no options, `sampling` or `logging` say.
    #[must_use]
    pub fn capability(self, name: impl Into<String>) -> Self {
        self.capability_options(name, Json::from(serde_json::Value::Bool(true)))
    }

    /// Adds a capability with its options: an object, or `true` or `false`.
    #[must_use]
    pub fn capability_options(mut self, name: impl Into<String>, options: impl Into<Json>) -> Self {
        let Flags(flags) = &mut self.capabilities.flags;
        flags.insert(name.into(), options.into());
        self
    }

    /// Adds a tag.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Adds a pair of metadata.
    #[must_use]
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Declares what a client has to provide: an environment variable with stdio, a header with HTTP.
    #[must_use]
    pub fn input(mut self, input: Input) -> Self {
        match &mut self.transport {
            Transport::Stdio { environment, .. } => environment.push(input),
            Transport::StreamableHttp { headers, .. } | Transport::Sse { headers, .. } => headers.push(input),
        }
        self
    }

    /// How long the lease runs without a refresh, in seconds: 1–86,400, 30 if not set.
    #[must_use]
    pub fn ttl(mut self, seconds: u32) -> Self {
        self.ttl = seconds;
        self
    }

    /// Checks everything at once.
    ///
    /// # Errors
    /// Every violation, each with a pointer to the member that it would have in the JSON body.
    pub fn validate(self) -> Result<ValidRegistration, Invalid> {
        super::validate::check(&self).into_result().map_err(Invalid)?;
        Ok(self.checked())
    }

    /// The same after a check that found nothing.
    pub(super) fn checked(mut self) -> ValidRegistration {
        self.tags.sort();
        self.tags.dedup();
        ValidRegistration(self)
    }
}

/// The JSON body of `POST /v1/servers`, without what is not said.
impl Serialize for Registration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut body = serializer.serialize_map(None)?;
        let texts = [
            ("id", &self.id),
            ("name", &Some(self.name.clone())),
            ("title", &self.title),
            ("version", &self.version),
            ("description", &self.description),
        ];
        for (key, text) in texts.into_iter().filter_map(|(key, text)| Some((key, text.as_ref()?))) {
            body.serialize_entry(key, text)?;
        }
        body.serialize_entry("transport", &self.transport.kind())?;
        match &self.transport {
            Transport::Stdio { command, environment } => {
                body.serialize_entry("command", command)?;
                if !environment.is_empty() {
                    body.serialize_entry("environment", environment)?;
                }
            }
            Transport::StreamableHttp { url, headers } | Transport::Sse { url, headers } => {
                body.serialize_entry("url", url)?;
                if !headers.is_empty() {
                    body.serialize_entry("headers", headers)?;
                }
            }
        }
        body.serialize_entry("capabilities", &self.capabilities)?;
        if !self.tags.is_empty() {
            body.serialize_entry("tags", &self.tags)?;
        }
        if !self.metadata.is_empty() {
            body.serialize_entry("metadata", &self.metadata)?;
        }
        body.serialize_entry("ttl", &self.ttl)?;
        body.end()
    }
}

/// What a server registered, to register it again: all of it, if the record is one in full.
impl From<&Record> for Registration {
    fn from(record: &Record) -> Self {
        Self {
            id: Some(record.id.clone()),
            name: record.name.clone(),
            title: record.title.clone(),
            version: record.version.clone(),
            description: record.description.clone(),
            transport: record.transport.clone(),
            capabilities: record.capabilities.clone(),
            tags: record.tags.clone(),
            metadata: record.metadata.clone(),
            ttl: record.ttl,
        }
    }
}

/// All that is wrong with a registration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the registration is not valid: {}", list(.0))]
pub struct Invalid(pub Vec<Violation>);

/// A registration that has passed every check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidRegistration(Registration);

impl ValidRegistration {
    #[cfg(any(test, feature = "client"))]
    pub(crate) fn get(&self) -> &Registration {
        &self.0
    }

    /// The record that it makes, but for its times, which the registry knows when it stores it.
    pub(crate) fn into_record(self) -> Record {
        let Self(own) = self;
        let id = own.id.unwrap_or_else(|| new_id(&own.name));
        let Capabilities { tools, resources, prompts, flags } = own.capabilities;
        Record {
            id,
            name: own.name,
            title: own.title,
            version: own.version,
            description: own.description,
            transport: own.transport,
            capabilities: Capabilities {
                tools: tools.into_iter().map(Tool::complete).collect(),
                resources: resources.into_iter().map(Resource::complete).collect(),
                prompts: prompts.into_iter().map(Prompt::complete).collect(),
                flags,
            },
            tags: own.tags,
            metadata: own.metadata,
            owner: None,
            ttl: own.ttl,
            registered_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }
}

/// A new id for a server of this name: `<slug of the name>-<12 hex digits>`.
pub(crate) fn new_id(name: &str) -> String {
    let mut slug = String::new();
    for character in name.chars() {
        if character.is_ascii_alphanumeric() {
            slug.push(character.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(100);
    let slug = slug.trim_end_matches('-');
    let random = uuid::Uuid::new_v4().simple().to_string();
    let digits = random.get(..12).unwrap_or(&random);
    if slug.is_empty() { format!("server-{digits}") } else { format!("{slug}-{digits}") }
}

/// What registering gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// The record, definitions included.
    pub server: Server,
    /// The lease, new with every registration.
    pub lease: LeaseId,
    /// Whether the id was new; if not, the registration under it was replaced.
    pub created: bool,
}

#[derive(Deserialize)]
struct Beside {
    lease: LeaseId,
}

/// Reads the JSON that the API answers to a registration. Whether the id was new is said by the status, 201 or 200, and is
/// taken for false here.
impl<'de> Deserialize<'de> for Registered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let read = || Ok((Server::from_json(&raw)?, serde_json::from_str::<Beside>(raw.get())?));
        let (server, Beside { lease }) =
            read().map_err(|error: serde_json::Error| D::Error::custom(error))?;
        Ok(Self { server, lease, created: false })
    }
}
