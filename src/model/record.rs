//! What a server registered, and the part of its JSON that stays the same until it is registered anew.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use chrono::{DateTime, Utc};
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::capabilities::Brief;
use super::{Capabilities, Flags, Input, Json, Prompt, Resource, Tool, Transport, TransportKind, View};

/// What a server registered, with what the registry adds that no lease changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its name for people.
    pub title: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// How a client reaches it.
    pub transport: Transport,
    /// What it can do.
    pub capabilities: Capabilities,
    /// Its tags, sorted.
    pub tags: Vec<String>,
    /// Its metadata.
    pub metadata: BTreeMap<String, String>,
    /// The name of the token that registered it.
    pub owner: Option<String>,
    /// How long its lease runs after a refresh, in seconds.
    pub ttl: u32,
    /// When it was first registered.
    pub registered_at: DateTime<Utc>,
    /// When its registration last changed.
    pub updated_at: DateTime<Utc>,
}

impl Record {
    /// The part of its JSON that no refresh changes: an object of all members before `ttl`.
    pub(crate) fn head(&self, view: View) -> serde_json::Result<String> {
        serde_json::to_string(&Head(self, view))
    }

    /// Reads a [head](Self::head), in summary or in full, and adds what is not part of it.
    pub(crate) fn from_head(head: &str, view: View, rest: Rest) -> Option<Self> {
        match view {
            View::Summary => from_head::<Definition, Address>(head, rest),
            View::Full => from_head::<Whole<Definition>, Whole<Address>>(head, rest),
        }
    }

    pub(super) fn serialize_head<S: SerializeStruct>(
        &self,
        record: &mut S,
        view: View,
    ) -> Result<(), S::Error> {
        record.serialize_field("id", &self.id)?;
        record.serialize_field("name", &self.name)?;
        record.serialize_field("title", &self.title)?;
        record.serialize_field("version", &self.version)?;
        record.serialize_field("description", &self.description)?;
        record.serialize_field("transport", &self.transport.kind())?;
        record.serialize_field("command", &self.transport.command())?;
        record.serialize_field("url", &self.transport.url())?;
        record.serialize_field("environment", self.transport.environment())?;
        record.serialize_field("headers", self.transport.headers())?;
        match view {
            View::Summary => record.serialize_field("capabilities", &Brief(&self.capabilities))?,
            View::Full => record.serialize_field("capabilities", &self.capabilities)?,
        }
        record.serialize_field("tags", &self.tags)?;
        record.serialize_field("metadata", &self.metadata)?;
        record.serialize_field("owner", &self.owner)
    }
}

struct Head<'a>(&'a Record, View);

impl Serialize for Head<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(record, view) = self;
        let mut head = serializer.serialize_struct("Head", 14)?;
        record.serialize_head(&mut head, *view)?;
        head.end()
    }
}

/// What a record has beside its head.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rest {
    pub(crate) ttl: u32,
    pub(crate) registered_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

/// A tool or prompt in a summary.
#[derive(Deserialize)]
struct Definition {
    name: String,
    title: Option<String>,
    description: Option<String>,
}

/// A resource in a summary.
#[derive(Deserialize)]
struct Address {
    uri: Option<String>,
    uri_template: Option<String>,
    name: Option<String>,
    title: Option<String>,
    description: Option<String>,
    #[serde(rename = "mimeType")]
    mime_type: Option<String>,
}

/// The same as the server sent it, with the members that the registry reads.
struct Whole<P>(P, Json);

impl<'de, P: DeserializeOwned> Deserialize<'de> for Whole<P> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Json::deserialize(deserializer)?;
        let parts = serde_json::from_str(json.as_str()).map_err(serde::de::Error::custom)?;
        Ok(Self(parts, json))
    }
}

/// A definition in either view.
trait Listed<P>: DeserializeOwned {
    fn split(self) -> (P, Option<Json>);
}

