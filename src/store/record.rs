//! A server's record in its tables, and as the JSON of the API.
//!
//! SQL builds the part of the JSON that no refresh changes (its *head*); the rest is added when a response is written. So
//! an HTTP response is built without parsing, and all responses share the text of a record. An in-process caller gets a
//! [`Record`], parsed once.
//!
//! A server is one text and a page is one row, because every row and every column of an sqlx query crosses two channels.

use std::hash::{BuildHasher, Hasher};
use std::sync::{Arc, LazyLock, OnceLock};

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::Sqlite;
use sqlx::query_builder::Separated;

use super::error::StoreError;
use super::error::unreadable_row;
use super::moment::{Moment, time};
use crate::model::{Health, Input, Record, Server, ServerState, View, push_time};

/// The columns of `servers` except its number, in the order of [`bind_columns`].
pub(super) static COLUMNS: LazyLock<String> = LazyLock::new(|| {
    let texts = Record::TEXTS.map(|member| member.name).join(", ");
    format!(
        "id, name, {texts}, transport, command, url, environment, headers, owner, registered_at, updated_at"
    )
});

/// Binds the values of [`COLUMNS`].
pub(super) fn bind_columns(
    row: &mut Separated<'_, Sqlite, &'static str>,
    record: &Record,
    times: RecordTimes,
) {
    // Members in the order of the record's JSON. Serializing texts cannot fail.
    let inputs = |inputs: &[Input]| serde_json::to_string(inputs).unwrap_or_default();
    row.push_bind(&record.id).push_bind(&record.name);
    for member in &Record::TEXTS {
        row.push_bind((member.get)(record));
    }
    row.push_bind(record.transport.kind().as_str())
        .push_bind(record.transport.command().map(|words| json!(words).to_string()))
        .push_bind(record.transport.url())
        .push_bind(inputs(record.transport.environment()))
        .push_bind(inputs(record.transport.headers()))
        .push_bind(&record.owner)
        .push_bind(times.registered_at.timestamp_millis())
        .push_bind(times.updated_at.timestamp_millis());
}

/// Returns the SQL of a record's head, given how each table's rows are written. The JSON of [`Record`] has the same members
/// in the same order.
fn head(tool: &str, resource: &str, prompt: &str) -> String {
    let texts =
        Record::TEXTS.map(|member| format!(" || ',\"{0}\":' || json_quote(s.{0})", member.name)).concat();
    let rows = |table: &str, row: &str| {
        format!(
            "coalesce((SELECT group_concat({row}, ',' ORDER BY position) FROM {table} WHERE server = s.number), '')"
        )
    };
    let (tools, resources, prompts) =
        (rows("tools", tool), rows("resources", resource), rows("prompts", prompt));
    format!(
        "'{{\"id\":' || json_quote(s.id) || ',\"name\":' || json_quote(s.name){texts} || \
         ',\"transport\":' || json_quote(s.transport) || ',\"command\":' || coalesce(s.command, 'null') || \
         ',\"url\":' || json_quote(s.url) || ',\"environment\":' || s.environment || ',\"headers\":' || s.headers || \
         ',\"capabilities\":{{\"tools\":[' || {tools} || '],\"resources\":[' || {resources} || \
         '],\"prompts\":[' || {prompts} || ']' || \
         coalesce((SELECT group_concat(',' || json_quote(name) || ':' || options, '' ORDER BY name) FROM capabilities \
         WHERE server = s.number AND name NOT IN ('tools', 'resources', 'prompts')), '') || \
         '}},\"tags\":' || (SELECT json_group_array(tag ORDER BY tag) FROM tags WHERE server = s.number) || \
         ',\"metadata\":' || (SELECT json_group_object(key, value ORDER BY key) FROM metadata WHERE server = s.number) || \
         ',\"owner\":' || json_quote(s.owner) || '}}'"
    )
}

/// A member of an object that is omitted if it is NULL.
macro_rules! member {
    ($column:literal, $key:literal) => {
        concat!(" || iif(", $column, " IS NULL, '', ',\"", $key, "\":' || json_quote(", $column, "))")
    };
}

/// A tool or prompt in a summary.
const DEFINITION: &str = concat!(
    "'{\"name\":' || json_quote(name)",
    member!("title", "title"),
    member!("description", "description"),
    " || '}'"
);

/// A resource in a summary.
const RESOURCE: &str = concat!(
    "'{' || iif(uri IS NULL, '\"uri_template\":' || json_quote(uri_template), '\"uri\":' || json_quote(uri))",
    member!("name", "name"),
    member!("title", "title"),
    member!("description", "description"),
    member!("mime_type", "mimeType"),
    " || '}'"
);

/// The head of a summary, as cached in the table `summaries`.
static SUMMARY_HEAD: LazyLock<String> = LazyLock::new(|| head(DEFINITION, RESOURCE, DEFINITION));

