//! The in-memory index: an inverted index of terms and the embeddings of all documents.
//!
//! It is built from stored documents and brought up to date before each search. Servers with equal text share their
//! documents. Removed documents are only marked, and reclaimed once they make up half of the index.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, Hasher as _};
use std::iter::repeat_n;
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;

use super::document::Digest;
#[cfg(feature = "semantic")]
use super::embedding;
use super::encoding::{StoredDocument, StoredTerm, decode};
use super::postings::{Posting, Postings};
use crate::model::with_stem;

type HashState = foldhash::fast::RandomState;

/// The search index.
#[derive(Default)]
pub(crate) struct Index {
    /// Words and stems in order, each with its index in `forms`.
    pub(super) terms: BTreeMap<Box<str>, u32>,
    forms: Vec<Form>,
    /// The name of each document, as an index in `name_texts`.
    pub(super) documents: Vec<u32>,
    /// The group of each document.
    pub(super) group_of: Vec<u32>,
    /// The concatenated vectors of all documents, and the norm of each; zero if a document has none.
    pub(super) vectors: Vec<i8>,
    pub(super) norms: Vec<f32>,
    names: HashMap<Arc<str>, u32, HashState>,
    pub(super) name_texts: Vec<Arc<str>>,
    /// The hash of the [`letters`] of each name: a search compares all of them, and reading every name would take longer
    /// than the rest of the search.
    name_hashes: Vec<u32>,
    pub(super) groups: Vec<DocumentGroup>,
    by_digest: HashMap<Digest, u32, HashState>,
    /// The document group of each server.
    pub(super) servers: BTreeMap<i64, u32>,
    /// The number of documents that no server uses any more.
    unused_documents: usize,
}

/// A word form and the documents that contain it. The forms of a stem are a linked list that begins with the stem itself;
/// the stem has no postings unless it also occurs as a word.
#[derive(Debug)]
struct Form {
    postings: Postings,
    stem: u32,
    next: Option<NonZeroU32>,
}

/// The consecutive documents of a server and its tools, shared by all servers with the same text.
#[derive(Debug)]
pub(super) struct DocumentGroup {
    digest: Digest,
    /// The document of the server itself.
    pub(super) server: u32,
    end: u32,
    uses: u32,
}

impl DocumentGroup {
    /// Returns the documents of the tools.
    pub(super) fn tools(&self) -> Range<u32> {
        self.server + 1..self.end
    }

    /// Returns whether a server uses the group.
    pub(super) fn is_used(&self) -> bool {
        self.uses > 0
    }

    fn documents(&self) -> usize {
        (self.server..self.end).len()
    }
}

/// With fewer unused documents, the index is not compacted.
const MIN_UNUSED_TO_COMPACT: usize = 1_000;

impl Index {
    /// Returns whether the index contains the documents of a text, in use or not.
    pub(crate) fn contains(&self, digest: &Digest) -> bool {
        self.by_digest.contains_key(digest)
    }

    /// Returns whether a server uses the documents of a text.
    pub(crate) fn is_in_use(&self, digest: &Digest) -> bool {
        let group = self.by_digest.get(digest).and_then(|number| self.groups.get(*number as usize));
        group.is_some_and(DocumentGroup::is_used)
    }

    /// Returns the indexed servers.
    pub(crate) fn servers(&self) -> impl Iterator<Item = i64> {
        self.servers.keys().copied()
    }

    /// Adds or replaces a server. Its stored documents are needed unless the index [contains](Self::contains) them.
    /// Returns whether the server was added, which fails if the documents cannot be decoded.
    pub(crate) fn put(&mut self, server: i64, digest: Digest, documents: Option<&[u8]>) -> bool {
        let known = self.by_digest.get(&digest).copied();
        let new = || decode(documents.unwrap_or_default());
        let Some(group) = known.or_else(|| Some(self.add_group(digest, &new()?))) else { return false };
        if let Some(group) = self.groups.get_mut(group as usize) {
            self.unused_documents -= if group.uses == 0 { group.documents() } else { 0 };
            group.uses += 1;
        }
        if let Some(previous) = self.servers.insert(server, group) {
            self.release(previous);
        }
        true
    }

