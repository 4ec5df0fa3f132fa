//! Parses registrations from JSON. A value of the wrong type is reported and replaced by an empty one, so that the rest is
//! still parsed, validated and reported.

use std::collections::BTreeMap;

use super::capabilities::Flags;
use super::json::object;
use super::json_node::Node;
use super::violation::Violations;
use super::{
    Capabilities, Input, Json, MAX_COMMAND_WORDS, MAX_DEFINITIONS, MAX_INPUTS, MAX_TAGS, ParseError, Prompt,
    Record, Registration, Resource, ResourceAddress, Tool, Transport, TransportKind, ValidRegistration,
};

/// The members of a registration in addition to [`Record::TEXTS`].
const MEMBERS: [&str; 11] = [
    "id",
    "name",
    "transport",
    "command",
    "url",
    "environment",
    "headers",
    "capabilities",
    "tags",
    "metadata",
    "ttl",
];

fn is_member(key: &str) -> bool {
    MEMBERS.contains(&key) || Record::TEXTS.iter().any(|member| member.name == key)
}

impl Registration {
    /// Reads the JSON body of `POST /v1/servers`.
    ///
    /// # Errors
    /// If the text is not JSON or not a valid registration; every violation is listed.
    pub fn from_json(text: &[u8]) -> Result<ValidRegistration, ParseError> {
        registration(text)
    }
}

impl Tool {
    /// Creates one from the object that MCP defines; everything in it is kept.
    ///
    /// # Errors
    /// If a member that the registry reads (`name`, `title`, `description`) is missing or not a string.
    ///
    /// ```
    /// use paulina::Tool;
    /// let tool = Tool::from_json(serde_json::json!({"name": "read_file", "x-note": 1}))?;
    /// assert!(tool.definition().as_str().contains("x-note"));
    /// # Ok::<(), paulina::ParseError>(())
    /// ```
    pub fn from_json(definition: impl Into<Json>) -> Result<Self, ParseError> {
        single(&definition.into(), tool)
    }
}

impl Prompt {
    /// Creates one from the object that MCP defines; everything in it is kept.
    ///
    /// # Errors
    /// If a member that the registry reads (`name`, `title`, `description`) is missing or not a string.
    pub fn from_json(definition: impl Into<Json>) -> Result<Self, ParseError> {
        single(&definition.into(), prompt)
    }
}

impl Resource {
    /// Creates one from the object that MCP defines; everything in it is kept.
    ///
    /// # Errors
    /// If neither or both of `uri` and `uri_template` (or `uriTemplate`) are present, or a member that the registry
    /// reads is not a string.
    pub fn from_json(definition: impl Into<Json>) -> Result<Self, ParseError> {
        single(&definition.into(), resource)
    }
}

/// Reads one definition on its own.
fn single<T>(json: &Json, parse: impl FnOnce(&Node<'_>, &mut Violations) -> T) -> Result<T, ParseError> {
    let mut violations = Violations::default();
    let parsed = parse(&Node::root(json.as_str().as_bytes())?, &mut violations);
    violations.into_result().map_err(ParseError::Invalid)?;
    Ok(parsed)
}

/// Reads the body of `POST /v1/servers`.
fn registration(text: &[u8]) -> Result<ValidRegistration, ParseError> {
    let root = Node::root(text)?;
    let mut violations = Violations::default();
    let Some(members) = root.object(&mut violations) else {
        return Err(violations
            .into_result()
            .map_or_else(ParseError::Invalid, |()| ParseError::Invalid(Vec::new())));
    };
    let mut body = Body { members: BTreeMap::new(), violations };
    for (key, node) in members {
        if !is_member(&key) {
            body.violations.push(&node.pointer, "is not a member of a registration");
        } else if !node.is_null() {
            body.members.insert(key, node);
        }
    }
    for required in ["name", "transport"] {
        if !body.members.contains_key(required) {
            body.violations.push(&root.pointer.key(required), "is required");
        }
    }
    let registration = body.read(&root);
    let mut violations = body.violations;
    violations.add_unless_covered(super::validate::check(&registration));
    violations.into_result().map_err(ParseError::Invalid)?;
    Ok(registration.checked())
}

struct Body<'a> {
    members: BTreeMap<String, Node<'a>>,
    violations: Violations,
}

