//! Registrations, with a builder and their JSON.

use serde::de::Error as _;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::capabilities::Flags;
use super::violation::join_violations;
use super::{
    DEFAULT_TTL_SECONDS, Input, Json, LeaseId, LeaseRef, Prompt, Record, Resource, Server, Tool, Transport,
    Violation,
};

/// The registration of a server. Only a name and a transport are required.
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
/// The builder accepts any values; [`validate`](Self::validate), which registering calls, reports all violations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// `None` if the registry generates an id. The id of the record is empty until then.
    pub(crate) id: Option<String>,
    pub(crate) record: Record,
    pub(crate) ttl: u32,
}

impl Registration {
    /// Creates a registration of a program that communicates over its standard input and output.
    #[must_use]
    pub fn stdio<C>(name: impl Into<String>, command: C) -> Self
    where
        C: IntoIterator<Item: Into<String>>,
    {
        let command = command.into_iter().map(Into::into).collect();
        Self::new(name, Transport::Stdio { command, environment: Vec::new() })
    }

    /// Creates a registration of a Streamable HTTP endpoint.
    #[must_use]
    pub fn streamable_http(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self::new(name, Transport::StreamableHttp { url: url.into(), headers: Vec::new() })
    }

    /// Creates a registration of an endpoint of the legacy HTTP+SSE transport.
    #[must_use]
    pub fn sse(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self::new(name, Transport::Sse { url: url.into(), headers: Vec::new() })
    }

    /// Creates a registration of a server with this transport.
    #[must_use]
    pub fn new(name: impl Into<String>, transport: Transport) -> Self {
        Self { id: None, record: Record::new(name.into(), transport), ttl: DEFAULT_TTL_SECONDS }
    }

    /// Sets a stable id, `[A-Za-z0-9._-]{1,128}`. Registering the same id again replaces the registration. By default the
    /// registry generates an id.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sets the display name.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.record.title = Some(title.into());
        self
    }

    /// Sets the server's version.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.record.version = Some(version.into());
        self
    }

    /// Sets a description of what the server is for.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.record.description = Some(description.into());
        self
    }

    /// Adds a tool: its name, or the whole [`Tool`].
    #[must_use]
    pub fn tool(mut self, tool: impl Into<Tool>) -> Self {
        self.record.capabilities.tools.push(tool.into());
        self
    }

    /// Adds a resource: its URI or template, or the whole [`Resource`].
    #[must_use]
    pub fn resource(mut self, resource: impl Into<Resource>) -> Self {
        self.record.capabilities.resources.push(resource.into());
        self
    }

    /// Adds a prompt: its name, or the whole [`Prompt`].
    #[must_use]
    pub fn prompt(mut self, prompt: impl Into<Prompt>) -> Self {
        self.record.capabilities.prompts.push(prompt.into());
        self
    }

    /// Adds a capability without options, such as `sampling` or `logging`.
    #[must_use]
    pub fn capability(self, name: impl Into<String>) -> Self {
        self.capability_options(name, Json::from(serde_json::Value::Bool(true)))
    }

    /// Adds a capability with its options: an object, or `true` or `false`.
    #[must_use]
    pub fn capability_options(mut self, name: impl Into<String>, options: impl Into<Json>) -> Self {
        let Flags(flags) = &mut self.record.capabilities.flags;
        flags.insert(name.into(), options.into());
        self
    }

    /// Adds a tag.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.record.tags.push(tag.into());
        self
    }

    /// Adds a pair of metadata.
    #[must_use]
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.record.metadata.insert(key.into(), value.into());
        self
    }

    /// Declares an input that a client has to provide: an environment variable for stdio, a header for HTTP.
    #[must_use]
    pub fn input(mut self, input: Input) -> Self {
        match &mut self.record.transport {
            Transport::Stdio { environment, .. } => environment.push(input),
            Transport::StreamableHttp { headers, .. } | Transport::Sse { headers, .. } => headers.push(input),
        }
        self
    }

    /// Sets the duration of the lease in seconds, 1–86,400; 30 by default.
    #[must_use]
    pub fn ttl(mut self, seconds: u32) -> Self {
        self.ttl = seconds;
        self
    }

    /// Marks the registration as validated.
    pub(crate) fn checked(mut self) -> ValidRegistration {
        self.record.tags.sort();
        self.record.tags.dedup();
        ValidRegistration(self)
    }
}

/// The JSON body of `POST /v1/servers`, without members that have no value.
impl Serialize for Registration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { id, record, ttl } = self;
        let mut body = serializer.serialize_map(None)?;
        if let Some(id) = id {
            body.serialize_entry("id", id)?;
        }
        body.serialize_entry("name", &record.name)?;
        for member in &Record::TEXTS {
            if let Some(text) = (member.get)(record) {
                body.serialize_entry(member.name, text)?;
            }
        }
        body.serialize_entry("transport", &record.transport.kind())?;
        match &record.transport {
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
        body.serialize_entry("capabilities", &record.capabilities)?;
        if !record.tags.is_empty() {
            body.serialize_entry("tags", &record.tags)?;
        }
        if !record.metadata.is_empty() {
            body.serialize_entry("metadata", &record.metadata)?;
        }
        body.serialize_entry("ttl", ttl)?;
        body.end()
    }
}

/// Creates a registration that registers a server again, with schemas only if the server was read in full.
impl From<&Server> for Registration {
    fn from(server: &Server) -> Self {
        let record = Record { id: String::new(), owner: None, ..Record::clone(server.record()) };
        Self { id: Some(server.id.clone()), record, ttl: server.ttl }
    }
}

/// A registration is not valid: all violations.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the registration is not valid: {}", join_violations(.0))]
pub struct InvalidRegistration(pub Vec<Violation>);

/// A validated registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidRegistration(Registration);

impl ValidRegistration {
    #[cfg(any(test, feature = "client"))]
    pub(crate) fn get(&self) -> &Registration {
        &self.0
    }

    /// Returns the record of the registration and the duration of its lease in seconds.
    pub(crate) fn into_record(self) -> (Record, u32) {
        let Self(Registration { id, record, ttl }) = self;
        let id = id.unwrap_or_else(|| new_id(&record.name));
        (Record { id, ..record }, ttl)
    }
}

/// Generates an id for a server with this name: `<slug of the name>-<12 hex digits>`.
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

/// The result of a registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// The server, with its definitions.
    pub server: Server,
    /// The lease, new with every registration.
    pub lease: LeaseId,
    /// Whether the id was new; if not, the registration under it was replaced.
    pub created: bool,
}

/// The additional member of the response to a registration.
#[derive(Deserialize)]
struct LeaseMember {
    lease: LeaseId,
}

/// Reads the response of the API to a registration. `created` follows from the status, 201 or 200, and is false here.
impl<'de> Deserialize<'de> for Registered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let read = || Ok((Server::from_json(&raw)?, serde_json::from_str::<LeaseMember>(raw.get())?));
        let (server, LeaseMember { lease }) =
            read().map_err(|error: serde_json::Error| D::Error::custom(error))?;
        Ok(Self { server, lease, created: false })
    }
}

impl From<&Registered> for LeaseRef {
    fn from(registered: &Registered) -> Self {
        Self::new(&registered.server.id, Some(registered.lease))
    }
}
