//! The table `changes`: what happened, numbered without gaps, written in the transaction that it describes.

use std::sync::Arc;

use futures_util::TryStreamExt;
use sqlx::{Connection, SqliteConnection};

use super::multi_statement::Script;
use crate::model::{ChangeKind, Revision};
use crate::store::cache::subscriptions::{Event, Side};
use crate::store::error::StoreError;
use crate::store::moment::Moment;

/// How much of the past is kept for who resumes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kept {
    /// Changes.
    pub(crate) rows: u64,
    /// Bytes of summaries in them.
    pub(crate) bytes: u64,
    /// How old they may become, in milliseconds.
    pub(crate) age: u64,
}

/// The revision that a transaction has come to, and the changes on the way that are not written yet.
#[derive(Debug)]
pub(in crate::store) struct Ledger {
    pub(in crate::store) revision: i64,
    pending: Vec<Pending>,
    written: Vec<Pending>,
}

#[derive(Debug)]
struct Pending {
    revision: i64,
    kind: ChangeKind,
    server: String,
    before: Option<String>,
    after: Option<String>,
}

impl Ledger {
    pub(in crate::store) fn new(revision: i64) -> Self {
        Self { revision, pending: Vec::new(), written: Vec::new() }
    }

    /// Records a change, with the server's summary before and after, and gives it the next number.
    pub(in crate::store) fn record(
        &mut self,
        kind: ChangeKind,
        server: &str,
        before: Option<String>,
        after: Option<String>,
    ) {
        self.revision += 1;
        self.pending.push(Pending {
            revision: self.revision,
            kind,
            server: server.to_owned(),
            before,
            after,
        });
    }

    /// Writes what was recorded, and how far it has come.
    pub(in crate::store) fn write(&mut self, script: &mut Script, now: Moment) {
        let into = "changes (revision, at, kind, server, before, after)";
        script.insert(into, &self.pending, "", |row, change| {
            row.push_bind(change.revision)
                .push_bind(now.wall)
                .push_bind(change.kind.as_str())
                .push_bind(&change.server)
                .push_bind(&change.before)
                .push_bind(&change.after);
        });
        self.written.append(&mut self.pending);
        script.push("UPDATE settings SET revision = ").bind(self.revision);
        script.push(", lease_clock = ").bind(now.lease);
        script.push(", wall_offset = ").bind(now.offset).push(";\n");
    }
}

impl Ledger {
    /// What was written, for who watches.
    pub(in crate::store) fn into_events(self, now: Moment) -> impl Iterator<Item = Arc<Event>> {
        self.written.into_iter().map(move |change| {
            Arc::new(Event {
                revision: u64::try_from(change.revision).unwrap_or_default(),
                kind: change.kind,
                at: now.wall,
                before: change.before.map(Side::new),
                after: change.after.map(Side::new),
            })
        })
    }
}

/// Changes in their order, and how far the catalogue has come.
pub(crate) struct Passage {
    pub(crate) events: Vec<Arc<Event>>,
    pub(crate) reached: Revision,
}

/// Changes after a revision, a handful of them: a summary may weigh hundreds of kilobytes, and many may read at once.
pub(in crate::store) async fn after(
    connection: &mut SqliteConnection,
    revision: u64,
) -> Result<Passage, StoreError> {
    const HANDFUL: i64 = 64;
    const BYTES: usize = 512 * 1024;
    let revision = i64::try_from(revision).unwrap_or(i64::MAX);
    let mut snapshot = connection.begin().await?;
    let settings = sqlx::query!("SELECT epoch, revision FROM settings").fetch_one(&mut *snapshot).await?;
    let (mut events, mut bytes) = (Vec::new(), 0);
    {
        let mut rows = sqlx::query!(
            "SELECT revision, at, kind, before, after FROM changes WHERE revision > ?1 ORDER BY revision LIMIT (0 + ?2)",
            revision,
            HANDFUL
        )
        .fetch(&mut *snapshot);
        while let Some(row) = rows.try_next().await? {
            let odd = |()| sqlx::Error::Decode("a change of an unknown kind".into());
            bytes += [&row.before, &row.after].into_iter().flatten().map(String::len).sum::<usize>();
            events.push(Arc::new(Event {
                revision: u64::try_from(row.revision).unwrap_or_default(),
                kind: row.kind.parse().map_err(odd)?,
                at: row.at,
                before: row.before.map(Side::new),
                after: row.after.map(Side::new),
            }));
            if bytes >= BYTES {
                break;
            }
        }
    }
    snapshot.commit().await?;
    let number = u64::try_from(settings.revision).unwrap_or_default();
    Ok(Passage { events, reached: Revision { epoch: settings.epoch, number } })
}

/// Deletes the oldest changes beyond what is kept. The last one stays, since it says how far the catalogue has come.
pub(in crate::store) async fn trim(
    connection: &mut SqliteConnection,
    kept: Kept,
    now: Moment,
) -> Result<(), StoreError> {
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let (rows, bytes) = (whole(kept.rows), whole(kept.bytes));
    let oldest = now.wall.saturating_sub(whole(kept.age));
    sqlx::query!(
        "DELETE FROM changes WHERE revision < (SELECT max(revision) FROM changes) AND (\
         revision <= (SELECT max(revision) - ?1 FROM changes) OR revision <= coalesce((\
         SELECT max(revision) FROM (SELECT revision, sum(coalesce(length(before), 0) + coalesce(length(after), 0)) \
         OVER (ORDER BY revision DESC) AS bytes FROM changes) WHERE bytes > ?2), 0) OR revision <= coalesce((SELECT max(revision) FROM changes WHERE at < ?3), 0))",
        rows,
        bytes,
        oldest
    )
    .execute(connection)
    .await?;
    Ok(())
}
