//! What a server or a tool is found by: its words, each with a weight, and a vector for its meaning.
//!
//! Documents are made when a server registers, outside of the writer's turn, and stored: a restart reads them and makes
//! none anew.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

#[cfg(feature = "semantic")]
use super::embedding::{self, Embedding};
use crate::model::{Capabilities, Record, Tool, each_term};
#[cfg(feature = "semantic")]
use crate::model::{Prompt, Resource};

/// Identifies the text that documents were made from. Equal texts have the same documents.
pub(crate) type Digest = [u8; 16];

/// See the [module](self).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Document {
    /// The name of the tool; empty for a server.
    pub(super) name: String,
    pub(super) terms: Vec<Term>,
    pub(super) vector: Option<Box<[i8]>>,
}

/// A word of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Term {
    /// The word in lower case.
    pub(super) word: String,
    /// How much it says about the document, 1–127.
    pub(super) weight: u8,
    /// Whether it stands in a name, a title, a tag or the beginning of a description.
    pub(super) is_prominent: bool,
}

/// The largest weight.
pub(super) const HEAVIEST: u8 = 127;

/// The version of what is stored: of the words here and of the table of vectors.
pub(crate) fn version() -> i64 {
    /// Counts up with each change of this file and of `words.rs` that makes other documents of the same text.
    const WORDS: i64 = 2;
    #[cfg(feature = "semantic")]
    let vectors = i64::from(embedding::version());
    #[cfg(not(feature = "semantic"))]
    let vectors = 0;
    WORDS * 1_000 + vectors
}

/// How much a word says by where it stands.
mod weight {
    pub(super) const NAME: f32 = 1.0;
    pub(super) const TITLE: f32 = 0.8;
    pub(super) const TAG: f32 = 0.8;
    pub(super) const DESCRIPTION: f32 = 0.5;
    pub(super) const OFFERED_NAME: f32 = 0.6;
    pub(super) const OFFERED_TEXT: f32 = 0.3;
    pub(super) const PARAMETER: f32 = 0.2;
    pub(super) const VALUE: f32 = 0.12;
    pub(super) const PARAMETER_TEXT: f32 = 0.08;
    /// What all parameters together say of a word at most: less than a description that has it.
    pub(super) const PARAMETERS: f32 = 0.3;
}

/// The words at the beginning of a description count in full, those behind them less, and more than those of parameters.
const BEGINNING: usize = 20;
const MIDDLE: usize = 80;
const OF_MIDDLE: f32 = 0.8;
const OF_END: f32 = 0.7;

/// What a word of a tool's description weighs at least, as far as it is rounded.
pub(super) const LEAST_OF_DESCRIPTION: f32 = weight::DESCRIPTION * OF_END - 0.01;

/// What is read of a tool's parameters: real schemas have up to 82 KB.
const PARAMETERS: usize = 60;
const PARAMETER_DEPTH: usize = 3;
const PARAMETER_WORDS: usize = 15;
const VALUES: usize = 20;

/// Longer words are cut, and so are texts with more different words.
const WORD_BYTES: usize = 64;
const WORDS: usize = 1_000;

impl Document {
    /// The document of a server: all but its tools.
    fn of_server(record: &Record) -> Self {
        let mut terms = Terms::default();
        terms.add(&record.name, weight::NAME);
        terms.add(record.title.as_deref().unwrap_or_default(), weight::TITLE);
        record.tags.iter().for_each(|tag| terms.add(tag, weight::TAG));
        terms.add_description(record.description.as_deref().unwrap_or_default(), weight::DESCRIPTION);
        let Capabilities { resources, prompts, .. } = &record.capabilities;
        for prompt in prompts {
            terms.add(prompt.name(), weight::OFFERED_NAME);
            terms.add(prompt.title().unwrap_or_default(), weight::OFFERED_NAME);
            terms.add_description(prompt.description().unwrap_or_default(), weight::OFFERED_TEXT);
        }
        for resource in resources {
            terms.add(resource.name().unwrap_or_default(), weight::OFFERED_NAME);
            terms.add(resource.title().unwrap_or_default(), weight::OFFERED_NAME);
            terms.add_description(resource.description().unwrap_or_default(), weight::OFFERED_TEXT);
        }
        Self { name: String::new(), terms: terms.into_list(), vector: server_vector(record) }
    }

