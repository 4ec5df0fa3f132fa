//! Filters of servers and tools. `filter_params.rs` converts them from and to query parameters.
//!
//! Query parameters, flags, their documentation, SQL and the invalidation of cached responses follow from the definitions of
//! [`FilterField`].

use super::search_text::SearchText;
use super::{
    Cursor, DEFAULT_PAGE_LIMIT, HealthFilter, Match, Position, Prompt, Record, Tool, TransportKind, View,
};

/// Conditions that a server has to match, all of them. Repeated conditions of the same kind have to match as well.
///
/// ```
/// use paulina::Filter;
///
/// let filter = Filter::new().tool("read_file").capability("sampling").tags(["production"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Filter {
    pub(crate) fields: Vec<(FilterField, String)>,
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) search: Option<SearchText>,
    pub(crate) matching: Match,
    pub(crate) health: HealthFilter,
    pub(crate) limit: u32,
    pub(crate) view: View,
    pub(crate) after: Option<Position>,
    /// Ignores health, and selects all servers whose expiry has not been recorded as a change.
    pub(crate) expiry_not_recorded: bool,
}

/// A field that filters match exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum FilterField {
    Name,
    Tool,
    Prompt,
    Resource,
    Capability,
    Tag,
    Transport,
    Version,
    Owner,
}

/// Where the values of a field come from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum FieldSource {
    /// A text of the record, in the column of `servers` with the name of the field.
    Text(fn(&Record) -> Option<&str>),
    /// The names of tools.
    Tools,
    /// The names of prompts.
    Prompts,
    /// The URIs and templates of resources.
    Resources,
    /// The names of capabilities that are not `false`.
    Capabilities,
    /// Tags.
    Tags,
}

/// The definition of a field.
pub(crate) struct FieldDefinition {
    /// The name of the query parameter and of the flag.
    pub(crate) name: &'static str,
    /// The placeholder of its value in help texts.
    #[cfg_attr(not(feature = "cli"), expect(dead_code, reason = "only the command line has help texts"))]
    pub(crate) value_name: &'static str,
    #[cfg_attr(not(feature = "server"), expect(dead_code, reason = "only the HTTP API is documented"))]
    pub(crate) description: &'static str,
    #[cfg_attr(not(feature = "server"), expect(dead_code, reason = "only the HTTP API is documented"))]
    pub(crate) example: Option<&'static str>,
    pub(crate) source: FieldSource,
}

impl FilterField {
    pub(crate) const ALL: [Self; 9] = [
        Self::Name,
        Self::Tool,
        Self::Prompt,
        Self::Resource,
        Self::Capability,
        Self::Tag,
        Self::Transport,
        Self::Version,
        Self::Owner,
    ];

    /// Returns the definition of the field.
    pub(crate) const fn definition(self) -> FieldDefinition {
        let (name, value_name, description, example, source) = match self {
            Self::Name => (
                "name",
                "NAME",
                "Servers with this name.",
                Some("filesystem"),
                FieldSource::Text(|record| Some(&record.name)),
            ),
            Self::Tool => (
                "tool",
                "TOOL",
                "Servers that offer this tool; for a list of tools, the tool with this name.",
                Some("read_file"),
                FieldSource::Tools,
            ),
            Self::Prompt => {
                ("prompt", "PROMPT", "Servers that offer this prompt.", None, FieldSource::Prompts)
            }
            Self::Resource => (
                "resource",
                "URI",
                "Servers that can serve this URI: it equals a registered URI, or matches a template or glob.",
                Some("file:///etc/hosts"),
                FieldSource::Resources,
            ),
            Self::Capability => (
                "capability",
                "CAPABILITY",
                "Servers with this capability; `tools`, `resources` and `prompts` find those that have any.",
                Some("sampling"),
                FieldSource::Capabilities,
            ),
            Self::Tag => ("tag", "TAG", "Servers with this tag.", Some("local"), FieldSource::Tags),
            Self::Transport => (
                "transport",
                "KIND",
                "Servers with this transport: `stdio`, `streamable-http` (or `http`), `sse`.",
                None,
                FieldSource::Text(|record| Some(record.transport.kind().as_str())),
            ),
            Self::Version => (
                "version",
                "VERSION",
                "Servers with this version.",
                None,
                FieldSource::Text(|record| record.version.as_deref()),
            ),
            Self::Owner => (
                "owner",
                "NAME",
                "Servers registered with the token of this name.",
                None,
                FieldSource::Text(|record| record.owner.as_deref()),
            ),
        };
        FieldDefinition { name, value_name, description, example, source }
    }

