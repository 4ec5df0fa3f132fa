//! What a change of the catalogue can have changed in answers.
//!
//! Each question depends on a few *keys*: the tool that it asks for, the tag, the id. A change touches all keys of the
//! server that it is about, before and after. An answer holds as long as one of its keys is untouched since it was
//! made: what matches a filter matches each part of it, so a change that matters to it has touched every part.
//!
//! Keys are hashed into a fixed number of slots, and a slot holds the version of its last touch. Two keys that share a
//! slot cost an answer made once more, never a wrong one; and the writer's work does not grow with the number of
//! answers.

use std::hash::BuildHasher;

use crate::model::{Filter, Record, Term};

const SLOTS: usize = 1 << 16;

/// Where a key is noted.
pub(in crate::store) type Slot = u16;

/// The versions at which keys were last touched.
#[derive(Debug)]
pub(in crate::store) struct Touched {
    slots: Box<[u64]>,
    version: u64,
    floor: u64,
    hasher: foldhash::quality::RandomState,
}

impl Default for Touched {
    fn default() -> Self {
        let slots = vec![0; SLOTS].into_boxed_slice();
        Self { slots, version: 0, floor: 0, hasher: foldhash::quality::RandomState::default() }
    }
}

/// What every change touches.
const ANY: (u8, &str, &str) = (0, "", "");

impl Touched {
    fn slot(&self, key: (u8, &str, &str)) -> Slot {
        // The hash is cut to the number of slots on purpose.
        Slot::try_from(self.hasher.hash_one(key) & (SLOTS as u64 - 1)).unwrap_or_default()
    }

    /// The version that an answer made now must name.
    pub(in crate::store) fn version(&self) -> u64 {
        self.version
    }

    /// Whether an answer of that version is still right: one of its keys is untouched.
    pub(in crate::store) fn holds(&self, version: u64, keys: &[Slot]) -> bool {
        version >= self.floor
            && keys
                .iter()
                .any(|slot| self.slots.get(usize::from(*slot)).is_some_and(|touched| *touched <= version))
    }

    /// Notes that these keys were touched.
    pub(in crate::store) fn touch(&mut self, keys: &[Slot]) {
        self.version += 1;
        for slot in keys {
            if let Some(touched) = self.slots.get_mut(usize::from(*slot)) {
                *touched = self.version;
            }
        }
    }

    /// Notes that anything may have changed.
    pub(in crate::store) fn touch_all(&mut self) {
        self.version += 1;
        self.floor = self.version;
    }

    /// The keys of a filter. A ranking depends on everything that is registered.
    pub(in crate::store) fn of_filter(&self, filter: &Filter) -> Vec<Slot> {
        if filter.words.is_some() || (filter.terms.is_empty() && filter.metadata.is_empty()) {
            return self.of_anything();
        }
        let terms = filter.terms.iter().map(|(term, text)| match term {
            Term::Resource => key(Term::Resource, ""),
            term => key(*term, text),
        });
        let metadata = filter.metadata.iter().map(|(key, value)| (2, key.as_str(), value.as_str()));
        terms.chain(metadata).map(|key| self.slot(key)).collect()
    }

    pub(in crate::store) fn of_id(&self, id: &str) -> Vec<Slot> {
        vec![self.slot((1, id, ""))]
    }

    pub(in crate::store) fn of_anything(&self) -> Vec<Slot> {
        vec![self.slot(ANY)]
    }

    /// All keys of a server.
    pub(in crate::store) fn of_record(&self, record: &Record) -> Vec<Slot> {
        let capabilities = &record.capabilities;
        let single = [
            (1, record.id.as_str(), ""),
            ANY,
            key(Term::Name, &record.name),
            key(Term::Transport, record.transport.kind().as_str()),
            key(Term::Version, record.version.as_deref().unwrap_or_default()),
            key(Term::Owner, record.owner.as_deref().unwrap_or_default()),
            key(Term::Resource, ""),
        ];
        let tools = capabilities.tools.iter().map(|tool| key(Term::Tool, tool.name()));
        let prompts = capabilities.prompts.iter().map(|prompt| key(Term::Prompt, prompt.name()));
        // Those that stand for lists in any case: somebody may have edited the lists and not what stands for them.
        let lists = ["tools", "resources", "prompts"].into_iter();
        let named = lists.chain(capabilities.flags.iter().map(|(name, _)| name));
        let named = named.map(|name| key(Term::Capability, name));
        let tags = record.tags.iter().map(|tag| key(Term::Tag, tag));
        let metadata = record.metadata.iter().map(|(key, value)| (2, key.as_str(), value.as_str()));
        let keys = single.into_iter().chain(tools).chain(prompts).chain(named).chain(tags).chain(metadata);
        keys.map(|key| self.slot(key)).collect()
    }
}

fn key(term: Term, text: &str) -> (u8, &str, &str) {
    (3 + term as u8, text, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_holds_until_all_its_keys_are_touched() {
        let mut touched = Touched::default();
        let tagged = touched.of_filter(&Filter::new().tool("a").tag("t"));
        let [tool, tag] = tagged[..] else { panic!("{tagged:?}") };
        let version = touched.version();
        touched.touch(&[tag]);
        assert!(touched.holds(version, &tagged), "another server with this tag");
        touched.touch(&[tool]);
        assert!(!touched.holds(version, &tagged));
        assert!(touched.holds(touched.version(), &tagged));
        touched.touch_all();
        assert!(!touched.holds(version + 2, &tagged));
    }
}
