//! The index in memory: which documents hold a word, and what each means.
//!
//! It is made from documents that are stored, and brought up to date before it is asked. Documents of equal text are held
//! once, whoever offers them. What leaves is only marked, and taken out when half of the index has left.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::document::{Digest, Document, Term};
#[cfg(feature = "semantic")]
use super::embedding;

type Hasher = foldhash::fast::RandomState;

/// See the [module](self).
#[derive(Default)]
pub(crate) struct Index {
    /// Words and stems in order, each with its list in `postings`. A word has the list of its stem.
    pub(super) terms: BTreeMap<Box<str>, u32>,
    /// Of each stem the documents that hold it.
    pub(super) postings: Vec<Vec<Posting>>,
    pub(super) documents: Vec<Held>,
    /// The vectors of all documents, one behind the other, and the length of each; zero if it has none.
    pub(super) vectors: Vec<i8>,
    pub(super) lengths: Vec<f32>,
    by_digest: HashMap<Digest, u32, Hasher>,
    names: HashMap<Arc<str>, u32, Hasher>,
    pub(super) name_texts: Vec<Arc<str>>,
    pub(super) servers: BTreeMap<i64, Served>,
    /// How many documents nobody offers any more.
    left: usize,
}

/// A document, and how many servers have it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) name: u32,
    uses: u32,
}

/// The documents of a server: its own, and those of its tools.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) own: u32,
    pub(super) tools: Box<[u32]>,
}

/// The number of a document that holds a word, whether the word is prominent there, and its weight: 24, 1 and 7 bits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Posting(u32);

impl Posting {
    fn new(document: u32, is_prominent: bool, weight: u8) -> Self {
        Self(document << 8 | u32::from(is_prominent) << 7 | u32::from(weight))
    }

    pub(super) fn document(self) -> usize {
        (self.0 >> 8) as usize
    }

    pub(super) fn is_prominent(self) -> bool {
        self.0 & 0x80 != 0
    }

    pub(super) fn weight(self) -> u8 {
        u8::try_from(self.0 & 0x7F).unwrap_or_default()
    }
}

/// Fewer documents that have left are not worth the work of taking them out.
const WORTH_IT: usize = 1_000;

impl Index {
    /// Whether a document is held, be it that nobody offers it any more.
    pub(crate) fn holds(&self, digest: &Digest) -> bool {
        self.by_digest.contains_key(digest)
    }

    /// Whether some server has a document.
    pub(crate) fn uses(&self, digest: &Digest) -> bool {
        let held = self.by_digest.get(digest).and_then(|number| self.documents.get(*number as usize));
        held.is_some_and(|held| held.uses > 0)
    }

    /// The servers that are in it.
    pub(crate) fn servers(&self) -> impl Iterator<Item = i64> {
        self.servers.keys().copied()
    }

    /// Puts a server in, the first document being its own; one of this number leaves.
    pub(crate) fn put(
        &mut self,
        server: i64,
        documents: impl IntoIterator<Item = (Digest, Option<Document>)>,
    ) {
        let before = self.servers.remove(&server);
        let mut documents = documents.into_iter().map(|(digest, document)| self.hold(digest, document));
        let Some(own) = documents.next() else { return };
        let tools: Box<[u32]> = documents.collect();
        self.servers.insert(server, Served { own, tools });
        if let Some(before) = before {
            self.release(&before);
        }
    }

    /// Takes a server out.
    pub(crate) fn remove(&mut self, server: i64) {
        if let Some(served) = self.servers.remove(&server) {
            self.release(&served);
        }
    }

    fn hold(&mut self, digest: Digest, document: Option<Document>) -> u32 {
        if let Some(number) = self.by_digest.get(&digest)
            && let Some(held) = self.documents.get_mut(*number as usize)
        {
            self.left -= usize::from(held.uses == 0);
            held.uses += 1;
            return *number;
        }
        let document = document.unwrap_or_else(|| Document::read(String::new(), "", None));
        let number = u32::try_from(self.documents.len()).unwrap_or(u32::MAX);
        let name = self.name(document.name.into());
        self.documents.push(Held { name, uses: 1 });
        self.by_digest.insert(digest, number);
        let lists = document.terms.iter().map(|term| (self.list(term), term.is_prominent, term.weight));
        let mut lists: Vec<(u32, bool, u8)> = lists.collect();
        // Of words with one stem the heaviest stands for all.
        lists.sort_unstable_by(|one, other| {
            one.0.cmp(&other.0).then_with(|| (other.1, other.2).cmp(&(one.1, one.2)))
        });
        lists.dedup_by_key(|(list, ..)| *list);
        for (list, is_prominent, weight) in lists {
            if let Some(list) = self.postings.get_mut(list as usize) {
                list.push(Posting::new(number, is_prominent, weight));
            }
        }
        self.hold_vector(document.vector.as_deref());
        number
    }

