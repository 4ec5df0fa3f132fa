//! Search documents of servers and tools: weighted terms and an embedding.
//!
//! Documents are built when a server registers, before its command is queued, and are stored, so that a restart does not
//! have to rebuild them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

#[cfg(feature = "semantic")]
use super::embedding::{self, EmbeddingBuilder};
use crate::model::{Capabilities, Json, Record, Tool, each_term};
#[cfg(feature = "semantic")]
use crate::model::{Prompt, Resource};

/// Identifies the text that documents were built from. Equal texts have the same documents.
pub(crate) type Digest = [u8; 16];

/// A search document of a server or a tool.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Document {
    /// The tool's name; empty for a server.
    pub(super) name: String,
    pub(super) terms: Vec<Term>,
    pub(super) vector: Option<Box<[i8]>>,
}

/// A term of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Term {
    /// The word in lower case.
    pub(super) word: String,
    /// Its weight in the document, 1–127.
    pub(super) weight: u8,
    /// Whether it occurs in a name, a title, a tag or the lead of a description.
    pub(super) is_prominent: bool,
}

/// The maximum weight of a term.
pub(super) const MAX_WEIGHT: u8 = 127;

/// Returns the version of stored documents: of their terms and of the table of vectors.
pub(crate) fn version() -> i64 {
    /// To be incremented with each change of this file or of `model/tokenizer.rs` that changes the terms of a text.
    const TERMS: i64 = 2;
    #[cfg(feature = "semantic")]
    let vectors = i64::from(embedding::version());
    #[cfg(not(feature = "semantic"))]
    let vectors = 0;
    TERMS * 1_000 + vectors
}

/// Weights of terms, by where they occur.
mod weight {
    pub(super) const NAME: f32 = 1.0;
    pub(super) const TITLE: f32 = 0.8;
    pub(super) const TAG: f32 = 0.8;
    pub(super) const DESCRIPTION: f32 = 0.5;
    pub(super) const COMPONENT_NAME: f32 = 0.6;
    pub(super) const COMPONENT_DESCRIPTION: f32 = 0.3;
    pub(super) const PARAMETER: f32 = 0.2;
    pub(super) const ENUM_VALUE: f32 = 0.12;
    pub(super) const PARAMETER_DESCRIPTION: f32 = 0.08;
    /// The maximum weight of a term that occurs only in parameters: less than in a description.
    pub(super) const MAX_PARAMETERS: f32 = 0.3;
}

/// The first words of a description, its lead, have the full weight. Later words weigh less, but more than parameters.
const LEAD_END: usize = 20;
const BODY_END: usize = 80;
const BODY_FACTOR: f32 = 0.8;
const TAIL_FACTOR: f32 = 0.7;

/// The minimum weight of a word of a tool's description, with a margin for rounding.
pub(super) const MIN_DESCRIPTION_WEIGHT: f32 = weight::DESCRIPTION * TAIL_FACTOR - 0.01;

/// How much of a tool's parameters is indexed: real schemas have up to 82 KB.
const MAX_PARAMETERS: usize = 60;
const MAX_PARAMETER_DEPTH: usize = 3;
const MAX_PARAMETER_WORDS: usize = 15;
const MAX_LISTED_NAMES: usize = 20;

/// Longer words are truncated. Further distinct terms of a document are ignored.
const MAX_TERM_BYTES: usize = 64;
const MAX_TERMS: usize = 1_000;

impl Document {
    /// Builds the document of a server, without its tools.
    fn of_server(record: &Record) -> Self {
        let mut terms = TermsBuilder::default();
        terms.add(&record.name, weight::NAME);
        terms.add(record.title.as_deref().unwrap_or_default(), weight::TITLE);
        record.tags.iter().for_each(|tag| terms.add(tag, weight::TAG));
        terms.add_description(record.description.as_deref().unwrap_or_default(), weight::DESCRIPTION);
        let Capabilities { resources, prompts, .. } = &record.capabilities;
        for prompt in prompts {
            terms.add(prompt.name(), weight::COMPONENT_NAME);
            terms.add(prompt.title().unwrap_or_default(), weight::COMPONENT_NAME);
            terms.add_description(prompt.description().unwrap_or_default(), weight::COMPONENT_DESCRIPTION);
        }
        for resource in resources {
            terms.add(resource.name().unwrap_or_default(), weight::COMPONENT_NAME);
            terms.add(resource.title().unwrap_or_default(), weight::COMPONENT_NAME);
            terms.add_description(resource.description().unwrap_or_default(), weight::COMPONENT_DESCRIPTION);
        }
        Self { name: String::new(), terms: terms.into_list(), vector: server_vector(record) }
    }

