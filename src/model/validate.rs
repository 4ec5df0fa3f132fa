//! Validation of registrations, from the builder and from JSON.

use std::collections::{BTreeMap, HashSet};

use super::violation::{Pointer, Violations};
use super::{
    Capabilities, Input, InvalidRegistration, MAX_COMMAND_WORD_BYTES, MAX_COMMAND_WORDS,
    MAX_DEFINITION_NAME_CHARACTERS, MAX_DEFINITIONS, MAX_DESCRIPTION_CHARACTERS, MAX_FLAGS,
    MAX_ID_CHARACTERS, MAX_INPUTS, MAX_METADATA, MAX_METADATA_KEY_CHARACTERS, MAX_METADATA_VALUE_CHARACTERS,
    MAX_NAME_CHARACTERS, MAX_TAG_CHARACTERS, MAX_TAGS, MAX_URI_BYTES, MAX_URL_CHARACTERS, Record,
    Registration, ResourceAddress, TTL_SECONDS, Transport, ValidRegistration,
};

impl Registration {
    /// Validates the registration.
    ///
    /// # Errors
    /// If it is not valid: every violation, with a pointer to the member of the JSON body.
    pub fn validate(self) -> Result<ValidRegistration, InvalidRegistration> {
        check(&self).into_result().map_err(InvalidRegistration)?;
        Ok(self.checked())
    }
}

/// Returns all violations of a registration.
pub(super) fn check(registration: &Registration) -> Violations {
    let record = &registration.record;
    let mut validator = Validator { violations: Violations::default() };
    let root = Pointer::default();
    if let Some(id) = &registration.id {
        validator.charset(&root.key("id"), id, MAX_ID_CHARACTERS, "._-");
        if matches!(id.as_str(), "." | "..") {
            let detail = "must not be . or .., which a URL cannot contain: RFC 3986, section 5.2.4";
            validator.violations.push(&root.key("id"), detail);
        }
    }
    validator.charset(&root.key("name"), &record.name, MAX_NAME_CHARACTERS, "._/@ -");
    for member in &Record::TEXTS {
        if let Some(text) = (member.get)(record) {
            validator.text(&root.key(member.name), text, 1, member.max_characters);
        }
    }
    if !TTL_SECONDS.contains(&registration.ttl) {
        validator.violations.push(&root.key("ttl"), "must be between 1 and 86400 (seconds)");
    }
    validator.transport(&root, &record.transport);
    validator.capabilities(&root.key("capabilities"), &record.capabilities);
    validator.tags(&root.key("tags"), &record.tags);
    validator.metadata(&root.key("metadata"), &record.metadata);
    validator.violations
}

struct Validator {
    violations: Violations,
}

impl Validator {
    fn charset(&mut self, pointer: &Pointer, text: &str, max: usize, extra: &str) {
        let fits = |character: char| character.is_ascii_alphanumeric() || extra.contains(character);
        if text.is_empty() || text.len() > max || !text.chars().all(fits) {
            let detail = format!("must be 1–{max} characters of [A-Za-z0-9{extra}]");
            self.violations.push(pointer, detail);
        }
    }

    fn text(&mut self, pointer: &Pointer, text: &str, min: usize, max: usize) {
        let length = text.chars().count();
        if length < min || length > max {
            self.violations.push(pointer, format!("must be {min}–{max} characters long, not {length}"));
        } else if text.chars().any(|character| character.is_control() && !"\n\r\t".contains(character)) {
            self.violations.push(pointer, "must not contain control characters");
        }
    }

    fn at_most(&mut self, pointer: &Pointer, count: usize, max: usize) {
        if count > max {
            self.violations.push(pointer, format!("has {count} items; at most {max} are allowed"));
        }
    }