    #[cfg(feature = "semantic")]
    fn hold_vector(&mut self, vector: Option<&[i8]>) {
        let none = vec![0; embedding::dimensions()];
        self.vectors.extend_from_slice(vector.unwrap_or(&none));
        self.lengths.push(vector.map_or(0.0, embedding::length));
    }

    #[cfg(not(feature = "semantic"))]
    fn hold_vector(&mut self, _: Option<&[i8]>) {
        self.lengths.push(0.0);
    }

    fn name(&mut self, name: Arc<str>) -> u32 {
        let next = u32::try_from(self.name_texts.len()).unwrap_or(u32::MAX);
        *self.names.entry(name).or_insert_with_key(|name| {
            self.name_texts.push(Arc::clone(name));
            next
        })
    }

    /// The list of a word.
    fn list(&mut self, Term { word, stem, .. }: &Term) -> u32 {
        let stem = stem.as_deref().unwrap_or(word);
        let list = self.terms.get(stem).copied().unwrap_or_else(|| {
            let list = u32::try_from(self.postings.len()).unwrap_or(u32::MAX);
            self.postings.push(Vec::new());
            self.terms.insert(stem.into(), list);
            list
        });
        if stem != word && !self.terms.contains_key(word.as_str()) {
            self.terms.insert(word.as_str().into(), list);
        }
        list
    }

    fn release(&mut self, served: &Served) {
        for number in served.tools.iter().chain([&served.own]) {
            if let Some(held) = self.documents.get_mut(*number as usize) {
                held.uses -= 1;
                self.left += usize::from(held.uses == 0);
            }
        }
    }

    /// Takes out what has left, and numbers the rest anew, if that is worth it.
    pub(crate) fn compact(&mut self) {
        if self.left <= WORTH_IT || self.left * 2 <= self.documents.len() {
            return;
        }
        let mut next = 0;
        let numbers: Vec<Option<u32>> = self
            .documents
            .iter()
            .map(|held| {
                (held.uses > 0).then(|| {
                    next += 1;
                    next - 1
                })
            })
            .collect();
        let new = |number: u32| numbers.get(number as usize).copied().flatten();
        let stays: Vec<bool> = numbers.iter().map(Option::is_some).collect();
        let dimensions = self.vectors.len() / self.documents.len().max(1);
        if dimensions > 0 {
            let kept = self.vectors.chunks(dimensions).zip(&stays).filter(|(_, stays)| **stays);
            self.vectors = kept.flat_map(|(vector, _)| vector).copied().collect();
        }
        let mut stay = stays.iter();
        self.lengths.retain(|_| stay.next().is_some_and(|stays| *stays));
        let mut stay = stays.iter();
        self.documents.retain(|_| stay.next().is_some_and(|stays| *stays));
        self.by_digest.retain(|_, number| new(*number).map(|new| *number = new).is_some());
        for served in self.servers.values_mut() {
            served.own = new(served.own).unwrap_or_default();
            served.tools.iter_mut().for_each(|number| *number = new(*number).unwrap_or_default());
        }
        let mut lists = Vec::with_capacity(self.postings.len());
        for list in &mut self.postings {
            list.retain_mut(|posting| {
                let number = u32::try_from(posting.document()).ok().and_then(new);
                *posting = Posting::new(number.unwrap_or_default(), posting.is_prominent(), posting.weight());
                number.is_some()
            });
            list.shrink_to_fit();
        }
        let mut kept = 0;
        for list in &self.postings {
            lists.push((!list.is_empty()).then_some(kept));
            kept += u32::from(!list.is_empty());
        }
        self.postings.retain(|list| !list.is_empty());
        self.terms
            .retain(|_, list| lists.get(*list as usize).copied().flatten().map(|new| *list = new).is_some());
        self.documents.shrink_to_fit();
        self.lengths.shrink_to_fit();
        self.compact_names();
        self.left = 0;
    }

    fn compact_names(&mut self) {
        let old = std::mem::take(&mut self.name_texts);
        self.names.clear();
        let mut documents = std::mem::take(&mut self.documents);
        for held in &mut documents {
            held.name =
                old.get(held.name as usize).map(|name| self.name(Arc::clone(name))).unwrap_or_default();
        }
        self.documents = documents;
    }
}
