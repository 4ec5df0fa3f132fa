//! Answers that were given before, to be given again.
//!
//! An answer is kept without what a refresh changes: who is in it, not how long their leases run. Whether it still holds
//! is decided when it is asked for again, see [`Live`](super::state::Live). What has not been asked for in a while makes room.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{Equivalent, Weighter};

use super::invalidation::Slot;
use crate::model::{Cursor, Filter, Health, Page, Revision, Score, Stats, ToolPage};
use crate::store::error::StoreError;
use crate::store::moment::Moment;
use crate::store::record::{Entry, Rendered, Times};

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::store) enum Question {
    /// A page of servers.
    Servers(Filter),
    /// A page of tools.
    Tools(Filter),
    /// One server, by id.
    Server(String),
    /// Totals.
    Stats,
}

/// The same, borrowed, to look it up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::store) enum Asked<'a> {
    Servers(&'a Filter),
    Tools(&'a Filter),
    Server(&'a str),
    Stats,
}

impl Equivalent<Question> for Asked<'_> {
    fn equivalent(&self, question: &Question) -> bool {
        match (self, question) {
            (Self::Servers(asked), Question::Servers(filter))
            | (Self::Tools(asked), Question::Tools(filter)) => *asked == filter,
            (Self::Server(asked), Question::Server(id)) => asked == id,
            (Self::Stats, Question::Stats) => true,
            _ => false,
        }
    }
}

/// What is kept of an answer.
#[derive(Debug)]
pub(in crate::store) enum Content {
    Servers {
        servers: Vec<Arc<Rendered>>,
        /// Of each, with a search.
        scores: Vec<Score>,
        next_cursor: Option<Cursor>,
        /// The server beyond the page for which there is a cursor.
        beyond: Option<i64>,
        /// Whether it holds only while all of them are healthy.
        healthy: bool,
        kept: Mutex<Option<Arc<Kept>>>,
    },
    Tools {
        tools: Arc<Tools>,
        /// The health of each server in it, and of those that the tool beyond the page is offered by.
        health: Vec<(i64, Health)>,
    },
    Server(Arc<Rendered>),
    /// The health in it is not used again.
    Stats(Stats),
}

/// An answer and what it depends on.
#[derive(Debug)]
pub(in crate::store) struct Answer {
    pub(in crate::store) version: u64,
    pub(in crate::store) keys: Vec<Slot>,
    pub(in crate::store) content: Content,
}

/// A page of servers, on its way to a caller in process or over HTTP.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) rows: Vec<Entry>,
    /// Of each, with a search.
    pub(crate) scores: Vec<Score>,
    pub(crate) next_cursor: Option<Cursor>,
    pub(crate) revision: Revision,
    pub(crate) now: Moment,
    /// The old answer that this is, if it is one.
    pub(in crate::store) answer: Option<Arc<Answer>>,
}

/// JSON, and a number for what it depends on.
#[derive(Debug, Clone)]
pub(crate) struct Tagged {
    pub(crate) json: Bytes,
    pub(crate) fingerprint: u64,
}

/// The JSON of a page, and the state that it shows.
#[derive(Debug)]
pub(in crate::store) struct Kept {
    page: Tagged,
    shown: Vec<(Times, Health)>,
    revision: Revision,
    offset: i64,
}

impl Found {
    /// The page as JSON: that of an earlier caller, if no lease in it has been refreshed since and nothing else has
    /// changed either, or else made now.
    pub(crate) fn json(&self, make: impl FnOnce() -> Tagged) -> Tagged {
        let Some(Content::Servers { kept, .. }) = self.answer.as_ref().map(|answer| &answer.content) else {
            return make();
        };
        let state_of = |row: &Entry| (row.times, row.times.health(self.now));
        let old = kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(old) = old
            && old.offset == self.now.offset
            && old.revision == self.revision
            && old.shown.iter().copied().eq(self.rows.iter().map(state_of))
        {
            return old.page.clone();
        }
        let page = make();
        let shown = self.rows.iter().map(state_of).collect();
        let new =
            Kept { page: page.clone(), shown, revision: self.revision.clone(), offset: self.now.offset };
        *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(new));
        page
    }

    /// The page in process.
    pub(crate) fn page(self) -> Result<Page, StoreError> {
        let mut scores = self.scores.iter().copied();
        let server = |row: &Entry| Ok(row.server(self.now)?.with_score(scores.next()));
        let servers = self.rows.iter().map(server).collect::<Result<_, StoreError>>()?;
        Ok(Page { servers, next_cursor: self.next_cursor, revision: self.revision })
    }
}