    /// Removes a server.
    pub(crate) fn remove(&mut self, server: i64) {
        if let Some(group) = self.servers.remove(&server) {
            self.release(group);
        }
    }

    /// Adds documents that no server uses yet.
    fn add_group(&mut self, digest: Digest, documents: &[StoredDocument<'_>]) -> u32 {
        let next = |documents: &[u32]| u32::try_from(documents.len()).unwrap_or(u32::MAX);
        let server = next(&self.documents);
        for document in documents {
            self.add_document(document);
        }
        let end = next(&self.documents);
        self.unused_documents += documents.len();
        let group = u32::try_from(self.groups.len()).unwrap_or(u32::MAX);
        self.group_of.resize(self.documents.len(), group);
        self.groups.push(DocumentGroup { digest, server, end, uses: 0 });
        self.by_digest.insert(digest, group);
        group
    }

    fn add_document(&mut self, document: &StoredDocument<'_>) {
        let number = u32::try_from(self.documents.len()).unwrap_or(u32::MAX);
        let name = self.name(document.name.into());
        self.documents.push(name);
        for StoredTerm { word, weight, is_prominent } in &document.terms {
            let form = self.form(word);
            if let Some(form) = self.forms.get_mut(form as usize) {
                form.postings.push(Posting {
                    document: number,
                    weight: *weight,
                    is_prominent: *is_prominent,
                });
            }
        }
        self.add_vector(document.vector);
    }

    #[cfg(feature = "semantic")]
    fn add_vector(&mut self, vector: Option<&[u8]>) {
        let zeros = vec![0; embedding::dimensions()];
        let start = self.vectors.len();
        self.vectors.extend(vector.unwrap_or(&zeros).iter().map(|component| component.cast_signed()));
        let norm = self.vectors.get(start..).map_or(0.0, embedding::norm);
        self.norms.push(norm);
    }

    #[cfg(not(feature = "semantic"))]
    fn add_vector(&mut self, _: Option<&[u8]>) {
        self.norms.push(0.0);
    }

    fn name(&mut self, name: Arc<str>) -> u32 {
        let next = u32::try_from(self.name_texts.len()).unwrap_or(u32::MAX);
        let hash = hash_of_letters(self.names.hasher(), &name);
        *self.names.entry(name).or_insert_with_key(|name| {
            self.name_texts.push(Arc::clone(name));
            self.name_hashes.push(hash);
            next
        })
    }

    /// Returns for each name, in order, whether it probably has the same [`letters`] as a text: their hashes are equal.
    pub(super) fn may_have_letters(&self, text: &str) -> impl Iterator<Item = bool> {
        let hash = hash_of_letters(self.names.hasher(), text);
        self.name_hashes.iter().map(move |name| *name == hash)
    }

    /// Returns the form of a word, which is added if it is new.
    fn form(&mut self, word: &str) -> u32 {
        if let Some(form) = self.terms.get(word) {
            return *form;
        }
        with_stem(word, |stem| {
            let first = self.terms.get(stem).copied().unwrap_or_else(|| self.add_form(stem, None));
            if stem == word { first } else { self.add_form(word, Some(self.stem_of(first))) }
        })
    }

    fn add_form(&mut self, word: &str, stem: Option<u32>) -> u32 {
        let number = u32::try_from(self.forms.len()).unwrap_or(u32::MAX);
        let first = stem.and_then(|stem| self.forms.get_mut(stem as usize));
        let next = first.and_then(|first| std::mem::replace(&mut first.next, NonZeroU32::new(number)));
        self.forms.push(Form { postings: Postings::default(), stem: stem.unwrap_or(number), next });
        self.terms.insert(word.into(), number);
        number
    }

    /// Returns the stem of a form.
    pub(super) fn stem_of(&self, form: u32) -> u32 {
        self.forms.get(form as usize).map_or(form, |form| form.stem)
    }

    /// Returns the forms of a stem and the documents that contain each.
    pub(super) fn forms_of(&self, stem: u32) -> impl Iterator<Item = (u32, &Postings)> {
        std::iter::successors(Some(stem), |form| Some(self.forms.get(*form as usize)?.next?.get()))
            .filter_map(|form| Some((form, &self.forms.get(form as usize)?.postings)))
    }

    fn release(&mut self, group: u32) {
        if let Some(group) = self.groups.get_mut(group as usize) {
            group.uses -= 1;
            self.unused_documents += if group.uses == 0 { group.documents() } else { 0 };
        }
    }

    /// Releases unused capacity after many additions.
    pub(crate) fn shrink(&mut self) {
        self.forms.iter_mut().for_each(|form| form.postings.shrink());
        self.forms.shrink_to_fit();
        self.vectors.shrink_to_fit();
        self.norms.shrink_to_fit();
        self.documents.shrink_to_fit();
        self.group_of.shrink_to_fit();
    }

    /// Removes unused documents and renumbers the rest, if there are many.
    pub(crate) fn compact(&mut self) {
        if self.unused_documents <= MIN_UNUSED_TO_COMPACT || self.unused_documents * 2 <= self.documents.len()
        {
            return;
        }
        let mut is_kept = vec![false; self.documents.len()];
        for group in self.groups.iter().filter(|group| group.is_used()) {
            if let Some(is_kept) = is_kept.get_mut(group.server as usize..group.end as usize) {
                is_kept.fill(true);
            }
        }
        let numbers = renumbered(is_kept.iter().copied());
        let new_document = |number: u32| numbers.get(number as usize).copied().flatten();
        let dimensions = self.vectors.len() / self.documents.len().max(1);
        if dimensions > 0 {
            let kept = self.vectors.chunks(dimensions).zip(&is_kept).filter(|(_, is_kept)| **is_kept);
            self.vectors = kept.flat_map(|(vector, _)| vector).copied().collect();
        }
        let mut kept = is_kept.iter();
        self.norms.retain(|_| kept.next().is_some_and(|is_kept| *is_kept));
        let mut kept = is_kept.iter();
        self.documents.retain(|_| kept.next().is_some_and(|is_kept| *is_kept));
        let groups = renumbered(self.groups.iter().map(DocumentGroup::is_used));
        let new_group = |group: u32| groups.get(group as usize).copied().flatten();
        self.groups.retain(DocumentGroup::is_used);
        for group in &mut self.groups {
            let server = new_document(group.server).unwrap_or_default();
            (group.server, group.end) = (server, group.end - group.server + server);
        }
        self.servers.values_mut().for_each(|group| *group = new_group(*group).unwrap_or_default());
        self.group_of =
            (0..).zip(&self.groups).flat_map(|(number, group)| repeat_n(number, group.documents())).collect();
        self.by_digest = (0..).zip(&self.groups).map(|(number, group)| (group.digest, number)).collect();
        self.compact_forms(new_document);
        self.documents.shrink_to_fit();
        self.norms.shrink_to_fit();
        self.compact_names();
        self.unused_documents = 0;
    }

    /// Renumbers the documents of each form and removes words that no document contains any more.
    fn compact_forms(&mut self, new_document: impl Fn(u32) -> Option<u32>) {
        let old = std::mem::take(&mut self.forms);
        for (word, form) in std::mem::take(&mut self.terms) {
            let Some(Form { postings, .. }) = old.get(form as usize) else { continue };
            let mut kept = Postings::default();
            postings.each(|posting| {
                if let Some(document) = new_document(posting.document) {
                    kept.push(Posting { document, ..posting });
                }
            });
            kept.shrink();
            if kept.len() > 0 {
                let form = self.form(&word);
                if let Some(form) = self.forms.get_mut(form as usize) {
                    form.postings = kept;
                }
            }
        }
    }

    fn compact_names(&mut self) {
        let old = std::mem::take(&mut self.name_texts);
        self.name_hashes.clear();
        self.names.clear();
        let mut documents = std::mem::take(&mut self.documents);
        for document in &mut documents {
            *document =
                old.get(*document as usize).map(|name| self.name(Arc::clone(name))).unwrap_or_default();
        }
        self.documents = documents;
    }
}

/// Returns the letters and digits of a text in lower case, which are the same for `readFile` and `read_file`.
pub(super) fn letters(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(|character| character.is_alphanumeric()).flat_map(char::to_lowercase)
}

fn hash_of_letters(state: &HashState, text: &str) -> u32 {
    let mut hash = state.build_hasher();
    letters(text).for_each(|letter| hash.write_u32(letter.into()));
    u32::try_from(hash.finish() >> 32).unwrap_or_default()
}

/// Returns new consecutive numbers for the items that are kept.
fn renumbered(is_kept: impl Iterator<Item = bool>) -> Vec<Option<u32>> {
    let mut next = 0;
    let number = |is_kept: bool| {
        is_kept.then(|| {
            next += 1;
            next - 1
        })
    };
    is_kept.map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Match, Registration, SearchText, Tool};
    use crate::search::{PageBounds, Query, Ranking, digest, documents_of, encode};