    fn unique<'a>(&mut self, seen: &mut HashSet<&'a str>, pointer: &Pointer, text: &'a str) {
        if !text.is_empty() && !seen.insert(text) {
            self.violations.push(pointer, format!("{text:?} is given twice"));
        }
    }

    fn transport(&mut self, root: &Pointer, transport: &Transport) {
        match transport {
            Transport::Stdio { command, environment } => {
                let pointer = root.key("command");
                if command.is_empty() {
                    self.violations.push(&pointer, "must be a non-empty array of strings");
                }
                self.at_most(&pointer, command.len(), MAX_COMMAND_WORDS);
                for (index, word) in command.iter().enumerate() {
                    if index == 0 && word.is_empty() {
                        self.violations.push(&pointer.index(index), "must name a program");
                    } else if word.len() > MAX_COMMAND_WORD_BYTES || word.contains('\0') {
                        let detail = format!("must be at most {MAX_COMMAND_WORD_BYTES} bytes without NUL");
                        self.violations.push(&pointer.index(index), detail);
                    }
                }
                let name = |text: &str| !text.contains(|c: char| c.is_control() || c == '=');
                self.inputs(
                    &root.key("environment"),
                    environment,
                    name,
                    "the name of an environment variable",
                );
            }
            Transport::StreamableHttp { url, headers } | Transport::Sse { url, headers } => {
                self.url(&root.key("url"), url);
                let token = |text: &str| {
                    text.bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
                };
                self.inputs(&root.key("headers"), headers, token, "the name of an HTTP header");
            }
        }
    }

    fn url(&mut self, pointer: &Pointer, text: &str) {
        let detail = match url::Url::parse(text) {
            _ if text.chars().count() > MAX_URL_CHARACTERS => "must be at most 2000 characters long",
            Ok(url) if !matches!(url.scheme(), "http" | "https") => "must be an http or https URL",
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                "must not contain a user or password, since a registry must not contain secrets"
            }
            Ok(_) if text.chars().any(|character| character.is_control() || character == ' ') => {
                "must not contain spaces or control characters"
            }
            Ok(_) => return,
            Err(_) => "must be an absolute http or https URL",
        };
        self.violations.push(pointer, detail);
    }

    fn inputs(&mut self, pointer: &Pointer, inputs: &[Input], fits: impl Fn(&str) -> bool, what: &str) {
        self.at_most(pointer, inputs.len(), MAX_INPUTS);
        let mut seen = HashSet::new();
        for (index, input) in inputs.iter().enumerate() {
            let pointer = pointer.index(index);
            let length = input.name.chars().count();
            if length == 0 || length > MAX_DEFINITION_NAME_CHARACTERS || !fits(&input.name) {
                self.violations.push(&pointer.key("name"), format!("must be {what}"));
            }
            self.unique(&mut seen, &pointer.key("name"), &input.name);
            if let Some(description) = &input.description {
                self.text(&pointer.key("description"), description, 0, MAX_DESCRIPTION_CHARACTERS);
            }
        }
    }

    fn name(&mut self, pointer: &Pointer, name: &str) {
        let length = name.chars().count();
        if length == 0 || length > MAX_DEFINITION_NAME_CHARACTERS || name.chars().any(char::is_control) {
            let detail =
                format!("must be 1–{MAX_DEFINITION_NAME_CHARACTERS} characters without control characters");
            self.violations.push(pointer, detail);
        }
    }

    fn capabilities(&mut self, pointer: &Pointer, capabilities: &Capabilities) {
        let tools: Vec<&str> = capabilities.tools.iter().map(super::Tool::name).collect();
        self.names(&pointer.key("tools"), &tools);
        let prompts: Vec<&str> = capabilities.prompts.iter().map(super::Prompt::name).collect();
        self.names(&pointer.key("prompts"), &prompts);

        let list = pointer.key("resources");
        self.at_most(&list, capabilities.resources.len(), MAX_DEFINITIONS);
        let (mut uris, mut templates) = (HashSet::new(), HashSet::new());
        for (index, resource) in capabilities.resources.iter().enumerate() {
            let item = list.index(index);
            let address = resource.address.as_str();
            match &resource.address {
                ResourceAddress::Uri(uri) => self.unique(&mut uris, &item, uri),
                ResourceAddress::Template(template) => self.unique(&mut templates, &item, template),
            }
            if address.is_empty() || address.len() > MAX_URI_BYTES || address.chars().any(char::is_control) {
                let detail =
                    format!("needs a URI or template of 1–{MAX_URI_BYTES} bytes without control characters");
                self.violations.push(&item, detail);
            } else if matches!(resource.address, ResourceAddress::Template(_)) && !has_closed_braces(address)
            {
                self.violations.push(&item, "has a template with an unclosed {");
            }
        }

        let flags = &capabilities.flags;
        self.at_most(pointer, flags.iter().count(), MAX_FLAGS);
        for (name, options) in flags.iter() {
            let pointer = pointer.key(name);
            self.name(&pointer, name);
            if !matches!(options.as_str(), "true" | "false") && !options.as_str().starts_with('{') {
                self.violations.push(&pointer, "must be true, false or an object of options");
            } else if matches!(name, "tools" | "resources" | "prompts") {
                self.violations.push(&pointer, "is a list, not a flag");
            }
        }
    }

    fn names(&mut self, pointer: &Pointer, names: &[&str]) {
        self.at_most(pointer, names.len(), MAX_DEFINITIONS);
        let mut seen = HashSet::new();
        for (index, name) in names.iter().enumerate() {
            let pointer = pointer.index(index).key("name");
            self.name(&pointer, name);
            self.unique(&mut seen, &pointer, name);
        }
    }

    fn tags(&mut self, pointer: &Pointer, tags: &[String]) {
        let distinct: HashSet<&String> = tags.iter().collect();
        self.at_most(pointer, distinct.len(), MAX_TAGS);
        for (index, tag) in tags.iter().enumerate() {
            let length = tag.chars().count();
            let is_forbidden = |character: char| character == ',' || character.is_control();
            if length == 0 || length > MAX_TAG_CHARACTERS || tag.contains(is_forbidden) {
                let detail =
                    format!("must be 1–{MAX_TAG_CHARACTERS} characters without comma or control characters");
                self.violations.push(&pointer.index(index), detail);
            }
        }
    }

    fn metadata(&mut self, pointer: &Pointer, metadata: &BTreeMap<String, String>) {
        self.at_most(pointer, metadata.len(), MAX_METADATA);
        for (key, value) in metadata {
            let fits = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
            if key.is_empty() || key.len() > MAX_METADATA_KEY_CHARACTERS || !key.chars().all(fits) {
                let detail = format!(
                    "has a key that is not 1–{MAX_METADATA_KEY_CHARACTERS} characters of [A-Za-z0-9._-]"
                );
                self.violations.push(&pointer.key(key), detail);
            } else {
                self.text(&pointer.key(key), value, 0, MAX_METADATA_VALUE_CHARACTERS);
            }
        }
    }
}

fn has_closed_braces(template: &str) -> bool {
    template.split('{').skip(1).all(|rest| rest.contains('}'))
}