impl Listed<Self> for Definition {
    fn split(self) -> (Self, Option<Json>) {
        (self, None)
    }
}

impl Listed<Self> for Address {
    fn split(self) -> (Self, Option<Json>) {
        (self, None)
    }
}

impl<P: DeserializeOwned> Listed<P> for Whole<P> {
    fn split(self) -> (P, Option<Json>) {
        (self.0, Some(self.1))
    }
}

#[derive(Deserialize)]
#[serde(bound = "D: DeserializeOwned, A: DeserializeOwned")]
struct ParsedHead<D, A> {
    id: String,
    name: String,
    title: Option<String>,
    version: Option<String>,
    description: Option<String>,
    transport: TransportKind,
    command: Option<Vec<String>>,
    url: Option<String>,
    environment: Vec<Input>,
    headers: Vec<Input>,
    capabilities: Parsed<D, A>,
    tags: Vec<String>,
    metadata: BTreeMap<String, String>,
    owner: Option<String>,
}

struct Parsed<D, A> {
    tools: Vec<D>,
    resources: Vec<A>,
    prompts: Vec<D>,
    flags: BTreeMap<String, Json>,
}

impl<'de, D: DeserializeOwned, A: DeserializeOwned> Deserialize<'de> for Parsed<D, A> {
    fn deserialize<De: Deserializer<'de>>(deserializer: De) -> Result<Self, De::Error> {
        struct Members<D, A>(PhantomData<(D, A)>);

        impl<'de, D: DeserializeOwned, A: DeserializeOwned> Visitor<'de> for Members<D, A> {
            type Value = Parsed<D, A>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("the capabilities of a server")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut parsed = Parsed {
                    tools: Vec::new(),
                    resources: Vec::new(),
                    prompts: Vec::new(),
                    flags: BTreeMap::new(),
                };
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "tools" => parsed.tools = map.next_value()?,
                        "resources" => parsed.resources = map.next_value()?,
                        "prompts" => parsed.prompts = map.next_value()?,
                        _ => {
                            parsed.flags.insert(key, map.next_value()?);
                        }
                    }
                }
                Ok(parsed)
            }
        }

        deserializer.deserialize_map(Members(PhantomData))
    }
}

fn from_head<D: Listed<Definition>, A: Listed<Address>>(head: &str, rest: Rest) -> Option<Record> {
    let head: ParsedHead<D, A> = serde_json::from_str(head).ok()?;
    let transport = match head.transport {
        TransportKind::Stdio => Transport::Stdio { command: head.command?, environment: head.environment },
        TransportKind::StreamableHttp => Transport::StreamableHttp { url: head.url?, headers: head.headers },
        TransportKind::Sse => Transport::Sse { url: head.url?, headers: head.headers },
    };
    let parts = |definition: Definition| (definition.name, definition.title, definition.description);
    let capabilities = Capabilities {
        tools: head
            .capabilities
            .tools
            .into_iter()
            .map(Listed::split)
            .map(|(definition, json)| Tool::from_parts(parts(definition), json))
            .collect(),
        resources: head
            .capabilities
            .resources
            .into_iter()
            .map(Listed::split)
            .map(|(own, json)| {
                let parts = (own.uri, own.uri_template, own.name, own.title, own.description, own.mime_type);
                Resource::from_parts(parts, json)
            })
            .collect::<Option<_>>()?,
        prompts: head
            .capabilities
            .prompts
            .into_iter()
            .map(Listed::split)
            .map(|(definition, json)| Prompt::from_parts(parts(definition), json))
            .collect(),
        flags: Flags(head.capabilities.flags),
    };
    Some(Record {
        id: head.id,
        name: head.name,
        title: head.title,
        version: head.version,
        description: head.description,
        transport,
        capabilities,
        tags: head.tags,
        metadata: head.metadata,
        owner: head.owner,
        ttl: rest.ttl,
        registered_at: rest.registered_at,
        updated_at: rest.updated_at,
    })
}
