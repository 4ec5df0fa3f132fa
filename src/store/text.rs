//! What full-text search finds servers and tools by, in the words of `model/words.rs`.

use crate::model::{Capabilities, Record, searchable};

/// The words of a server. Those of its tools are made once, for the tools and for the server.
pub(super) struct Text {
    /// Name, and title with description, of each tool.
    pub(super) tools: Vec<(String, String)>,
    /// The server's name and title.
    pub(super) name: String,
    /// Its tags.
    pub(super) tags: String,
    /// The names of what it offers.
    pub(super) offers: String,
    /// All other text.
    pub(super) rest: String,
}

impl Text {
    pub(super) fn of(record: &Record) -> Self {
        let Capabilities { tools, resources, prompts, .. } = &record.capabilities;
        let mut name = searchable(&record.name);
        add(&mut name, record.title.as_deref());
        let (mut tags, mut offers, mut rest) = (String::new(), String::new(), String::new());
        record.tags.iter().for_each(|tag| add(&mut tags, Some(tag)));
        add(&mut rest, record.description.as_deref());
        let mut listed = Vec::with_capacity(tools.len());
        for tool in tools {
            let name = searchable(tool.name());
            let mut text = String::new();
            add(&mut text, tool.title());
            add(&mut text, tool.description());
            offers.push_str(&name);
            rest.push_str(&text);
            listed.push((name, text));
        }
        for prompt in prompts {
            add(&mut offers, Some(prompt.name()));
            add(&mut rest, prompt.title());
            add(&mut rest, prompt.description());
        }
        for resource in resources {
            add(&mut offers, resource.name());
            add(&mut rest, resource.title());
            add(&mut rest, resource.description());
        }
        Self { tools: listed, name, tags, offers, rest }
    }
}

fn add(words: &mut String, text: Option<&str>) {
    words.push_str(&text.map(searchable).unwrap_or_default());
}