    /// Builds the document of a tool, whose definition contains its parameters.
    fn of_tool(server: &Record, tool: &Tool, definition: &Json) -> Self {
        let mut terms = TermsBuilder::default();
        terms.add(tool.name(), weight::NAME);
        terms.add(tool.title().unwrap_or_default(), weight::TITLE);
        terms.add_description(tool.description().unwrap_or_default(), weight::DESCRIPTION);
        let definition = definition.to_value().ok();
        let schema = definition.as_ref().and_then(|definition| definition.get("inputSchema"));
        if let Some(schema) = schema {
            terms.add_parameters(schema, MAX_PARAMETER_DEPTH, &mut { MAX_PARAMETERS });
        }
        let vector = tool_vector(server, tool, schema);
        Self { name: tool.name().to_owned(), terms: terms.into_list(), vector }
    }
}

/// Builds the documents of a server and its tools, given the tools' definitions.
pub(crate) fn documents_of<'a>(
    record: &Record,
    definitions: impl Iterator<Item = &'a Json>,
) -> Vec<Document> {
    let tools = record.capabilities.tools.iter().zip(definitions);
    let tools = tools.map(|(tool, definition)| Document::of_tool(record, tool, definition));
    [Document::of_server(record)].into_iter().chain(tools).collect()
}

/// Returns the digest of all indexed text of a server and its tools, given the tools' definitions.
pub(crate) fn digest<'a>(record: &Record, definitions: impl Iterator<Item = &'a Json>) -> Digest {
    let mut digest = DigestBuilder(Sha256::new());
    digest.0.update(version().to_le_bytes());
    digest.add(&record.name);
    digest.add_all([&record.title, &record.description].map(Option::as_deref));
    let Capabilities { tools, resources, prompts, .. } = &record.capabilities;
    let counts = [record.tags.len(), tools.len(), prompts.len(), resources.len()];
    for count in counts {
        digest.0.update((count as u64).to_le_bytes());
    }
    digest.add_all(record.tags.iter().map(|tag| Some(tag.as_str())));
    for (tool, definition) in tools.iter().zip(definitions) {
        digest.add_all([Some(tool.name()), tool.title(), tool.description(), Some(definition.as_str())]);
    }
    for prompt in prompts {
        digest.add_all([Some(prompt.name()), prompt.title(), prompt.description()]);
    }
    for resource in resources {
        digest.add_all([resource.name(), resource.title(), resource.description()]);
    }
    digest.finish()
}

struct DigestBuilder(Sha256);

impl DigestBuilder {
    fn add_all<'a>(&mut self, texts: impl IntoIterator<Item = Option<&'a str>>) {
        texts.into_iter().for_each(|text| self.add(text.unwrap_or_default()));
    }

    fn add(&mut self, text: &str) {
        self.0.update((text.len() as u64).to_le_bytes());
        self.0.update(text);
    }

    fn finish(self) -> Digest {
        let mut digest = Digest::default();
        digest.iter_mut().zip(self.0.finalize()).for_each(|(byte, hashed)| *byte = hashed);
        digest
    }
}

#[cfg(feature = "semantic")]
fn server_vector(record: &Record) -> Option<Box<[i8]>> {
    let mut embedding = EmbeddingBuilder::new();
    embedding.add(&record.name, 2.0, 12.0);
    embedding.add(record.title.as_deref().unwrap_or_default(), 1.0, 12.0);
    embedding.add(lead(record.description.as_deref()), 1.0, 20.0);
    let Capabilities { resources, prompts, .. } = &record.capabilities;
    let names = prompts.iter().map(Prompt::name).chain(resources.iter().filter_map(Resource::name));
    let names: Vec<&str> = names.take(MAX_LISTED_NAMES).collect();
    embedding.add(&names.join(" "), 1.0, 12.0);
    embedding.vector()
}

#[cfg(feature = "semantic")]
fn tool_vector(server: &Record, tool: &Tool, schema: Option<&Value>) -> Option<Box<[i8]>> {
    let mut embedding = EmbeddingBuilder::new();
    let parameters = schema.and_then(|schema| schema.get("properties")).and_then(Value::as_object);
    let names: Vec<&str> =
        parameters.into_iter().flatten().map(|(name, _)| name.as_str()).take(MAX_LISTED_NAMES).collect();
    embedding.add(&names.join(" "), 0.5, 6.0);
    embedding.add(&server.name, 1.0, 12.0);
    embedding.add(tool.name(), 2.0, 12.0);
    embedding.add(tool.title().unwrap_or_default(), 1.0, 12.0);
    embedding.add(lead(tool.description()), 1.0, 20.0);
    embedding.vector()
}

