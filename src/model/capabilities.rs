//! What a server can do.

use std::collections::BTreeMap;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{Json, Prompt, Resource, Tool};

/// What a server can do: its tools, resources and prompts, and named flags with their options.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Capabilities {
    /// Tools, unique by name.
    pub tools: Vec<Tool>,
    /// Resources and resource templates, unique by URI or template.
    pub resources: Vec<Resource>,
    /// Prompts, unique by name.
    pub prompts: Vec<Prompt>,
    /// Other capabilities: `true`, `false`, or an object of options as in MCP, where `{}` means supported.
    pub flags: Flags,
}

/// Named flags, sorted by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub(crate) BTreeMap<String, Json>);

impl Flags {
    /// The options of a flag: `true`, `false` or an object.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.0.get(name)
    }

    /// Whether the server has the capability: the flag is there and not `false`.
    #[must_use]
    pub fn supports(&self, name: &str) -> bool {
        self.get(name).is_some_and(|options| options.as_str() != "false")
    }

    /// Name and options of each flag.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.0.iter().map(|(name, options)| (name.as_str(), options))
    }
}

impl Capabilities {
    /// The names that the filter `capability` finds the server by, with their options: the flags, and `tools`,
    /// `resources` and `prompts` where there are any.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&str, &str)> {
        let lists = [
            ("tools", self.tools.is_empty()),
            ("resources", self.resources.is_empty()),
            ("prompts", self.prompts.is_empty()),
        ];
        let lists = lists.into_iter().filter(|(_, empty)| !empty).map(|(name, _)| (name, "true"));
        lists.chain(self.flags.iter().map(|(name, options)| (name, options.as_str())))
    }

    /// The bytes of all definitions.
    pub(crate) fn bytes(&self) -> usize {
        let tools = self.tools.iter().filter_map(Tool::stored);
        let resources = self.resources.iter().filter_map(Resource::stored);
        let prompts = self.prompts.iter().filter_map(Prompt::stored);
        tools.chain(resources).chain(prompts).map(str::len).sum()
    }
}

impl Serialize for Capabilities {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize(serializer, &self.tools, &self.resources, &self.prompts, &self.flags)
    }
}

/// Capabilities or a list of definitions, without what a summary leaves out.
pub(super) struct Brief<'a, T: ?Sized>(pub(super) &'a T);

impl Serialize for Brief<'_, Capabilities> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Capabilities { tools, resources, prompts, flags } = self.0;
        serialize(serializer, &Brief(&tools[..]), &Brief(&resources[..]), &Brief(&prompts[..]), flags)
    }
}

impl<'a, T> Serialize for Brief<'a, [T]>
where
    Brief<'a, T>: Serialize,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Brief))
    }
}

fn serialize<S: Serializer>(
    serializer: S,
    tools: &impl Serialize,
    resources: &impl Serialize,
    prompts: &impl Serialize,
    flags: &Flags,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    map.serialize_entry("tools", tools)?;
    map.serialize_entry("resources", resources)?;
    map.serialize_entry("prompts", prompts)?;
    for (name, options) in flags.iter() {
        map.serialize_entry(name, options)?;
    }
    map.end()
}
