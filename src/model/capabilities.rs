//! The capabilities of a server.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Json, Prompt, Resource, Tool};

/// The capabilities of a server: its tools, resources and prompts. Any other member of the JSON is a named flag: `true`,
/// `false`, or an object of options.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Capabilities {
    /// Tools, unique by name. In a full record, each tool as it was sent; in a summary, `name`, `title` and `description`
    /// of each.
    #[cfg_attr(feature = "server", schema(value_type = Vec<Object>))]
    pub tools: Vec<Tool>,
    /// Resources and resource templates, unique by URI or template. In a full record, each resource as it was sent; in a
    /// summary, `uri` or `uri_template`, `name`, `title`, `description` and `mimeType` of each.
    #[cfg_attr(feature = "server", schema(value_type = Vec<Object>))]
    pub resources: Vec<Resource>,
    /// Prompts, unique by name. In a full record, each prompt as it was sent; in a summary, `name`, `title` and
    /// `description` of each.
    #[cfg_attr(feature = "server", schema(value_type = Vec<Object>))]
    pub prompts: Vec<Prompt>,
    /// Other capabilities: `true`, `false`, or an object of options as in MCP, where `{}` means supported.
    #[cfg_attr(feature = "server", schema(ignore))]
    pub flags: Flags,
}

/// Named flags, sorted by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub(crate) BTreeMap<String, Json>);

impl Flags {
    /// Returns the options of a flag: `true`, `false` or an object.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.0.get(name)
    }

    /// Returns whether the server has the capability: the flag is present and not `false`.
    #[must_use]
    pub fn supports(&self, name: &str) -> bool {
        self.get(name).is_some_and(|options| options.as_str() != "false")
    }

    /// Returns the name and options of each flag.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.0.iter().map(|(name, options)| (name.as_str(), options))
    }
}

impl Capabilities {
    /// Returns the names that the filter `capability` matches, with their options: the flags, and `tools`, `resources` and
    /// `prompts` if there are any.
    pub(crate) fn names_with_options(&self) -> impl Iterator<Item = (&str, &str)> {
        let lists = [
            ("tools", self.tools.is_empty()),
            ("resources", self.resources.is_empty()),
            ("prompts", self.prompts.is_empty()),
        ];
        let lists = lists.into_iter().filter(|(_, empty)| !empty).map(|(name, _)| (name, "true"));
        lists.chain(self.flags.iter().map(|(name, options)| (name, options.as_str())))
    }

    /// Returns the size of all definitions in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let tools = self.tools.iter().map(Tool::definition);
        let resources = self.resources.iter().map(Resource::definition);
        let prompts = self.prompts.iter().map(Prompt::definition);
        tools.chain(resources).chain(prompts).map(|definition| definition.as_str().len()).sum()
    }

    /// Returns the capabilities as a summary contains them, without schemas.
    pub(super) fn summary(&self) -> Self {
        Self {
            tools: self.tools.iter().map(Tool::summary).collect(),
            resources: self.resources.iter().map(Resource::summary).collect(),
            prompts: self.prompts.iter().map(Prompt::summary).collect(),
            flags: self.flags.clone(),
        }
    }
}

impl Serialize for Capabilities {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("tools", &self.tools)?;
        map.serialize_entry("resources", &self.resources)?;
        map.serialize_entry("prompts", &self.prompts)?;
        for (name, options) in self.flags.iter() {
            map.serialize_entry(name, options)?;
        }
        map.end()
    }
}

// By hand: `#[serde(flatten)]` would buffer the flags, and a raw JSON value cannot be read from a buffer.
impl<'de> Deserialize<'de> for Capabilities {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Capabilities;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("the capabilities of a server")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Capabilities, M::Error> {
                let mut capabilities = Capabilities::default();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "tools" => capabilities.tools = map.next_value()?,
                        "resources" => capabilities.resources = map.next_value()?,
                        "prompts" => capabilities.prompts = map.next_value()?,
                        _ => {
                            capabilities.flags.0.insert(key, map.next_value()?);
                        }
                    }
                }
                Ok(capabilities)
            }
        }

        deserializer.deserialize_map(Members)
    }
}
