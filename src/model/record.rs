//! The record of a server: the only definition of its JSON. The API's responses and schema, the summaries in the database
//! and the clients are derived from it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Capabilities, MAX_DESCRIPTION_CHARACTERS, MAX_TITLE_CHARACTERS, MAX_VERSION_CHARACTERS, Transport,
};

/// An optional text of a record. JSON, SQL and the builder use the same name for it.
pub(crate) struct TextMember {
    pub(crate) name: &'static str,
    pub(crate) max_characters: usize,
    pub(crate) get: fn(&Record) -> &Option<String>,
    pub(crate) get_mut: fn(&mut Record) -> &mut Option<String>,
}

macro_rules! text_member {
    ($name:ident, $max_characters:expr) => {
        TextMember {
            name: stringify!($name),
            max_characters: $max_characters,
            get: |record| &record.$name,
            get_mut: |record| &mut record.$name,
        }
    };
}

/// The record of a registered server, without its lease and times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Record {
    /// The id, unique in the registry.
    #[cfg_attr(feature = "server", schema(example = "filesystem-abc123"))]
    pub id: String,
    /// The server's name. Several servers can have the same one.
    #[cfg_attr(feature = "server", schema(example = "filesystem"))]
    pub name: String,
    /// The display name.
    #[cfg_attr(feature = "server", schema(required))]
    pub title: Option<String>,
    /// The server's version.
    #[cfg_attr(feature = "server", schema(required, example = "1.0.0"))]
    pub version: Option<String>,
    /// What the server is for.
    #[cfg_attr(feature = "server", schema(required))]
    pub description: Option<String>,
    /// How a client reaches the server.
    #[serde(flatten)]
    #[cfg_attr(feature = "server", schema(value_type = super::transport::TransportMembers))]
    pub transport: Transport,
    /// What the server offers and supports.
    pub capabilities: Capabilities,
    /// Tags, sorted.
    #[cfg_attr(feature = "server", schema(example = json!(["filesystem", "local"])))]
    pub tags: Vec<String>,
    /// Key-value pairs, which the registry stores and filters by.
    #[cfg_attr(feature = "server", schema(example = json!({"team": "search"})))]
    pub metadata: BTreeMap<String, String>,
    /// The name of the token that registered the server.
    #[cfg_attr(feature = "server", schema(required))]
    pub owner: Option<String>,
}

impl Record {
    /// The optional texts, in the order of the JSON.
    pub(crate) const TEXTS: [TextMember; 3] = [
        text_member!(title, MAX_TITLE_CHARACTERS),
        text_member!(version, MAX_VERSION_CHARACTERS),
        text_member!(description, MAX_DESCRIPTION_CHARACTERS),
    ];

    /// Creates a record that has only a name and a transport.
    pub(super) fn new(name: String, transport: Transport) -> Self {
        Self {
            id: String::new(),
            name,
            title: None,
            version: None,
            description: None,
            transport,
            capabilities: Capabilities::default(),
            tags: Vec::new(),
            metadata: BTreeMap::new(),
            owner: None,
        }
    }

    /// Returns the record without what a summary leaves out: schemas and unknown members of definitions.
    pub(crate) fn summary(&self) -> Self {
        Self {
            id: self.id.clone(),
            name: self.name.clone(),
            title: self.title.clone(),
            version: self.version.clone(),
            description: self.description.clone(),
            transport: self.transport.clone(),
            capabilities: self.capabilities.summary(),
            tags: self.tags.clone(),
            metadata: self.metadata.clone(),
            owner: self.owner.clone(),
        }
    }
}