    /// The document of a tool, whose definition has its parameters.
    fn of_tool(server: &Record, tool: &Tool, definition: Option<&str>) -> Self {
        let mut terms = Terms::default();
        terms.add(tool.name(), weight::NAME);
        terms.add(tool.title().unwrap_or_default(), weight::TITLE);
        terms.add_description(tool.description().unwrap_or_default(), weight::DESCRIPTION);
        let definition = definition.and_then(|text| serde_json::from_str::<Value>(text).ok());
        let schema = definition.as_ref().and_then(|definition| definition.get("inputSchema"));
        if let Some(schema) = schema {
            terms.add_parameters(schema, PARAMETER_DEPTH, &mut { PARAMETERS });
        }
        let vector = tool_vector(server, tool, schema);
        Self { name: tool.name().to_owned(), terms: terms.into_list(), vector }
    }
}

/// The documents of a server, given its tools' definitions.
pub(crate) fn documents_of<'a>(
    record: &Record,
    definitions: impl Iterator<Item = Option<&'a str>>,
) -> Vec<Document> {
    let tools = record.capabilities.tools.iter().zip(definitions);
    let tools = tools.map(|(tool, definition)| Document::of_tool(record, tool, definition));
    [Document::of_server(record)].into_iter().chain(tools).collect()
}

/// The digest of all that a server and its tools are found by, given the tools' definitions.
pub(crate) fn digest<'a>(record: &Record, definitions: impl Iterator<Item = Option<&'a str>>) -> Digest {
    let mut hash = Hash(Sha256::new());
    hash.0.update(version().to_le_bytes());
    hash.add(&record.name);
    hash.add_all([&record.title, &record.description].map(Option::as_deref));
    let Capabilities { tools, resources, prompts, .. } = &record.capabilities;
    let counts = [record.tags.len(), tools.len(), prompts.len(), resources.len()];
    for count in counts {
        hash.0.update((count as u64).to_le_bytes());
    }
    hash.add_all(record.tags.iter().map(|tag| Some(tag.as_str())));
    for (tool, definition) in tools.iter().zip(definitions) {
        hash.add_all([Some(tool.name()), tool.title(), tool.description(), definition]);
    }
    for prompt in prompts {
        hash.add_all([Some(prompt.name()), prompt.title(), prompt.description()]);
    }
    for resource in resources {
        hash.add_all([resource.name(), resource.title(), resource.description()]);
    }
    hash.finish()
}

struct Hash(Sha256);

impl Hash {
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
    let mut embedding = Embedding::new();
    embedding.add(&record.name, 2.0, 12.0);
    embedding.add(record.title.as_deref().unwrap_or_default(), 1.0, 12.0);
    embedding.add(beginning(record.description.as_deref()), 1.0, 20.0);
    let Capabilities { resources, prompts, .. } = &record.capabilities;
    let names = prompts.iter().map(Prompt::name).chain(resources.iter().filter_map(Resource::name));
    let names: Vec<&str> = names.take(VALUES).collect();
    embedding.add(&names.join(" "), 1.0, 12.0);
    embedding.vector()
}

#[cfg(feature = "semantic")]
fn tool_vector(server: &Record, tool: &Tool, schema: Option<&Value>) -> Option<Box<[i8]>> {
    let mut embedding = Embedding::new();
    let parameters = schema.and_then(|schema| schema.get("properties")).and_then(Value::as_object);
    let names: Vec<&str> =
        parameters.into_iter().flatten().map(|(name, _)| name.as_str()).take(VALUES).collect();
    embedding.add(&names.join(" "), 0.5, 6.0);
    embedding.add(&server.name, 1.0, 12.0);
    embedding.add(tool.name(), 2.0, 12.0);
    embedding.add(tool.title().unwrap_or_default(), 1.0, 12.0);
    embedding.add(beginning(tool.description()), 1.0, 20.0);
    embedding.vector()
}