/// Fills in the summaries that are missing because the tables were edited or come from an older version.
pub(super) static FILL_SUMMARIES: LazyLock<String> = LazyLock::new(|| {
    format!(
        "UPDATE summaries SET record = (SELECT {} FROM servers s WHERE s.number = summaries.server) WHERE record IS NULL",
        *SUMMARY_HEAD
    )
});

/// Inserts the rows of `summaries` that were deleted by hand.
pub(super) const ADD_MISSING_SUMMARIES: &str = "INSERT INTO summaries (server) SELECT number FROM servers WHERE number NOT IN (SELECT server FROM summaries)";

/// Separates the rows of a page; no JSON text contains it.
pub(super) const SEPARATOR: char = '\u{1e}';

/// Returns the expression of a record's text over the tables `s`, `l` and `c`: numbers, followed by its head. In the full
/// view, every definition is as it was registered.
pub(super) fn columns(view: View) -> &'static str {
    static COLUMNS: LazyLock<[String; 2]> = LazyLock::new(|| {
        let summary = format!("coalesce(c.record, {})", *SUMMARY_HEAD);
        [summary, head("definition", "definition", "definition")].map(|head| {
            format!("concat_ws(' ', s.number, l.ttl, l.expires_at, l.refreshed_at, s.registered_at, s.updated_at, {head})")
        })
    });
    let [summary, full] = &*COLUMNS;
    match view {
        View::Summary => summary,
        View::Full => full,
    }
}

/// A registration's lease duration and timestamps, which a refresh does not change and the head does not contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordTimes {
    /// In seconds.
    pub(super) ttl: u32,
    pub(super) registered_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
}

/// A record as JSON, except for its lease. All responses share it until the server is registered again.
#[derive(Debug)]
pub(crate) struct Rendered {
    pub(super) number: i64,
    view: View,
    pub(super) times: RecordTimes,
    head_length: usize,
    before_health: Box<str>,
    after_health: Box<str>,
    fingerprint: OnceLock<u64>,
    record: OnceLock<Arc<Record>>,
}

/// When a lease expires, in lease time, and when it was last refreshed, by the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LeaseTimes {
    pub(super) expires_at: i64,
    pub(super) refreshed_at: i64,
}

impl RecordTimes {
    pub(super) fn state(self, lease: LeaseTimes, now: Moment) -> ServerState {
        let Self { ttl, registered_at, updated_at } = self;
        ServerState {
            ttl,
            health: lease.health(now),
            registered_at,
            updated_at,
            refreshed_at: time(lease.refreshed_at),
            expires_at: now.wall_of(lease.expires_at),
            score: None,
        }
    }
}

impl LeaseTimes {
    pub(super) fn health(self, now: Moment) -> Health {
        if self.expires_at > now.lease { Health::Healthy } else { Health::Unhealthy }
    }
}

/// A server in a response.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(super) rendered: Arc<Rendered>,
    pub(super) lease: LeaseTimes,
}

impl Entry {
    /// Creates the entry of a server that is about to be stored, given the head of its summary.
    pub(super) fn new(
        number: i64,
        id: &str,
        head: &str,
        times: RecordTimes,
        lease: LeaseTimes,
    ) -> Result<Self, StoreError> {
        let rendered = Rendered::new(number, View::Summary, head, times).ok_or_else(|| unreadable_row(id))?;
        Ok(Self { rendered: Arc::new(rendered), lease })
    }

    /// Parses the text that [`columns`] selects.
    pub(super) fn parse(text: &str, view: View) -> Result<Self, StoreError> {
        Self::read(text, view).ok_or_else(|| unreadable_row(text.get(..60).unwrap_or(text)).into())
    }

    fn read(text: &str, view: View) -> Option<Self> {
        let mut fields = text.splitn(7, ' ');
        let mut next = || fields.next()?.parse::<i64>().ok();
        let (number, ttl, expires_at, refreshed_at) = (next()?, next()?, next()?, next()?);
        let (registered_at, updated_at) = (next()?, next()?);
        let times = RecordTimes {
            ttl: u32::try_from(ttl).ok()?,
            registered_at: time(registered_at),
            updated_at: time(updated_at),
        };
        let rendered = Arc::new(Rendered::new(number, view, fields.next()?, times)?);
        Some(Self { rendered, lease: LeaseTimes { expires_at, refreshed_at } })
    }

    /// Returns the server for an in-process caller.
    pub(crate) fn server(&self, now: Moment) -> Result<Server, StoreError> {
        Ok(Server::new(self.rendered.record()?, self.rendered.times.state(self.lease, now)))
    }

    /// Appends the record as JSON.
    pub(crate) fn write_json(&self, json: &mut String, now: Moment) {
        let Rendered { before_health, after_health, .. } = &*self.rendered;
        json.push_str(before_health);
        json.push_str(self.lease.health(now).as_str());
        json.push_str(after_health);
        push_time(json, &time(self.lease.refreshed_at));
        json.push_str("\",\"expires_at\":\"");
        push_time(json, &now.wall_of(self.lease.expires_at));
        json.push_str("\"}");
    }

    pub(crate) fn json(&self, now: Moment) -> String {
        let mut json = String::with_capacity(self.rendered.bytes());
        self.write_json(&mut json, now);
        json
    }

