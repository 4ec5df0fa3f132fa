//! Invalidation of cached responses by key.
//!
//! Each query depends on a few *keys*, such as a tool name, a tag or an id. A change invalidates all keys of its server, as
//! it was before and after. A response is valid as long as one of its keys has not been invalidated since: a server matches
//! a filter only if it matches every part of it, so a relevant change invalidates every key.
//!
//! Keys are hashed into a fixed number of slots, and each slot contains the version of its last invalidation. Two keys in
//! one slot may cost a needless query, but never cause a wrong response, and the work of the writer does not grow with the
//! number of cached responses.

use std::hash::BuildHasher;

use crate::model::{Filter, FilterField, Record};

const SLOT_COUNT: usize = 1 << 16;

/// The slot of a key.
pub(in crate::store) type Slot = u16;

/// The versions at which keys were last invalidated.
#[derive(Debug)]
pub(in crate::store) struct InvalidationTable {
    slots: Box<[u64]>,
    version: u64,
    floor: u64,
    hasher: foldhash::quality::RandomState,
}

impl Default for InvalidationTable {
    fn default() -> Self {
        let slots = vec![0; SLOT_COUNT].into_boxed_slice();
        Self { slots, version: 0, floor: 0, hasher: foldhash::quality::RandomState::default() }
    }
}

/// The key that every change invalidates.
const ANY_KEY: (u8, &str, &str) = (0, "", "");

impl InvalidationTable {
    fn slot(&self, key: (u8, &str, &str)) -> Slot {
        // The hash is truncated to the number of slots on purpose.
        Slot::try_from(self.hasher.hash_one(key) & (SLOT_COUNT as u64 - 1)).unwrap_or_default()
    }

    /// Returns the version of a response that is created now.
    pub(in crate::store) fn version(&self) -> u64 {
        self.version
    }

    /// Returns whether a response of this version is valid: one of its keys has not been invalidated since.
    pub(in crate::store) fn is_valid(&self, version: u64, keys: &[Slot]) -> bool {
        version >= self.floor
            && keys.iter().any(|slot| {
                self.slots.get(usize::from(*slot)).is_some_and(|invalidated_at| *invalidated_at <= version)
            })
    }

    /// Invalidates these keys.
    pub(in crate::store) fn invalidate(&mut self, keys: &[Slot]) {
        self.version += 1;
        for slot in keys {
            if let Some(invalidated_at) = self.slots.get_mut(usize::from(*slot)) {
                *invalidated_at = self.version;
            }
        }
    }

    /// Invalidates all keys.
    pub(in crate::store) fn invalidate_all(&mut self) {
        self.version += 1;
        self.floor = self.version;
    }

    /// Returns the keys of a filter. A ranking depends on every registered server.
    pub(in crate::store) fn keys_of_filter(&self, filter: &Filter) -> Vec<Slot> {
        if filter.search.is_some() || (filter.fields.is_empty() && filter.metadata.is_empty()) {
            return self.any_key();
        }
        let fields = filter.fields.iter().map(|(field, text)| match field {
            // Which resources serve a URI is not looked up here: all of them count as one.
            FilterField::Resource => key(FilterField::Resource, ""),
            field => key(*field, text),
        });
        let metadata = filter.metadata.iter().map(|(key, value)| (2, key.as_str(), value.as_str()));
        fields.chain(metadata).map(|key| self.slot(key)).collect()
    }

    pub(in crate::store) fn keys_of_id(&self, id: &str) -> Vec<Slot> {
        vec![self.slot((1, id, ""))]
    }

    pub(in crate::store) fn any_key(&self) -> Vec<Slot> {
        vec![self.slot(ANY_KEY)]
    }

    /// Returns all keys of a server.
    pub(in crate::store) fn keys_of_record(&self, record: &Record) -> Vec<Slot> {
        let fields = FilterField::ALL.into_iter().flat_map(|field| {
            let values: Vec<&str> = match field {
                FilterField::Resource => vec![""],
                // The names of the lists are always included: an edit may have changed only the lists.
                FilterField::Capability => {
                    let flags = record.capabilities.flags.iter().map(|(name, _)| name);
                    ["tools", "resources", "prompts"].into_iter().chain(flags).collect()
                }
                field => field.values(record).collect(),
            };
            values.into_iter().map(move |value| key(field, value))
        });
        let metadata = record.metadata.iter().map(|(key, value)| (2, key.as_str(), value.as_str()));
        let keys = [(1, record.id.as_str(), ""), ANY_KEY].into_iter().chain(fields).chain(metadata);
        keys.map(|key| self.slot(key)).collect()
    }
}

fn key(field: FilterField, text: &str) -> (u8, &str, &str) {
    (3 + field as u8, text, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_valid_until_all_its_keys_are_invalidated() {
        let mut table = InvalidationTable::default();
        let keys = table.keys_of_filter(&Filter::new().tool("a").tag("t"));
        let [tool, tag] = keys[..] else { panic!("{keys:?}") };
        let version = table.version();
        table.invalidate(&[tag]);
        assert!(table.is_valid(version, &keys), "another server with this tag");
        table.invalidate(&[tool]);
        assert!(!table.is_valid(version, &keys));
        assert!(table.is_valid(table.version(), &keys));
        table.invalidate_all();
        assert!(!table.is_valid(version + 2, &keys));
    }
}
