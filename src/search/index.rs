//! The index in memory: which documents hold a word, and what each means.
//!
//! It is made from documents that are stored, and brought up to date before it is asked. What servers of equal text are found
//! by is held once. What leaves is only marked, and taken out when half of the index has left.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, Hasher as _};
use std::iter::repeat_n;
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;

use super::document::Digest;
#[cfg(feature = "semantic")]
use super::embedding;
use super::encoding::{Stored, StoredWord, decode};
use super::postings::{Posting, Postings};
use crate::model::with_stem;

type State = foldhash::fast::RandomState;

/// See the [module](self).
#[derive(Default)]
pub(crate) struct Index {
    /// Words and stems in order, each with its number in `forms`.
    pub(super) terms: BTreeMap<Box<str>, u32>,
    forms: Vec<Form>,
    /// The name of each document, by its number in `name_texts`.
    pub(super) documents: Vec<u32>,
    /// The text of each document.
    pub(super) texts_of: Vec<u32>,
    /// The vectors of all documents, one behind the other, and the length of each; zero if it has none.
    pub(super) vectors: Vec<i8>,
    pub(super) lengths: Vec<f32>,
    names: HashMap<Arc<str>, u32, State>,
    pub(super) name_texts: Vec<Arc<str>>,
    /// Of each name the hash of its [`letters`]: a search compares them all, and reading every name would take longer than
    /// anything else that it does.
    name_hashes: Vec<u32>,
    pub(super) texts: Vec<Text>,
    by_digest: HashMap<Digest, u32, State>,
    /// The text of each server.
    pub(super) servers: BTreeMap<i64, u32>,
    /// How many documents nobody has any more.
    left: usize,
}

/// A word, and the documents that hold it as it is. Words of one stem are forms of it: the stem is the first of them, held by
/// no document unless it is a word itself, and each knows the next one.
#[derive(Debug)]
struct Form {
    postings: Postings,
    stem: u32,
    next: Option<NonZeroU32>,
}

/// The documents of a text, one behind the other: the server's own, and those of its tools. Nobody has it when it has no uses.
#[derive(Debug)]
pub(super) struct Text {
    digest: Digest,
    pub(super) own: u32,
    end: u32,
    uses: u32,
}

impl Text {
    /// The documents of its tools.
    pub(super) fn tools(&self) -> Range<u32> {
        self.own + 1..self.end
    }

    /// Whether some server has it.
    pub(super) fn is_used(&self) -> bool {
        self.uses > 0
    }

    fn documents(&self) -> usize {
        (self.own..self.end).len()
    }
}

/// Fewer documents that have left are not worth the work of taking them out.
const WORTH_IT: usize = 1_000;

impl Index {
    /// Whether a text is held, be it that nobody has it any more.
    pub(crate) fn holds(&self, digest: &Digest) -> bool {
        self.by_digest.contains_key(digest)
    }

    /// Whether some server has a text.
    pub(crate) fn uses(&self, digest: &Digest) -> bool {
        let text = self.by_digest.get(digest).and_then(|number| self.texts.get(*number as usize));
        text.is_some_and(Text::is_used)
    }

    /// The servers that are in it.
    pub(crate) fn servers(&self) -> impl Iterator<Item = i64> {
        self.servers.keys().copied()
    }

    /// Puts a server in, with its documents as they are stored unless they are held. One of this number leaves.
    /// Says whether the server is in now; not if the documents cannot be read.
    pub(crate) fn put(&mut self, server: i64, digest: Digest, documents: Option<&[u8]>) -> bool {
        let known = self.by_digest.get(&digest).copied();
        let new = || decode(documents.unwrap_or_default());
        let Some(text) = known.or_else(|| Some(self.hold(digest, &new()?))) else { return false };
        if let Some(text) = self.texts.get_mut(text as usize) {
            self.left -= if text.uses == 0 { text.documents() } else { 0 };
            text.uses += 1;
        }
        if let Some(before) = self.servers.insert(server, text) {
            self.release(before);
        }
        true
    }

    /// Takes a server out.
    pub(crate) fn remove(&mut self, server: i64) {
        if let Some(text) = self.servers.remove(&server) {
            self.release(text);
        }
    }

