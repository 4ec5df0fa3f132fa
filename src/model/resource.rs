//! Resources and resource templates, and how a URI is matched against them.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::Json;
use super::capabilities::Brief;
use super::definition::object;

/// Characters of the text before a template's first wildcard that the registry looks templates up by.
const PREFIX_CHARACTERS: usize = 64;

/// Where a resource is: one URI, or a template that stands for many.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ResourceAddress {
    /// One URI. Nothing in it is a wildcard.
    Uri(String),
    /// A template: `{…}` and `*` stand for any run of characters.
    Template(String),
}

impl ResourceAddress {
    /// The URI or template as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Uri(text) | Self::Template(text) => text,
        }
    }

    pub(crate) fn as_uri(&self) -> Option<&str> {
        match self {
            Self::Uri(uri) => Some(uri),
            Self::Template(_) => None,
        }
    }

    pub(crate) fn as_template(&self) -> Option<&str> {
        match self {
            Self::Uri(_) => None,
            Self::Template(template) => Some(template),
        }
    }

    fn key(&self) -> &'static str {
        match self {
            Self::Uri(_) => "uri",
            Self::Template(_) => "uri_template",
        }
    }

    /// What the template compiles to: SQLite's GLOB with everything literal escaped.
    pub(crate) fn glob(&self) -> Option<String> {
        let Self::Template(template) = self else { return None };
        let mut glob = String::with_capacity(template.len() + 8);
        let mut rest = template.as_str();
        while let Some(character) = rest.chars().next() {
            let mut taken = character.len_utf8();
            match character {
                '{' | '*' => {
                    if character == '{' {
                        taken = rest.find('}').map_or(rest.len(), |end| end + 1);
                    }
                    if !glob.ends_with('*') {
                        glob.push('*');
                    }
                }
                '[' => glob.push_str("[[]"),
                '?' => glob.push_str("[?]"),
                _ => glob.push(character),
            }
            rest = rest.get(taken..).unwrap_or_default();
        }
        Some(glob)
    }

    /// Whether it can serve this URI: it is the same, or a template that matches.
    pub(crate) fn serves(&self, uri: &str) -> bool {
        let Self::Template(template) = self else { return self.as_str() == uri };
        let mut literals = Vec::new();
        let mut rest = template.as_str();
        while let Some(wildcard) = rest.find(['{', '*']) {
            let (literal, after) = rest.split_at(wildcard);
            literals.push(literal);
            let length =
                if after.starts_with('{') { after.find('}').map_or(after.len(), |end| end + 1) } else { 1 };
            rest = after.get(length..).unwrap_or_default();
        }
        let (Some((first, inner)), last) = (literals.split_first(), rest) else { return rest == uri };
        let Some(mut left) = uri.strip_prefix(first).and_then(|left| left.strip_suffix(last)) else {
            return false;
        };
        // Each where it first stands: that leaves the most for those behind it.
        inner.iter().all(|literal| match left.find(literal) {
            Some(at) => {
                left = left.get(at + literal.len()..).unwrap_or_default();
                true
            }
            None => false,
        })
    }

    /// The text before the template's first wildcard, at most [`PREFIX_CHARACTERS`] of it.
    pub(crate) fn prefix(&self) -> Option<String> {
        match self {
            Self::Uri(_) => None,
            Self::Template(template) => {
                let literal = template.split(['{', '*']).next().unwrap_or_default();
                Some(literal.chars().take(PREFIX_CHARACTERS).collect())
            }
        }
    }
}

/// Every prefix under which a template that matches the URI can stand.
pub(crate) fn uri_prefixes(uri: &str) -> Vec<&str> {
    let ends = uri.char_indices().map(|(end, _)| end).chain([uri.len()]);
    ends.take(PREFIX_CHARACTERS + 1).filter_map(|end| uri.get(..end)).collect()
}

/// A resource or resource template, as MCP's `Resource` and `ResourceTemplate`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Resource {
    pub(super) address: ResourceAddress,
    pub(super) name: Option<String>,
    pub(super) title: Option<String>,
    pub(super) description: Option<String>,
    pub(super) mime_type: Option<String>,
    pub(super) definition: Option<Json>,
}

impl Resource {
    /// One from a bare text: a template if it holds `{` or `*`, else a URI.
    #[must_use]
    pub fn new(address: impl Into<String>) -> Self {
        let address = address.into();
        if address.contains(['{', '*']) { Self::template(address) } else { Self::uri(address) }
    }

    /// One at this URI, in which nothing is a wildcard.
    #[must_use]
    pub fn uri(uri: impl Into<String>) -> Self {
        Self::at(ResourceAddress::Uri(uri.into()))
    }

    /// A template, in which `{…}` and `*` stand for any run of characters.
    #[must_use]
    pub fn template(template: impl Into<String>) -> Self {
        Self::at(ResourceAddress::Template(template.into()))
    }