    /// Returns the approximate size of its JSON in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.rendered.bytes()
    }

    /// Returns a hash of everything except the times of the lease.
    pub(crate) fn fingerprint(&self, now: Moment) -> u64 {
        self.rendered.fingerprint() ^ u64::from(self.lease.health(now) == Health::Healthy)
    }
}

impl Rendered {
    pub(super) fn new(number: i64, view: View, head: &str, times: RecordTimes) -> Option<Self> {
        let open = head.strip_suffix('}')?;
        let ttl = times.ttl.to_string();
        let before_health = [open, ",\"ttl\":", &ttl, ",\"health\":\""].concat();
        let mut after_health = String::with_capacity(130);
        after_health.push_str("\",\"registered_at\":\"");
        push_time(&mut after_health, &times.registered_at);
        after_health.push_str("\",\"updated_at\":\"");
        push_time(&mut after_health, &times.updated_at);
        after_health.push_str("\",\"refreshed_at\":\"");
        Some(Self {
            number,
            view,
            times,
            head_length: open.len(),
            before_health: before_health.into(),
            after_health: after_health.into(),
            fingerprint: OnceLock::new(),
            record: OnceLock::new(),
        })
    }

    /// Returns a hash of its JSON.
    fn fingerprint(&self) -> u64 {
        *self.fingerprint.get_or_init(|| {
            let mut hasher = foldhash::quality::FixedState::default().build_hasher();
            hasher.write(self.before_health.as_bytes());
            hasher.write(self.after_health.as_bytes());
            hasher.finish()
        })
    }

    /// Returns the head; of a summary, the value of `summaries.record`.
    pub(super) fn head(&self) -> String {
        let open = self.before_health.get(..self.head_length).unwrap_or_default();
        format!("{open}}}")
    }

    /// Returns the approximate size in bytes of a response that contains it.
    pub(super) fn bytes(&self) -> usize {
        self.before_health.len() + self.after_health.len() + 64
    }

    /// Returns the record for an in-process caller. A summary is parsed once and shared. A full record is parsed at every
    /// call, since keeping both forms would take three times the memory.
    pub(super) fn record(&self) -> Result<Arc<Record>, StoreError> {
        if let Some(record) = self.record.get() {
            return Ok(Arc::clone(record));
        }
        let record = serde_json::from_str(&self.head());
        let record: Record = record.map_err(|_| unreadable_row(&format!("number {}", self.number)))?;
        let record = Arc::new(record);
        Ok(match self.view {
            View::Summary => Arc::clone(self.record.get_or_init(|| record)),
            View::Full => record,
        })
    }

    /// Returns its approximate size in bytes in the cache: the text, plus about three times that for the parsed record.
    pub(super) fn cached_bytes(&self) -> usize {
        match self.view {
            View::Summary => self.bytes() * 4,
            View::Full => self.bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::model::{Filter, ParseError, Registration};
    use crate::registry::Registry;

    /// Returns a registration whose optional texts are all these.
    fn with_texts(text: impl Fn(&str) -> String) -> Result<Registration, ParseError> {
        let mut body = Map::from_iter([
            ("id".to_owned(), json!("a")),
            ("name".to_owned(), json!("files")),
            ("transport".to_owned(), json!("stdio")),
            ("command".to_owned(), json!(["x"])),
        ]);
        body.extend(Record::TEXTS.iter().map(|member| (member.name.to_owned(), text(member.name).into())));
        let valid = Registration::from_json(Value::Object(body).to_string().as_bytes())?;
        Ok(valid.get().clone())
    }

    #[tokio::test]
    async fn every_optional_text_is_stored_returned_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("paulina.db");
        for version in ["first", "\"second\" é"] {
            let registry = Registry::open(&path).await.unwrap();
            let registration = with_texts(|name| format!("{version} {name}")).unwrap();
            assert_eq!(registry.register(registration.clone()).await.unwrap().created, version == "first");
            registry.close().await;
            let registry = Registry::open(&path).await.unwrap();
            let full = registry.get("a").await.unwrap().unwrap();
            let page = registry.find(Filter::new()).await.unwrap();
            for server in [&full, &page.servers[0]] {
                let json = serde_json::to_value(server).unwrap();
                for member in &Record::TEXTS {
                    let expected = format!("{version} {}", member.name);
                    assert_eq!((member.get)(server.record()), &Some(expected.clone()), "{}", member.name);
                    assert_eq!(json[member.name], expected, "{}", member.name);
                }
            }
            assert_eq!(Registration::from(&full), registration);
            registry.close().await;
        }
    }

    #[test]
    fn every_optional_text_has_a_maximum_length() {
        let Err(ParseError::Invalid(violations)) = with_texts(|_| "x".repeat(20_000)) else {
            panic!("valid")
        };
        let pointers: Vec<_> = violations.into_iter().map(|violation| violation.pointer).collect();
        assert_eq!(pointers, Record::TEXTS.map(|member| format!("/{}", member.name)));
    }
}