    pub(crate) const fn name(self) -> &'static str {
        self.definition().name
    }

    /// Returns the values of the field in a record.
    pub(crate) fn values(self, record: &Record) -> Box<dyn Iterator<Item = &str> + '_> {
        let capabilities = &record.capabilities;
        match self.definition().source {
            FieldSource::Text(text) => Box::new(text(record).into_iter()),
            FieldSource::Tools => Box::new(capabilities.tools.iter().map(Tool::name)),
            FieldSource::Prompts => Box::new(capabilities.prompts.iter().map(Prompt::name)),
            FieldSource::Resources => {
                Box::new(capabilities.resources.iter().map(|resource| resource.address().as_str()))
            }
            FieldSource::Capabilities => {
                let supported = capabilities.names_with_options().filter(|(_, options)| *options != "false");
                Box::new(supported.map(|(name, _)| name))
            }
            FieldSource::Tags => Box::new(record.tags.iter().map(String::as_str)),
        }
    }

    /// Returns whether a record matches, with the same result as the SQL of a query.
    pub(super) fn matches(self, record: &Record, text: &str) -> bool {
        match self.definition().source {
            FieldSource::Resources => {
                record.capabilities.resources.iter().any(|resource| resource.address().matches(text))
            }
            _ => self.values(record).any(|value| value == text),
        }
    }
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            fields: Vec::new(),
            metadata: Vec::new(),
            search: None,
            matching: Match::default(),
            health: HealthFilter::default(),
            limit: DEFAULT_PAGE_LIMIT,
            view: View::default(),
            after: None,
            expiry_not_recorded: false,
        }
    }
}

impl Filter {
    /// Creates a filter for all healthy servers, in summary, 100 per page.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn field(mut self, field: FilterField, text: impl Into<String>) -> Self {
        self.fields.push((field, text.into()));
        self.fields.sort_by_key(|(field, _)| *field);
        self
    }

    /// Selects servers with this name.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        self.field(FilterField::Name, name)
    }

    /// Selects servers that offer this tool.
    #[must_use]
    pub fn tool(self, name: impl Into<String>) -> Self {
        self.field(FilterField::Tool, name)
    }

    /// Selects servers that offer this prompt.
    #[must_use]
    pub fn prompt(self, name: impl Into<String>) -> Self {
        self.field(FilterField::Prompt, name)
    }

    /// Selects servers that can serve this URI: they registered it, or a template that matches it.
    #[must_use]
    pub fn resource(self, uri: impl Into<String>) -> Self {
        self.field(FilterField::Resource, uri)
    }

    /// Selects servers with this capability; `tools`, `resources` and `prompts` select servers that have any.
    #[must_use]
    pub fn capability(self, name: impl Into<String>) -> Self {
        self.field(FilterField::Capability, name)
    }

    /// Selects servers with this tag.
    #[must_use]
    pub fn tag(self, tag: impl Into<String>) -> Self {
        self.field(FilterField::Tag, tag)
    }

    /// Selects servers with all these tags.
    #[must_use]
    pub fn tags<T: Into<String>>(self, tags: impl IntoIterator<Item = T>) -> Self {
        tags.into_iter().fold(self, Self::tag)
    }

    /// Selects servers with this transport.
    #[must_use]
    pub fn transport(self, kind: TransportKind) -> Self {
        self.field(FilterField::Transport, kind.as_str())
    }

    /// Selects servers of this version.
    #[must_use]
    pub fn version(self, version: impl Into<String>) -> Self {
        self.field(FilterField::Version, version)
    }

    /// Selects servers registered with the token of this name.
    #[must_use]
    pub fn owner(self, name: impl Into<String>) -> Self {
        self.field(FilterField::Owner, name)
    }

    /// Selects servers with this metadata.
    #[must_use]
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.push((key.into(), value.into()));
        self
    }

    /// Searches for words or a sentence of at most 2,000 characters. The results are ranked by names, titles, descriptions
    /// and parameters of the server and its tools, resources and prompts, and by its tags.
    #[must_use]
    pub fn search(mut self, text: impl AsRef<str>) -> Self {
        let text = text.as_ref();
        self.search = Some(match self.search {
            None => SearchText::new(text.to_owned()),
            Some(before) => SearchText::new(format!("{} {text}", before.text())),
        });
        self
    }

    /// Sets which results a [`search`](Self::search) has; any relevant ones by default.
    #[must_use]
    pub fn matching(mut self, matching: Match) -> Self {
        self.matching = matching;
        self
    }

    /// Selects servers by health; healthy ones by default.
    #[must_use]
    pub fn health(mut self, health: HealthFilter) -> Self {
        self.health = health;
        self
    }

    /// Sets the maximum number of results per page, 1–1,000; 100 by default.
    #[must_use]
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = limit;
        self
    }

    /// Sets how much of each server a response contains; a summary by default.
    #[must_use]
    pub fn view(mut self, view: View) -> Self {
        self.view = view;
        self
    }

    /// Selects the page after a cursor.
    #[must_use]
    pub fn after(mut self, cursor: &Cursor) -> Self {
        self.after = Some(cursor.position().clone());
        self
    }

    /// Returns whether every server matches, apart from health and search.
    pub(crate) fn has_no_conditions(&self) -> bool {
        self.fields.is_empty() && self.metadata.is_empty()
    }

    /// Returns whether a server matches, apart from health and search, with the same result as the SQL of a query.
    pub(crate) fn matches(&self, record: &Record) -> bool {
        self.fields.iter().all(|(field, text)| field.matches(record, text))
            && self.metadata.iter().all(|(key, value)| record.metadata.get(key) == Some(value))
    }
}