impl Body<'_> {
    fn read(&mut self, root: &Node<'_>) -> Registration {
        let transport = self.transport(root);
        let mut registration = Registration::new(self.text("name").unwrap_or_default(), transport);
        registration.id = self.text("id");
        let record = &mut registration.record;
        for member in &Record::TEXTS {
            *(member.get_mut)(record) = self.text(member.name);
        }
        if let Some(capabilities) = self.members.get("capabilities") {
            record.capabilities = self::capabilities(capabilities, &mut self.violations);
        }
        record.tags = self.texts("tags", "an array of strings", MAX_TAGS);
        if let Some(node) = self.members.get("metadata") {
            for (key, node) in node.object(&mut self.violations).unwrap_or_default() {
                let value = node.string(&mut self.violations).unwrap_or_default();
                record.metadata.insert(key, value);
            }
        }
        if let Some(node) = self.members.get("ttl")
            && let Some(seconds) = node.whole_number(&mut self.violations)
        {
            registration.ttl = u32::try_from(seconds).unwrap_or(if seconds < 0 { 0 } else { u32::MAX });
        }
        registration
    }

    fn text(&mut self, key: &str) -> Option<String> {
        let node = self.members.get(key)?;
        Some(node.string(&mut self.violations).unwrap_or_default())
    }

    fn texts(&mut self, key: &str, wanted: &str, max: usize) -> Vec<String> {
        let Some(node) = self.members.get(key) else { return Vec::new() };
        let items = array(node, wanted, max, &mut self.violations);
        items.iter().map(|item| item.string(&mut self.violations).unwrap_or_default()).collect()
    }

    fn inputs(&mut self, key: &str) -> Vec<Input> {
        let Some(node) = self.members.get(key) else { return Vec::new() };
        let items = array(node, "an array of objects", MAX_INPUTS, &mut self.violations);
        items.iter().map(|item| input(item, &mut self.violations)).collect()
    }

    fn transport(&mut self, root: &Node<'_>) -> Transport {
        let kind = self.members.get("transport").and_then(|node| {
            let text = node.string(&mut self.violations)?;
            let kind = text.parse::<TransportKind>();
            kind.map_err(|detail| self.violations.push(&node.pointer, detail)).ok()
        });
        let command = self.texts("command", "a non-empty array of strings", MAX_COMMAND_WORDS);
        let url = self.text("url");
        let environment = self.inputs("environment");
        let headers = self.inputs("headers");
        let foreign: &[&str] = match kind {
            Some(TransportKind::Stdio) => &["url", "headers"],
            Some(TransportKind::StreamableHttp | TransportKind::Sse) => &["command", "environment"],
            None => &[],
        };
        for key in foreign {
            if let Some(node) = self.members.get(*key).filter(|node| !node.is_empty_array()) {
                self.violations.push(&node.pointer, "belongs to another transport");
            }
        }
        let own = if kind == Some(TransportKind::Stdio) { "command" } else { "url" };
        if kind.is_some() && !self.members.contains_key(own) {
            self.violations.push(&root.pointer.key(own), "is required by this transport");
        }
        match kind {
            Some(TransportKind::StreamableHttp) => {
                Transport::StreamableHttp { url: url.unwrap_or_default(), headers }
            }
            Some(TransportKind::Sse) => Transport::Sse { url: url.unwrap_or_default(), headers },
            Some(TransportKind::Stdio) => Transport::Stdio { command, environment },
            None => Transport::Stdio { command: vec![String::from("unknown")], environment },
        }
    }
}

fn array<'a>(node: &Node<'a>, wanted: &str, max: usize, violations: &mut Violations) -> Vec<Node<'a>> {
    let mut items = node.array(wanted, violations).unwrap_or_default();
    if items.len() > max {
        violations.push(&node.pointer, format!("has {} items; at most {max} are allowed", items.len()));
        items.clear();
    }
    items
}