/// What a description says first says most.
#[cfg(feature = "semantic")]
fn beginning(text: Option<&str>) -> &str {
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

/// The words of a document in the making.
#[derive(Default)]
struct Terms(HashMap<String, Weighed, foldhash::fast::RandomState>);

/// How much a word says, and whether it is prominent.
type Weighed = (f32, bool);

impl Terms {
    fn add(&mut self, text: &str, weight: f32) {
        self.add_words(text, usize::MAX, |_| (weight, true));
    }

    fn add_description(&mut self, text: &str, weight: f32) {
        self.add_words(text, usize::MAX, |place| match place {
            0..BEGINNING => (weight, true),
            BEGINNING..MIDDLE => (weight * OF_MIDDLE, false),
            _ => (weight * OF_END, false),
        });
    }

    /// Adds so many words of a text, each with the weight of its place and whether it is prominent there.
    fn add_words(&mut self, text: &str, most: usize, weight: impl Fn(usize) -> Weighed) {
        let mut place = 0;
        each_term(text, |word, _| {
            if place < most {
                self.add_word(word, weight(place));
            }
            place += 1;
        });
    }

    /// A word in two places says more than in one, and never more than all.
    fn add_word(&mut self, word: &str, (weight, is_prominent): Weighed) {
        let word = cut(word);
        if let Some((known, known_prominent)) = self.0.get_mut(word) {
            let both = 1.0 - (1.0 - *known) * (1.0 - weight);
            let is_of_parameters = weight <= weight::PARAMETER && *known <= weight::PARAMETERS;
            *known = if is_of_parameters { both.min(weight::PARAMETERS) } else { both };
            *known_prominent |= is_prominent;
        } else if self.0.len() < WORDS
            && let Entry::Vacant(new) = self.0.entry(word.to_owned())
        {
            new.insert((weight, is_prominent));
        }
    }

    /// The parameters of a JSON Schema and of the objects in it.
    fn add_parameters(&mut self, schema: &Value, depth: usize, left: &mut usize) {
        let Some(parameters) = schema.get("properties").and_then(Value::as_object) else { return };
        for (name, parameter) in parameters {
            if *left == 0 {
                return;
            }
            *left -= 1;
            self.add_words(name, PARAMETER_WORDS, |_| (weight::PARAMETER, false));
            let description = parameter.get("description").and_then(Value::as_str).unwrap_or_default();
            self.add_words(description, PARAMETER_WORDS, |_| (weight::PARAMETER_TEXT, false));
            let values = parameter.get("enum").and_then(Value::as_array).into_iter().flatten();
            for value in values.filter_map(Value::as_str).take(VALUES) {
                self.add_words(value, PARAMETER_WORDS, |_| (weight::VALUE, false));
            }
            if depth > 1 {
                self.add_parameters(parameter, depth - 1, left);
                parameter
                    .get("items")
                    .into_iter()
                    .for_each(|items| self.add_parameters(items, depth - 1, left));
            }
        }
    }

    fn into_list(self) -> Vec<Term> {
        let term = |(word, (weight, is_prominent)): (String, Weighed)| {
            let heaviest = f32::from(HEAVIEST);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 127")]
            let weight = (weight * heaviest).round().clamp(1.0, heaviest) as u8;
            Term { word, weight, is_prominent }
        };
        let mut terms: Vec<Term> = self.0.into_iter().map(term).collect();
        terms.sort_unstable_by(|one, other| one.word.cmp(&other.word));
        terms
    }
}

/// The beginning of a word that is too long.
pub(super) fn cut(word: &str) -> &str {
    if word.len() <= WORD_BYTES {
        return word;
    }
    let end = (0..=WORD_BYTES).rev().find(|end| word.is_char_boundary(*end)).unwrap_or_default();
    word.get(..end).unwrap_or(word)
}