/// A page of tools, and its JSON once somebody has asked for that.
#[derive(Debug)]
pub(crate) struct Tools {
    pub(crate) page: Arc<ToolPage>,
    json: OnceLock<Tagged>,
}

impl Tools {
    pub(in crate::store) fn new(page: ToolPage) -> Self {
        Self { page: Arc::new(page), json: OnceLock::new() }
    }

    /// The page as JSON, and its fingerprint.
    pub(crate) fn json(&self, fingerprint: fn(&String) -> u64) -> serde_json::Result<Tagged> {
        if let Some(json) = self.json.get() {
            return Ok(json.clone());
        }
        let json = serde_json::to_string(&*self.page)?;
        let fingerprint = fingerprint(&json);
        Ok(self.json.get_or_init(|| Tagged { json: json.into(), fingerprint }).clone())
    }
}

/// About how many bytes an answer takes, with the parsed records that callers in process have of it.
#[derive(Debug, Clone)]
struct Weight;

/// What maps, vectors and pointers take for each answer.
const OVERHEAD: usize = 512;

impl Weighter<Question, Arc<Answer>> for Weight {
    fn weight(&self, _: &Question, answer: &Arc<Answer>) -> u64 {
        let content = match &answer.content {
            // And once more in the JSON of the page.
            Content::Servers { servers, .. } => {
                servers.iter().map(|server| server.kept_bytes() + server.bytes()).sum()
            }
            Content::Server(server) => server.kept_bytes(),
            Content::Tools { tools, health } => {
                // Once as values, and once as JSON.
                let text = |tool: &crate::model::ToolEntry| {
                    let servers = tool.servers.iter().map(|server| server.id.len() + server.name.len() + 64);
                    let title = tool.title.as_ref().map_or(0, String::len);
                    tool.name.len()
                        + title
                        + tool.description.as_ref().map_or(0, String::len)
                        + servers.sum::<usize>()
                };
                tools.page.tools.iter().map(text).sum::<usize>() * 2 + health.len() * 16
            }
            Content::Stats(stats) => {
                let groups = &stats.servers;
                let maps = [&groups.by_transport, &groups.by_name, &groups.by_tag, &groups.by_capability];
                maps.into_iter().flatten().map(|(name, _)| name.len() + 64).sum()
            }
        };
        (content + OVERHEAD + answer.keys.len() * size_of::<Slot>()) as u64
    }
}

/// The answers, within a number of bytes.
pub(in crate::store) struct Answers(
    Option<Cache<Question, Arc<Answer>, Weight, foldhash::fast::RandomState>>,
);

/// What the cache sizes its first table for.
const EXPECTED: usize = 1_024;

impl Answers {
    /// None are kept with no bytes to keep them in.
    pub(in crate::store) fn new(bytes: u64) -> Self {
        let hasher = foldhash::fast::RandomState::default();
        let cache = || Cache::with(EXPECTED, bytes, Weight, hasher, DefaultLifecycle::default());
        Self((bytes > 0).then(cache))
    }

    pub(in crate::store) fn get(&self, asked: Asked<'_>) -> Option<Arc<Answer>> {
        self.0.as_ref()?.get(&asked)
    }

    pub(in crate::store) fn are_kept(&self) -> bool {
        self.0.is_some()
    }

    pub(in crate::store) fn keep(&self, question: Question, answer: Answer) {
        if let Some(cache) = &self.0 {
            cache.insert(question, Arc::new(answer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Rest, View};

    #[test]
    fn answers_make_room_for_each_other() {
        let bytes = 64 * 1024;
        let answers = Answers::new(bytes);
        let rest = Rest { ttl: 30, registered_at: <_>::default(), updated_at: <_>::default() };
        for number in 0..1_000 {
            let head = format!("{{\"id\":\"{number}\",\"name\":\"{}\"}}", "x".repeat(1_000));
            let server = Rendered::new(number, View::Full, &head, rest).unwrap();
            let content = Content::Server(Arc::new(server));
            answers
                .keep(Question::Server(number.to_string()), Answer { version: 0, keys: Vec::new(), content });
        }
        let cache = answers.0.as_ref().unwrap();
        assert!(cache.weight() <= bytes && cache.weight() > bytes / 2, "{} bytes", cache.weight());
        assert!(cache.len() > 5, "{} answers", cache.len());
    }
}