fn capabilities(node: &Node<'_>, violations: &mut Violations) -> Capabilities {
    let mut capabilities = Capabilities::default();
    let mut flags = BTreeMap::new();
    for (key, node) in node.object(violations).unwrap_or_default() {
        match key.as_str() {
            "tools" => capabilities.tools = definitions(&node, "tools", violations, tool),
            "resources" => capabilities.resources = definitions(&node, "resources", violations, resource),
            "prompts" => capabilities.prompts = definitions(&node, "prompts", violations, prompt),
            _ if node.is_null() => {}
            _ => {
                if let Some(options) = node.json(violations) {
                    flags.insert(key, options);
                }
            }
        }
    }
    capabilities.flags = Flags(flags);
    capabilities
}

fn definitions<T>(
    node: &Node<'_>,
    what: &str,
    violations: &mut Violations,
    parse: fn(&Node<'_>, &mut Violations) -> T,
) -> Vec<T> {
    if node.is_null() {
        return Vec::new();
    }
    let wanted = format!("an array of {what}, each a string or an object");
    let items = array(node, &wanted, MAX_DEFINITIONS, violations);
    items.iter().map(|item| parse(item, violations)).collect()
}

/// A definition as text, and the members that the registry reads.
struct Definition<'a> {
    node: &'a Node<'a>,
    texts: BTreeMap<String, String>,
    members: Vec<(String, Node<'a>)>,
}

impl<'a> Definition<'a> {
    fn read(node: &'a Node<'a>, keys: &[&str], violations: &mut Violations) -> Self {
        let members = node.object(violations).unwrap_or_default();
        let mut texts = BTreeMap::new();
        for (key, node) in &members {
            if keys.contains(&key.as_str()) && !node.is_null() {
                texts.insert(key.clone(), node.string(violations).unwrap_or_default());
            }
        }
        Self { node, texts, members }
    }

    fn take(&mut self, key: &str) -> Option<String> {
        self.texts.remove(key)
    }

    fn has(&self, key: &str) -> bool {
        self.members.iter().any(|(own, _)| own == key)
    }

    /// Returns the whole definition, with `uriTemplate` renamed to `uri_template`.
    fn json(&self, violations: &mut Violations) -> Json {
        let mut whole_violations = Violations::default();
        if let Some(whole) = self.node.json(&mut whole_violations)
            && !self.has("uriTemplate")
        {
            return whole;
        }
        let mut member_violations = Violations::default();
        let mut members = Vec::with_capacity(self.members.len());
        for (key, node) in &self.members {
            let key = if key == "uriTemplate" { "uri_template" } else { key };
            members.push((key, node.json(&mut member_violations)));
        }
        let own = if member_violations.is_empty() { whole_violations } else { member_violations };
        violations.add_unless_covered(own);
        object(members)
    }
}

macro_rules! parse_named {
    ($parse:ident, $name:ident) => {
        fn $parse(node: &Node<'_>, violations: &mut Violations) -> $name {
            if node.is_string() {
                return $name::new(node.string(violations).unwrap_or_default());
            }
            let mut read = Definition::read(node, &["name", "title", "description"], violations);
            let name = read.take("name");
            if name.is_none() && !read.members.is_empty() {
                violations.push(&node.pointer.key("name"), "is required");
            }
            $name {
                name: name.unwrap_or_default(),
                title: read.take("title"),
                description: read.take("description"),
                definition: read.json(violations),
            }
        }
    };
}
parse_named!(tool, Tool);
parse_named!(prompt, Prompt);

fn resource(node: &Node<'_>, violations: &mut Violations) -> Resource {
    if node.is_string() {
        return Resource::new(node.string(violations).unwrap_or_default());
    }
    let keys = ["uri", "uri_template", "uriTemplate", "name", "title", "description", "mimeType"];
    let mut read = Definition::read(node, &keys, violations);
    let mut addresses = vec![read.take("uri").map(ResourceAddress::Uri)];
    addresses
        .extend(["uri_template", "uriTemplate"].map(|key| read.take(key).map(ResourceAddress::Template)));
    let mut addresses = addresses.into_iter().flatten();
    let address = addresses.next();
    if !read.members.is_empty() && (address.is_none() || addresses.next().is_some()) {
        violations.push(&node.pointer, "needs exactly one of uri and uri_template");
    }
    Resource {
        address: address.unwrap_or_else(|| ResourceAddress::Uri(String::new())),
        name: read.take("name"),
        title: read.take("title"),
        description: read.take("description"),
        mime_type: read.take("mimeType"),
        definition: read.json(violations),
    }
}

fn input(node: &Node<'_>, violations: &mut Violations) -> Input {
    let mut input = Input::new("");
    let members = node.object(violations).unwrap_or_default();
    if !members.is_empty() && !members.iter().any(|(key, _)| key == "name") {
        violations.push(&node.pointer.key("name"), "is required");
    }
    for (key, node) in members {
        match key.as_str() {
            "name" => input.name = node.string(violations).unwrap_or_default(),
            "description" if !node.is_null() => input.description = node.string(violations),
            "required" => input.required = node.boolean(violations).unwrap_or_default(),
            "secret" => input.secret = node.boolean(violations).unwrap_or_default(),
            "value" => {
                violations.push(&node.pointer, "is not accepted, since a registry must not contain secrets");
            }
            "description" => {}
            _ => violations.push(&node.pointer, "is not one of name, description, required and secret"),
        }
    }
    input
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(body: &str) -> Vec<(String, String)> {
        match registration(body.as_bytes()) {
            Err(ParseError::Invalid(list)) => {
                list.into_iter().map(|violation| (violation.pointer, violation.detail)).collect()
            }
            other => panic!("expected violations, got {other:?}"),
        }
    }

    #[test]
    fn lists_every_violation_once_with_its_location() {
        let body = r#"{"id": "a b", "name": 7, "transport": "stdio", "command": [], "url": "http://x", "ttl": 0.5,
            "capabilities": {"tools": ["a", 1, {"name": "a"}, {"title": "t"}], "resources": [{}], "x": 3},
            "tags": ["a,b", 5], "metadata": {"k": 1, "bad key": "v"}, "color": "red",
            "environment": [{"name": "A", "value": "secret"}]}"#;
        let found: Vec<String> = violations(body).into_iter().map(|(pointer, _)| pointer).collect();
        let expected = [
            "/color",
            "/command",
            "/url",
            "/environment/0/value",
            "/name",
            "/capabilities/tools/1",
            "/capabilities/tools/3/name",
            "/capabilities/resources/0",
            "/tags/1",
            "/metadata/k",
            "/ttl",
            "/id",
            "/capabilities/tools/2/name",
            "/capabilities/x",
            "/tags/0",
            "/metadata/bad key",
        ];
        let sorted = |mut list: Vec<String>| {
            list.sort();
            list
        };
        assert_eq!(sorted(found), sorted(expected.map(String::from).to_vec()));
    }

    #[test]
    fn rejects_definitions_that_are_nested_too_deeply() {
        let schema = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let body = |depth| {
            let tool = format!(r#"{{"name": "t", "inputSchema": {}}}"#, schema(depth));
            format!(
                r#"{{"name": "n", "transport": "sse", "url": "http://x", "capabilities": {{"tools": [{tool}]}}}}"#
            )
        };
        assert!(registration(body(127).as_bytes()).is_ok());
        let deep = |pointer: &str| vec![(pointer.to_owned(), "is nested deeper than 128 levels".to_owned())];
        assert_eq!(violations(&body(128)), deep("/capabilities/tools/0"));
        assert_eq!(violations(&body(129)), deep("/capabilities/tools/0/inputSchema"));
    }

    #[test]
    fn keeps_definitions_verbatim_and_renames_uri_template() {
        let body = r#"{"name": "n", "transport": "http", "url": "https://x/mcp", "headers": [], "command": null,
            "capabilities": {"tools": [{"inputSchema": {"maximum": 1e400}, "name": "t", "z": 0.10}],
            "resources": [{"uriTemplate": "a:{b}", "name": "A"}]}}"#;
        let valid = registration(body.as_bytes()).unwrap();
        let capabilities = &valid.get().record.capabilities;
        assert_eq!(
            capabilities.tools[0].definition().as_str(),
            r#"{"inputSchema":{"maximum":1e400},"name":"t","z":0.10}"#
        );
        assert_eq!(capabilities.resources[0].definition().as_str(), r#"{"uri_template":"a:{b}","name":"A"}"#);
        assert_eq!(valid.get().record.transport.kind(), TransportKind::StreamableHttp);
    }
}
