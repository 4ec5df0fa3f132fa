//! Resources and resource templates, and matching URIs against them.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Json;
use super::json::object;

/// The maximum length of a template's literal prefix, by which templates are indexed.
const PREFIX_CHARACTERS: usize = 64;

/// The address of a resource: a URI, or a template that matches many.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ResourceAddress {
    /// A URI without wildcards.
    Uri(String),
    /// A template in which `{…}` and `*` match any run of characters.
    Template(String),
}

impl ResourceAddress {
    /// Returns the URI or template as text.
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

    /// Compiles the template to a GLOB pattern of SQLite, with literals escaped.
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

    /// Returns whether the address equals this URI or is a template that matches it.
    pub(crate) fn matches(&self, uri: &str) -> bool {
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
        // The first occurrence of each literal leaves the most text for the following ones.
        inner.iter().all(|literal| match left.find(literal) {
            Some(at) => {
                left = left.get(at + literal.len()..).unwrap_or_default();
                true
            }
            None => false,
        })
    }

    /// Returns the literal prefix of the template, at most [`PREFIX_CHARACTERS`] long.
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

/// Returns all literal prefixes that a template matching the URI can have.
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
    pub(super) definition: Json,
}

impl Resource {
    /// Creates a resource: a template if the address contains `{` or `*`, else a URI.
    #[must_use]
    pub fn new(address: impl Into<String>) -> Self {
        let address = address.into();
        if address.contains(['{', '*']) { Self::template(address) } else { Self::uri(address) }
    }

    /// Creates a resource with a URI, in which nothing is a wildcard.
    #[must_use]
    pub fn uri(uri: impl Into<String>) -> Self {
        Self::from_address(ResourceAddress::Uri(uri.into()))
    }

    /// Creates a resource template, in which `{…}` and `*` match any run of characters.
    #[must_use]
    pub fn template(template: impl Into<String>) -> Self {
        Self::from_address(ResourceAddress::Template(template.into()))
    }

    fn from_address(address: ResourceAddress) -> Self {
        let definition = object([(address.key(), Some(Json::string(address.as_str())))]);
        Self { address, name: None, title: None, description: None, mime_type: None, definition }
    }

    /// Returns the URI or template, unique within the server.
    #[must_use]
    pub fn address(&self) -> &ResourceAddress {
        &self.address
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns the display name.
    #[must_use]
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// Returns the description of what it contains.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// Returns the media type.
    #[must_use]
    pub fn mime_type(&self) -> Option<&str> {
        self.mime_type.as_deref()
    }

    /// Returns the object that MCP defines, a template under `uri_template`. In an answer to
    /// [`View::Summary`](super::View::Summary) it has only the members of a summary.
    #[must_use]
    pub fn definition(&self) -> &Json {
        &self.definition
    }

    /// Returns the resource as a summary contains it.
    pub(super) fn summary(&self) -> Self {
        let members = [
            (self.address.key(), Some(self.address.as_str())),
            ("name", self.name.as_deref()),
            ("title", self.title.as_deref()),
            ("description", self.description.as_deref()),
            ("mimeType", self.mime_type.as_deref()),
        ];
        let definition = object(members.map(|(key, value)| (key, value.map(Json::string))));
        Self {
            address: self.address.clone(),
            name: self.name.clone(),
            title: self.title.clone(),
            description: self.description.clone(),
            mime_type: self.mime_type.clone(),
            definition,
        }
    }
}

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
        self.definition.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Resource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Members {
            uri: Option<String>,
            uri_template: Option<String>,
            name: Option<String>,
            title: Option<String>,
            description: Option<String>,
            #[serde(rename = "mimeType")]
            mime_type: Option<String>,
        }
        let definition = Json::deserialize(deserializer)?;
        let members = serde_json::from_str(definition.as_str()).map_err(D::Error::custom)?;
        let Members { uri, uri_template, name, title, description, mime_type } = members;
        let address = uri.map(ResourceAddress::Uri).or(uri_template.map(ResourceAddress::Template));
        let address = address.ok_or_else(|| D::Error::custom("a resource needs uri or uri_template"))?;
        Ok(Self { address, name, title, description, mime_type, definition })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glob(template: &str) -> String {
        ResourceAddress::Template(template.to_owned()).glob().unwrap()
    }

    #[test]
    fn templates_compile_to_globs_with_escaped_literals() {
        assert_eq!(glob("file:///{path}"), "file:///*");
        assert_eq!(glob("file://*"), "file://*");
        assert_eq!(glob("db://{schema}/{table}{?limit,offset}"), "db://*/*");
        assert_eq!(glob("a?b[c]d*"), "a[?]b[[]c]d*");
    }

    #[test]
    fn a_template_matches_the_same_uris_as_its_glob() {
        let matches = |template: &str, uri: &str| ResourceAddress::Template(template.to_owned()).matches(uri);
        for (template, yes, no) in [
            ("file:///{path}", "file:///etc/hosts", "file://etc"),
            ("file://*", "file://", "file:/"),
            ("db://{schema}/{table}{?limit}", "db://a/b/c", "db://ab"),
            ("*.md", "a.md.md", "a.mdx"),
            ("a{b}aa", "aaaa", "aa"),
            ("{a}x{b}y{c}", "xy", "yx"),
            ("x{", "xyz", "y"),
        ] {
            assert!(matches(template, yes), "{template} {yes}");
            assert!(!matches(template, no), "{template} {no}");
        }
        assert!(
            ResourceAddress::Uri("a{b}".into()).matches("a{b}")
                && !ResourceAddress::Uri("a*".into()).matches("ab")
        );
    }

    #[test]
    fn a_uri_is_looked_up_by_each_of_its_prefixes() {
        assert_eq!(uri_prefixes("aé:"), ["", "a", "aé", "aé:"]);
        assert_eq!(uri_prefixes(&"x".repeat(500)).len(), PREFIX_CHARACTERS + 1);
        let template = ResourceAddress::Template("x".repeat(100) + "{id}");
        assert!(uri_prefixes(&"x".repeat(120)).contains(&template.prefix().unwrap().as_str()));
    }
}
