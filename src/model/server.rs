//! What the registry answers: records, pages of them, and tools with the servers that offer them.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use chrono::{DateTime, Utc};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::lease::rfc3339;
use super::{Capabilities, Cursor, Health, Revision, Transport, TransportKind};

/// A registered server, as every question returns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
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
    /// Whether its lease runs.
    pub health: Health,
    /// When it was first registered.
    pub registered_at: DateTime<Utc>,
    /// When its registration last changed.
    pub updated_at: DateTime<Utc>,
    /// When its lease was last refreshed.
    pub refreshed_at: DateTime<Utc>,
    /// When its lease runs out, by the wall clock, if nothing holds it up.
    pub expires_at: DateTime<Utc>,
}

impl Server {
    /// The same without what a summary leaves out.
    pub(crate) fn summary(&self) -> Self {
        Self { capabilities: self.capabilities.summary(), ..self.clone() }
    }

    /// A number for everything but the times of the lease: equal numbers, equal records.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let Self {
            id,
            name,
            title,
            version,
            description,
            transport,
            capabilities,
            tags,
            metadata,
            owner,
            ttl,
            health,
            registered_at,
            updated_at,
            refreshed_at: _,
            expires_at: _,
        } = self;
        let mut hasher = DefaultHasher::new();
        (id, name, title, version, description).hash(&mut hasher);
        (transport, capabilities, tags, metadata, owner).hash(&mut hasher);
        (ttl, health, registered_at, updated_at).hash(&mut hasher);
        hasher.finish()
    }
}

struct Time(DateTime<Utc>);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        rfc3339(&self.0, serializer)
    }
}

impl Serialize for Server {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut record = serializer.serialize_struct("Server", 20)?;
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
        record.serialize_field("capabilities", &self.capabilities)?;
        record.serialize_field("tags", &self.tags)?;
        record.serialize_field("metadata", &self.metadata)?;
        record.serialize_field("owner", &self.owner)?;
        record.serialize_field("ttl", &self.ttl)?;
        record.serialize_field("health", &self.health)?;
        record.serialize_field("registered_at", &Time(self.registered_at))?;
        record.serialize_field("updated_at", &Time(self.updated_at))?;
        record.serialize_field("refreshed_at", &Time(self.refreshed_at))?;
        record.serialize_field("expires_at", &Time(self.expires_at))?;
        record.end()
    }
}

/// One page of servers, in the order of their registration, or best first where the filter has a `q`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Page {
    /// The servers.
    pub servers: Vec<Server>,
    /// Where the next page begins; none on the last page.
    pub next_cursor: Option<Cursor>,
    /// How far the catalogue had come.
    pub revision: Revision,
}

/// A server that offers a tool.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct ToolServer {
    /// Its id.
    #[cfg_attr(feature = "server", schema(example = "filesystem-abc123"))]
    pub id: String,
    /// Its name.
    #[cfg_attr(feature = "server", schema(example = "filesystem"))]
    pub name: String,
    /// How a client reaches it.
    pub transport: TransportKind,
    /// Whether its lease runs.
    pub health: Health,
}

/// A tool, by name, with the servers that offer it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct ToolEntry {
    /// The tool's name.
    #[cfg_attr(feature = "server", schema(example = "read_file"))]
    pub name: String,
    /// Its title, by the server that was registered first.
    #[cfg_attr(feature = "server", schema(required))]
    pub title: Option<String>,
    /// Its description, by the server that was registered first.
    #[cfg_attr(feature = "server", schema(required))]
    pub description: Option<String>,
    /// How many different definitions there are under this name.
    #[cfg_attr(feature = "server", schema(example = 1))]
    pub definitions: u64,
    /// The servers that offer it, in the order of their registration.
    pub servers: Vec<ToolServer>,
}

/// One page of tools, by name, or best first where the filter has a `q`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ToolPage {
    /// The tools.
    pub tools: Vec<ToolEntry>,
    /// Where the next page begins; none on the last page.
    pub next_cursor: Option<Cursor>,
}