    /// Holds documents that nobody has yet.
    fn hold(&mut self, digest: Digest, documents: &[Stored<'_>]) -> u32 {
        let next = |documents: &[u32]| u32::try_from(documents.len()).unwrap_or(u32::MAX);
        let own = next(&self.documents);
        for document in documents {
            self.hold_document(document);
        }
        let end = next(&self.documents);
        self.left += documents.len();
        let text = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.texts_of.resize(self.documents.len(), text);
        self.texts.push(Text { digest, own, end, uses: 0 });
        self.by_digest.insert(digest, text);
        text
    }

    fn hold_document(&mut self, document: &Stored<'_>) {
        let number = u32::try_from(self.documents.len()).unwrap_or(u32::MAX);
        let name = self.name(document.name.into());
        self.documents.push(name);
        for StoredWord { word, weight, is_prominent } in &document.words {
            let form = self.form(word);
            if let Some(form) = self.forms.get_mut(form as usize) {
                form.postings.push(Posting {
                    document: number,
                    weight: *weight,
                    is_prominent: *is_prominent,
                });
            }
        }
        self.hold_vector(document.vector);
    }

    #[cfg(feature = "semantic")]
    fn hold_vector(&mut self, vector: Option<&[u8]>) {
        let none = vec![0; embedding::dimensions()];
        let start = self.vectors.len();
        self.vectors.extend(vector.unwrap_or(&none).iter().map(|component| component.cast_signed()));
        let length = self.vectors.get(start..).map_or(0.0, embedding::length);
        self.lengths.push(length);
    }

    #[cfg(not(feature = "semantic"))]
    fn hold_vector(&mut self, _: Option<&[u8]>) {
        self.lengths.push(0.0);
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

    /// Says of each name, in order, whether it has the letters of a text, but for a few that have not.
    pub(super) fn may_have_letters(&self, text: &str) -> impl Iterator<Item = bool> {
        let hash = hash_of_letters(self.names.hasher(), text);
        self.name_hashes.iter().map(move |name| *name == hash)
    }

    /// The form that a word is.
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

    /// The stem of a form.
    pub(super) fn stem_of(&self, form: u32) -> u32 {
        self.forms.get(form as usize).map_or(form, |form| form.stem)
    }

    /// The forms of a stem, and the documents that hold each.
    pub(super) fn forms_of(&self, stem: u32) -> impl Iterator<Item = (u32, &Postings)> {
        std::iter::successors(Some(stem), |form| Some(self.forms.get(*form as usize)?.next?.get()))
            .filter_map(|form| Some((form, &self.forms.get(form as usize)?.postings)))
    }

    fn release(&mut self, text: u32) {
        if let Some(text) = self.texts.get_mut(text as usize) {
            text.uses -= 1;
            self.left += if text.uses == 0 { text.documents() } else { 0 };
        }
    }

    /// Gives back what was reserved for growing, after much was put in.
    pub(crate) fn shrink(&mut self) {
        self.forms.iter_mut().for_each(|form| form.postings.shrink());
        self.forms.shrink_to_fit();
        self.vectors.shrink_to_fit();
        self.lengths.shrink_to_fit();
        self.documents.shrink_to_fit();
        self.texts_of.shrink_to_fit();
    }

    /// Takes out what has left, and numbers the rest anew, if that is worth it.
    pub(crate) fn compact(&mut self) {
        if self.left <= WORTH_IT || self.left * 2 <= self.documents.len() {
            return;
        }
        let mut stays = vec![false; self.documents.len()];
        for text in self.texts.iter().filter(|text| text.is_used()) {
            if let Some(stays) = stays.get_mut(text.own as usize..text.end as usize) {
                stays.fill(true);
            }
        }
        let numbers = renumbered(stays.iter().copied());
        let new = |number: u32| numbers.get(number as usize).copied().flatten();
        let dimensions = self.vectors.len() / self.documents.len().max(1);
        if dimensions > 0 {
            let kept = self.vectors.chunks(dimensions).zip(&stays).filter(|(_, stays)| **stays);
            self.vectors = kept.flat_map(|(vector, _)| vector).copied().collect();
        }
        let mut stay = stays.iter();
        self.lengths.retain(|_| stay.next().is_some_and(|stays| *stays));
        let mut stay = stays.iter();
        self.documents.retain(|_| stay.next().is_some_and(|stays| *stays));
        let texts = renumbered(self.texts.iter().map(Text::is_used));
        let new_text = |text: u32| texts.get(text as usize).copied().flatten();
        self.texts.retain(Text::is_used);
        for text in &mut self.texts {
            let own = new(text.own).unwrap_or_default();
            (text.own, text.end) = (own, text.end - text.own + own);
        }
        self.servers.values_mut().for_each(|text| *text = new_text(*text).unwrap_or_default());
        self.texts_of =
            (0..).zip(&self.texts).flat_map(|(number, text)| repeat_n(number, text.documents())).collect();
        self.by_digest = (0..).zip(&self.texts).map(|(number, text)| (text.digest, number)).collect();
        self.compact_forms(new);
        self.documents.shrink_to_fit();
        self.lengths.shrink_to_fit();
        self.compact_names();
        self.left = 0;
    }

    /// Gives the documents of each form their new numbers, and takes out the words that no document holds any more.
    fn compact_forms(&mut self, new: impl Fn(u32) -> Option<u32>) {
        let old = std::mem::take(&mut self.forms);
        for (word, form) in std::mem::take(&mut self.terms) {
            let Some(Form { postings, .. }) = old.get(form as usize) else { continue };
            let mut kept = Postings::default();
            postings.each(|posting| {
                if let Some(document) = new(posting.document) {
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
        for held in &mut documents {
            *held = old.get(*held as usize).map(|name| self.name(Arc::clone(name))).unwrap_or_default();
        }
        self.documents = documents;
    }
}

/// What a name has in common with those that put its words together in other ways: `readFile` with `read_file`.
pub(super) fn letters(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(|character| character.is_alphanumeric()).flat_map(char::to_lowercase)
}

fn hash_of_letters(state: &State, text: &str) -> u32 {
    let mut hash = state.build_hasher();
    letters(text).for_each(|letter| hash.write_u32(letter.into()));
    u32::try_from(hash.finish() >> 32).unwrap_or_default()
}

/// New numbers for what stays.
fn renumbered(stays: impl Iterator<Item = bool>) -> Vec<Option<u32>> {
    let mut next = 0;
    let number = |stays: bool| {
        stays.then(|| {
            next += 1;
            next - 1
        })
    };
    stays.map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Match, Registration, Tool};
    use crate::search::{Part, Query, Ranking, digest, documents_of, encode};

    fn put(index: &mut Index, number: i64) {
        let words = ["read", "write", "list", "search", "delete"];
        let word = |place: i64| words[usize::try_from(place).unwrap() % words.len()];
        let description = format!("Will {} the {} of number {}", word(number / 7), word(number), number % 11);
        let tool = serde_json::json!({"name": format!("tool_{}", number % 900), "description": description});
        let registration =
            Registration::stdio(format!("server {}", number % 1_500), ["x"]).id(number.to_string());
        let registration = registration.tool(Tool::from_json(tool).unwrap());
        let record = registration.validate().unwrap().into_record();
        let definitions = || record.capabilities.tools.iter().map(Tool::stored);
        let documents = encode(&documents_of(&record, definitions()));
        index.put(number, digest(&record, definitions()), Some(&documents));
    }

    #[test]
    fn what_is_left_after_many_have_gone_is_as_if_they_had_never_been() {
        let (mut index, mut fresh) = (Index::default(), Index::default());
        for number in 0..3_000 {
            put(&mut index, number);
        }
        for number in 0..3_000 {
            // Some come again as another one.
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
            let query = Query::new(text);
            let all = Part { after: None, limit: usize::MAX };
            for matching in [Match::Any, Match::All] {
                let (index, fresh) =
                    (Ranking::new(&index, &query, matching), Ranking::new(&fresh, &query, matching));
                assert_eq!(index.tools(|_| true, None, &all), fresh.tools(|_| true, None, &all), "{text}");
                let all = Part { after: None, limit: usize::MAX };
                assert_eq!(
                    index.servers(|number| number > 99, &all),
                    fresh.servers(|number| number > 99, &all)
                );
            }
        }
    }
}