    fn put(index: &mut Index, number: i64) {
        let words = ["read", "write", "list", "search", "delete"];
        let word = |index: i64| words[usize::try_from(index).unwrap() % words.len()];
        let description = format!("Will {} the {} of number {}", word(number / 7), word(number), number % 11);
        let tool = serde_json::json!({"name": format!("tool_{}", number % 900), "description": description});
        let registration =
            Registration::stdio(format!("server {}", number % 1_500), ["x"]).id(number.to_string());
        let registration = registration.tool(Tool::from_json(tool).unwrap());
        let (record, _) = registration.validate().unwrap().into_record();
        let definitions = || record.capabilities.tools.iter().map(Tool::definition);
        let documents = encode(&documents_of(&record, definitions()));
        index.put(number, digest(&record, definitions()), Some(&documents));
    }

    #[test]
    fn a_compacted_index_equals_one_that_never_contained_the_removed_servers() {
        let (mut index, mut fresh) = (Index::default(), Index::default());
        for number in 0..3_000 {
            put(&mut index, number);
        }
        for number in 0..3_000 {
            // Some are added again with the same number.
            if number % 5 == 0 {
                put(&mut index, number);
            }
            if number % 4 == 0 {
                put(&mut fresh, number);
            } else {
                index.remove(number);
            }
        }
        let before = index.documents.len();
        index.compact();
        index.shrink();
        assert!(index.documents.len() < before / 2, "{} of {before}", index.documents.len());
        assert_eq!(index.documents.len(), fresh.documents.len());
        assert_eq!((index.terms.len(), index.name_texts.len()), (fresh.terms.len(), fresh.name_texts.len()));
        for text in ["read", "delete the number 7", "tool_40", "server 12", "look something up", "wri"] {
            let query = Query::new(&SearchText::new(text.to_owned()));
            let all = PageBounds { after: None, limit: usize::MAX };
            for matching in [Match::Any, Match::All] {
                let (index, fresh) =
                    (Ranking::new(&index, &query, matching), Ranking::new(&fresh, &query, matching));
                assert_eq!(index.tools(|_| true, None, &all), fresh.tools(|_| true, None, &all), "{text}");
                let all = PageBounds { after: None, limit: usize::MAX };
                assert_eq!(
                    index.servers(|number| number > 99, &all),
                    fresh.servers(|number| number > 99, &all)
                );
            }
        }
    }
}
