//! A record from its tables, as the JSON that the API answers with.
//!
//! SQL builds the part of it that no refresh changes (its *head*); what a refresh changes is written between and behind
//! when an answer is sent. So an answer over HTTP is put together without parsing what it says, and the texts are
//! shared by all answers that hold them. A caller in process gets a [`Record`], parsed once.
//!
//! A server is one text and a page is one row: every row and every column of an sqlx query crosses two channels.

use std::hash::{BuildHasher, Hasher};
use std::sync::{Arc, OnceLock};

use super::error::StoreError;
use super::error::odd_row;
use super::moment::{Moment, time};
use crate::model::{Health, Record, Rest, Server, View, push_time};

/// The head of a record, given how each table's rows are told. Its members stand in the order of
/// [`Record::head`](crate::model::Record::head).
macro_rules! head {
    ($tool:expr, $resource:expr, $prompt:expr) => {
        concat!(
            "'{\"id\":' || json_quote(s.id) || ',\"name\":' || json_quote(s.name) || \
             ',\"title\":' || json_quote(s.title) || ',\"version\":' || json_quote(s.version) || \
             ',\"description\":' || json_quote(s.description) || ',\"transport\":' || json_quote(s.transport) || \
             ',\"command\":' || coalesce(s.command, 'null') || ',\"url\":' || json_quote(s.url) || \
             ',\"environment\":' || s.environment || ',\"headers\":' || s.headers || \
             ',\"capabilities\":{\"tools\":[' || coalesce((SELECT group_concat(",
            $tool,
            ", ',' ORDER BY position) FROM tools WHERE server = s.number), '') || \
             '],\"resources\":[' || coalesce((SELECT group_concat(",
            $resource,
            ", ',' ORDER BY position) FROM resources WHERE server = s.number), '') || \
             '],\"prompts\":[' || coalesce((SELECT group_concat(",
            $prompt,
            ", ',' ORDER BY position) FROM prompts WHERE server = s.number), '') || \
             ']' || coalesce((SELECT group_concat(',' || json_quote(name) || ':' || options, '' ORDER BY name) \
             FROM capabilities WHERE server = s.number AND name NOT IN ('tools', 'resources', 'prompts')), '') || \
             '},\"tags\":' || (SELECT json_group_array(tag ORDER BY tag) FROM tags WHERE server = s.number) || \
             ',\"metadata\":' || (SELECT json_group_object(key, value ORDER BY key) FROM metadata WHERE server = s.number) || \
             ',\"owner\":' || json_quote(s.owner) || '}'"
        )
    };
}

/// A member of an object that is left out when it is NULL.
macro_rules! member {
    ($column:literal, $key:literal) => {
        concat!(" || iif(", $column, " IS NULL, '', ',\"", $key, "\":' || json_quote(", $column, "))")
    };
}

/// A tool or prompt in a summary.
macro_rules! definition {
    () => {
        concat!(
            "'{\"name\":' || json_quote(name)",
            member!("title", "title"),
            member!("description", "description"),
            " || '}'"
        )
    };
}

/// The head of a summary: the one place that says what [`summaries`](super::summaries) caches.
macro_rules! summary {
    () => {
        head!(
            definition!(),
            concat!(
                "'{' || iif(uri IS NULL, '\"uri_template\":' || json_quote(uri_template), '\"uri\":' || json_quote(uri))",
                member!("name", "name"),
                member!("title", "title"),
                member!("description", "description"),
                member!("mime_type", "mimeType"),
                " || '}'"
            ),
            definition!()
        )
    };
}

/// Makes the summaries that are missing, because somebody edited the tables or brought them from an older version.
pub(super) const MAKE_SUMMARIES: &str = concat!(
    "UPDATE summaries SET record = (SELECT ",
    summary!(),
    " FROM servers s WHERE s.number = summaries.server) WHERE record IS NULL"
);

/// Servers whose row somebody has taken out of the cache.
pub(super) const MISSING_SUMMARIES: &str = "INSERT INTO summaries (server) SELECT number FROM servers WHERE number NOT IN (SELECT server FROM summaries)";

/// What parts the rows of a page: no JSON text holds it.
pub(super) const SEPARATOR: char = '\u{1e}';

/// What a record is selected from, `s`, `l` and `c`: numbers, and then its head.
pub(super) const SUMMARY: &str = concat!(
    "concat_ws(' ', s.number, l.ttl, l.expires_at, l.refreshed_at, s.registered_at, s.updated_at, \
     coalesce(c.record, ",
    summary!(),
    "))"
);

/// The same with all definitions as they were sent.
pub(super) const FULL: &str = concat!(
    "concat_ws(' ', s.number, l.ttl, l.expires_at, l.refreshed_at, s.registered_at, s.updated_at, ",
    head!("definition", "definition", "definition"),
    ")"
);

/// The expression of a record's text.
pub(super) fn columns(view: View) -> &'static str {
    match view {
        View::Summary => SUMMARY,
        View::Full => FULL,
    }
}

/// The head of a record and what stands beside it until it is registered anew.
#[derive(Debug)]
pub(crate) struct Rendered {
    pub(super) number: i64,
    view: View,
    pub(super) rest: Rest,
    head: usize,
    before_health: Box<str>,
    after_health: Box<str>,
    tag: OnceLock<u64>,
    record: OnceLock<Arc<Record>>,
}

/// When a lease runs out, in lease time, and when it was last refreshed, by the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    pub(super) expires_at: i64,
    pub(super) refreshed_at: i64,
}