    fn at(address: ResourceAddress) -> Self {
        Self { address, name: None, title: None, description: None, mime_type: None, definition: None }
    }

    /// One from the object that MCP defines; everything in it is kept.
    ///
    /// # Errors
    /// When neither or both of `uri` and `uri_template` (or `uriTemplate`) are there, or a member that the registry
    /// reads is not a string.
    pub fn from_json(definition: impl Into<Json>) -> Result<Self, super::ParseError> {
        super::parse::single(&definition.into(), super::parse::resource)
    }

    /// Its URI or template; unique within its server.
    #[must_use]
    pub fn address(&self) -> &ResourceAddress {
        &self.address
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Its name for people.
    #[must_use]
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// What it holds.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// Its media type.
    #[must_use]
    pub fn mime_type(&self) -> Option<&str> {
        self.mime_type.as_deref()
    }

    fn members(&self) -> [(&'static str, Option<&str>); 5] {
        [
            (self.address.key(), Some(self.address.as_str())),
            ("name", self.name.as_deref()),
            ("title", self.title.as_deref()),
            ("description", self.description.as_deref()),
            ("mimeType", self.mime_type.as_deref()),
        ]
    }

    /// The object that MCP defines, a template under `uri_template`. In an answer to
    /// [`View::Summary`](super::View::Summary) it holds what a summary keeps.
    #[must_use]
    pub fn definition(&self) -> Json {
        self.definition
            .clone()
            .unwrap_or_else(|| object(&self.members().map(|(key, value)| (key, value.map(Json::string)))))
    }

    pub(crate) fn from_parts(parts: ResourceParts, definition: Option<Json>) -> Option<Self> {
        let (uri, template, name, title, description, mime_type) = parts;
        let address = uri.map(ResourceAddress::Uri).or(template.map(ResourceAddress::Template))?;
        Some(Self { address, name, title, description, mime_type, definition })
    }

    /// The same with its definition spelled out, as it is stored.
    pub(super) fn complete(mut self) -> Self {
        if self.definition.is_none() {
            self.definition = Some(self.definition());
        }
        self
    }

    /// The definition of one that is [complete](Self::complete).
    pub(crate) fn stored(&self) -> Option<&str> {
        self.definition.as_ref().map(Json::as_str)
    }
}

/// URI, template, name, title, description, media type: a row of the table.
pub(crate) type ResourceParts =
    (Option<String>, Option<String>, Option<String>, Option<String>, Option<String>, Option<String>);

impl From<&str> for Resource {
    fn from(address: &str) -> Self {
        Self::new(address)
    }
}

impl From<String> for Resource {
    fn from(address: String) -> Self {
        Self::new(address)
    }
}

impl Serialize for Resource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.definition {
            Some(definition) => definition.serialize(serializer),
            None => Brief(self).serialize(serializer),
        }
    }
}

impl Serialize for Brief<'_, Resource> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in self.0.members() {
            if let Some(value) = value {
                map.serialize_entry(key, value)?;
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glob(template: &str) -> String {
        ResourceAddress::Template(template.to_owned()).glob().unwrap()
    }

    #[test]
    fn templates_compile_to_globs_in_which_only_wildcards_match() {
        assert_eq!(glob("file:///{path}"), "file:///*");
        assert_eq!(glob("file://*"), "file://*");
        assert_eq!(glob("db://{schema}/{table}{?limit,offset}"), "db://*/*");
        assert_eq!(glob("a?b[c]d*"), "a[?]b[[]c]d*");
    }

    #[test]
    fn a_template_serves_what_its_glob_matches() {
        let serves = |template: &str, uri: &str| ResourceAddress::Template(template.to_owned()).serves(uri);
        for (template, yes, no) in [
            ("file:///{path}", "file:///etc/hosts", "file://etc"),
            ("file://*", "file://", "file:/"),
            ("db://{schema}/{table}{?limit}", "db://a/b/c", "db://ab"),
            ("*.md", "a.md.md", "a.mdx"),
            ("a{b}aa", "aaaa", "aa"),
            ("{a}x{b}y{c}", "xy", "yx"),
            ("x{", "xyz", "y"),
        ] {
            assert!(serves(template, yes), "{template} {yes}");
            assert!(!serves(template, no), "{template} {no}");
        }
        assert!(
            ResourceAddress::Uri("a{b}".into()).serves("a{b}")
                && !ResourceAddress::Uri("a*".into()).serves("ab")
        );
    }

    #[test]
    fn a_uri_is_looked_up_under_each_of_its_beginnings() {
        assert_eq!(uri_prefixes("aé:"), ["", "a", "aé", "aé:"]);
        assert_eq!(uri_prefixes(&"x".repeat(500)).len(), PREFIX_CHARACTERS + 1);
        let template = ResourceAddress::Template("x".repeat(100) + "{id}");
        assert!(uri_prefixes(&"x".repeat(120)).contains(&template.prefix().unwrap().as_str()));
    }
}