/// Returns the beginning of a description, which usually says the most.
#[cfg(feature = "semantic")]
fn lead(text: Option<&str>) -> &str {
    const CHARACTERS: usize = 300;
    let text = text.unwrap_or_default();
    text.char_indices().nth(CHARACTERS).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

#[cfg(not(feature = "semantic"))]
fn server_vector(_: &Record) -> Option<Box<[i8]>> {
    None
}

#[cfg(not(feature = "semantic"))]
fn tool_vector(_: &Record, _: &Tool, _: Option<&Value>) -> Option<Box<[i8]>> {
    None
}

/// Collects the terms of a document.
#[derive(Default)]
struct TermsBuilder(HashMap<String, TermWeight, foldhash::fast::RandomState>);

/// The weight of a term and whether it is prominent.
type TermWeight = (f32, bool);

impl TermsBuilder {
    fn add(&mut self, text: &str, weight: f32) {
        self.add_words(text, usize::MAX, |_| (weight, true));
    }

    fn add_description(&mut self, text: &str, weight: f32) {
        self.add_words(text, usize::MAX, |position| match position {
            0..LEAD_END => (weight, true),
            LEAD_END..BODY_END => (weight * BODY_FACTOR, false),
            _ => (weight * TAIL_FACTOR, false),
        });
    }

    /// Adds up to `limit` words of a text, each with the weight of its position.
    fn add_words(&mut self, text: &str, limit: usize, weight: impl Fn(usize) -> TermWeight) {
        let mut position = 0;
        each_term(text, |word, _| {
            if position < limit {
                self.add_word(word, weight(position));
            }
            position += 1;
        });
    }

    /// Adds a word. Weights of the same word combine as probabilities do, so that they never exceed 1.
    fn add_word(&mut self, word: &str, (weight, is_prominent): TermWeight) {
        let word = truncate_term(word);
        if let Some((known, known_prominent)) = self.0.get_mut(word) {
            let combined = 1.0 - (1.0 - *known) * (1.0 - weight);
            let is_only_in_parameters = weight <= weight::PARAMETER && *known <= weight::MAX_PARAMETERS;
            *known = if is_only_in_parameters { combined.min(weight::MAX_PARAMETERS) } else { combined };
            *known_prominent |= is_prominent;
        } else if self.0.len() < MAX_TERMS
            && let Entry::Vacant(new) = self.0.entry(word.to_owned())
        {
            new.insert((weight, is_prominent));
        }
    }

    /// Adds the parameters of a JSON Schema and of the objects in it.
    fn add_parameters(&mut self, schema: &Value, depth: usize, remaining: &mut usize) {
        let Some(parameters) = schema.get("properties").and_then(Value::as_object) else { return };
        for (name, parameter) in parameters {
            if *remaining == 0 {
                return;
            }
            *remaining -= 1;
            self.add_words(name, MAX_PARAMETER_WORDS, |_| (weight::PARAMETER, false));
            let description = parameter.get("description").and_then(Value::as_str).unwrap_or_default();
            self.add_words(description, MAX_PARAMETER_WORDS, |_| (weight::PARAMETER_DESCRIPTION, false));
            let values = parameter.get("enum").and_then(Value::as_array).into_iter().flatten();
            for value in values.filter_map(Value::as_str).take(MAX_LISTED_NAMES) {
                self.add_words(value, MAX_PARAMETER_WORDS, |_| (weight::ENUM_VALUE, false));
            }
            if depth > 1 {
                self.add_parameters(parameter, depth - 1, remaining);
                parameter
                    .get("items")
                    .into_iter()
                    .for_each(|items| self.add_parameters(items, depth - 1, remaining));
            }
        }
    }

    fn into_list(self) -> Vec<Term> {
        let term = |(word, (weight, is_prominent)): (String, TermWeight)| {
            let max_weight = f32::from(MAX_WEIGHT);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 127")]
            let weight = (weight * max_weight).round().clamp(1.0, max_weight) as u8;
            Term { word, weight, is_prominent }
        };
        let mut terms: Vec<Term> = self.0.into_iter().map(term).collect();
        terms.sort_unstable_by(|one, other| one.word.cmp(&other.word));
        terms
    }
}

/// Returns a word, truncated if it is too long.
pub(super) fn truncate_term(word: &str) -> &str {
    if word.len() <= MAX_TERM_BYTES {
        return word;
    }
    let end = (0..=MAX_TERM_BYTES).rev().find(|end| word.is_char_boundary(*end)).unwrap_or_default();
    word.get(..end).unwrap_or(word)
}