impl Times {
    pub(super) fn health(self, now: Moment) -> Health {
        if self.expires_at > now.lease { Health::Healthy } else { Health::Unhealthy }
    }
}

/// A server in an answer.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(super) rendered: Arc<Rendered>,
    pub(super) times: Times,
}

impl Entry {
    /// A server as it is about to be stored, given the head of its summary.
    pub(super) fn of(number: i64, record: &Record, head: &str, times: Times) -> Result<Self, StoreError> {
        let rest =
            Rest { ttl: record.ttl, registered_at: record.registered_at, updated_at: record.updated_at };
        let rendered = Rendered::new(number, View::Summary, head, rest).ok_or_else(|| odd_row(&record.id))?;
        Ok(Self { rendered: Arc::new(rendered), times })
    }

    /// Reads the text that [`columns`] selects.
    pub(super) fn parse(text: &str, view: View) -> Result<Self, StoreError> {
        Self::read(text, view).ok_or_else(|| odd_row(text.get(..60).unwrap_or(text)).into())
    }

    fn read(text: &str, view: View) -> Option<Self> {
        let mut fields = text.splitn(7, ' ');
        let mut next = || fields.next()?.parse::<i64>().ok();
        let (number, ttl, expires_at, refreshed_at) = (next()?, next()?, next()?, next()?);
        let (registered_at, updated_at) = (next()?, next()?);
        let rest = Rest {
            ttl: u32::try_from(ttl).ok()?,
            registered_at: time(registered_at),
            updated_at: time(updated_at),
        };
        let rendered = Arc::new(Rendered::new(number, view, fields.next()?, rest)?);
        Some(Self { rendered, times: Times { expires_at, refreshed_at } })
    }

    /// The record in process.
    pub(crate) fn server(&self, now: Moment) -> Result<Server, StoreError> {
        Ok(Server::new(
            self.rendered.record()?,
            self.times.health(now),
            time(self.times.refreshed_at),
            now.wall_of(self.times.expires_at),
        ))
    }

    /// Writes the record as the API answers it.
    pub(crate) fn write_json(&self, json: &mut String, now: Moment) {
        let Rendered { before_health, after_health, .. } = &*self.rendered;
        json.push_str(before_health);
        json.push_str(self.times.health(now).as_str());
        json.push_str(after_health);
        push_time(json, &time(self.times.refreshed_at));
        json.push_str("\",\"expires_at\":\"");
        push_time(json, &now.wall_of(self.times.expires_at));
        json.push_str("\"}");
    }

    pub(crate) fn json(&self, now: Moment) -> String {
        let mut json = String::with_capacity(self.rendered.bytes());
        self.write_json(&mut json, now);
        json
    }

    /// About how many bytes its JSON takes.
    pub(crate) fn bytes(&self) -> usize {
        self.rendered.bytes()
    }

    /// A number for all of it but the times of the lease.
    pub(crate) fn fingerprint(&self, now: Moment) -> u64 {
        self.rendered.tag() ^ u64::from(self.times.health(now) == Health::Healthy)
    }
}

impl Rendered {
    pub(super) fn new(number: i64, view: View, head: &str, rest: Rest) -> Option<Self> {
        let open = head.strip_suffix('}')?;
        let ttl = rest.ttl.to_string();
        let before_health = [open, ",\"ttl\":", &ttl, ",\"health\":\""].concat();
        let mut after_health = String::with_capacity(130);
        after_health.push_str("\",\"registered_at\":\"");
        push_time(&mut after_health, &rest.registered_at);
        after_health.push_str("\",\"updated_at\":\"");
        push_time(&mut after_health, &rest.updated_at);
        after_health.push_str("\",\"refreshed_at\":\"");
        Some(Self {
            number,
            view,
            rest,
            head: open.len(),
            before_health: before_health.into(),
            after_health: after_health.into(),
            tag: OnceLock::new(),
            record: OnceLock::new(),
        })
    }

    /// A number for its JSON.
    fn tag(&self) -> u64 {
        *self.tag.get_or_init(|| {
            let mut hasher = foldhash::quality::FixedState::default().build_hasher();
            hasher.write(self.before_health.as_bytes());
            hasher.write(self.after_health.as_bytes());
            hasher.finish()
        })
    }

    /// What the column `summaries.record` holds, in summary.
    pub(super) fn head(&self) -> String {
        let open = self.before_health.get(..self.head).unwrap_or_default();
        format!("{open}}}")
    }

    /// About how many bytes an answer takes that holds it.
    pub(super) fn bytes(&self) -> usize {
        self.before_health.len() + self.after_health.len() + 64
    }

    /// The record in process. A summary is parsed once and shared; with all definitions it is parsed at every call, since
    /// both together would take three times the memory.
    pub(super) fn record(&self) -> Result<Arc<Record>, StoreError> {
        if let Some(record) = self.record.get() {
            return Ok(Arc::clone(record));
        }
        let record = Record::from_head(&self.head(), self.view, self.rest)
            .ok_or_else(|| odd_row(&format!("number {}", self.number)))?;
        let record = Arc::new(record);
        Ok(match self.view {
            View::Summary => Arc::clone(self.record.get_or_init(|| record)),
            View::Full => record,
        })
    }

    /// About how many bytes it takes while it is kept: the text, and about twice that parsed.
    pub(super) fn kept_bytes(&self) -> usize {
        match self.view {
            View::Summary => self.bytes() * 3,
            View::Full => self.bytes(),
        }
    }
}
