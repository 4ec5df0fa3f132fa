//! The table `changes`: every change, numbered without gaps, written in the transaction of the change.

use std::sync::Arc;

use futures_util::TryStreamExt;
use sqlx::{Connection, SqliteConnection};

use super::multi_statement::MultiStatement;
use crate::model::{ChangeKind, Revision};
use crate::store::cache::subscriptions::{ChangeEvent, Side};
use crate::store::error::StoreError;
use crate::store::moment::Moment;

/// How many changes are kept for watchers that resume.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChangeRetention {
    /// The number of changes.
    pub(crate) rows: u64,
    /// The size of the summaries in them, in bytes.
    pub(crate) bytes: u64,
    /// Their age, in milliseconds.
    pub(crate) age: u64,
}

/// The revision of an open transaction, and its changes.
#[derive(Debug)]
pub(in crate::store) struct ChangeLog {
    pub(in crate::store) revision: i64,
    pending: Vec<PendingChange>,
    written: Vec<PendingChange>,
}

#[derive(Debug)]
struct PendingChange {
    revision: i64,
    kind: ChangeKind,
    server: String,
    before: Option<String>,
    after: Option<String>,
}

impl ChangeLog {
    pub(in crate::store) fn new(revision: i64) -> Self {
        Self { revision, pending: Vec::new(), written: Vec::new() }
    }

    /// Records a change, with the server's summary before and after it, under the next revision.
    pub(in crate::store) fn record(
        &mut self,
        kind: ChangeKind,
        server: &str,
        before: Option<String>,
        after: Option<String>,
    ) {
        self.revision += 1;
        self.pending.push(PendingChange {
            revision: self.revision,
            kind,
            server: server.to_owned(),
            before,
            after,
        });
    }

    /// Writes the recorded changes and the revision.
    pub(in crate::store) fn write(&mut self, statements: &mut MultiStatement, now: Moment) {
        let into = "changes (revision, at, kind, server, before, after)";
        statements.insert(into, &self.pending, "", |row, change| {
            row.push_bind(change.revision)
                .push_bind(now.wall)
                .push_bind(change.kind.as_str())
                .push_bind(&change.server)
                .push_bind(&change.before)
                .push_bind(&change.after);
        });
        self.written.append(&mut self.pending);
        statements.push("UPDATE settings SET revision = ").bind(self.revision);
        statements.push(", lease_clock = ").bind(now.lease);
        statements.push(", wall_offset = ").bind(now.offset).push(";\n");
    }

    /// Returns the written changes, for watchers.
    pub(in crate::store) fn into_events(self, now: Moment) -> impl Iterator<Item = Arc<ChangeEvent>> {
        self.written.into_iter().map(move |change| {
            Arc::new(ChangeEvent {
                revision: u64::try_from(change.revision).unwrap_or_default(),
                kind: change.kind,
                at: now.wall,
                before: change.before.map(Side::new),
                after: change.after.map(Side::new),
            })
        })
    }
}

/// Consecutive changes, and the current revision.
pub(crate) struct ChangePage {
    pub(crate) events: Vec<Arc<ChangeEvent>>,
    pub(crate) revision: Revision,
}

/// Returns a few changes after a revision: a summary may have hundreds of kilobytes, and many watchers may read at once.
pub(in crate::store) async fn after(
    connection: &mut SqliteConnection,
    revision: u64,
) -> Result<ChangePage, StoreError> {
    const MAX_CHANGES: i64 = 64;
    const MAX_BYTES: usize = 512 * 1024;
    let revision = i64::try_from(revision).unwrap_or(i64::MAX);
    let mut snapshot = connection.begin().await?;
    let settings = sqlx::query!("SELECT epoch, revision FROM settings").fetch_one(&mut *snapshot).await?;
    let (mut events, mut bytes) = (Vec::new(), 0);
    {
        let mut rows = sqlx::query!(
            "SELECT revision, at, kind, before, after FROM changes WHERE revision > ?1 ORDER BY revision LIMIT (0 + ?2)",
            revision,
            MAX_CHANGES
        )
        .fetch(&mut *snapshot);
        while let Some(row) = rows.try_next().await? {
            let unreadable = |()| sqlx::Error::Decode("a change of an unknown kind".into());
            bytes += [&row.before, &row.after].into_iter().flatten().map(String::len).sum::<usize>();
            events.push(Arc::new(ChangeEvent {
                revision: u64::try_from(row.revision).unwrap_or_default(),
                kind: row.kind.parse().map_err(unreadable)?,
                at: row.at,
                before: row.before.map(Side::new),
                after: row.after.map(Side::new),
            }));
            if bytes >= MAX_BYTES {
                break;
            }
        }
    }
    snapshot.commit().await?;
    let number = u64::try_from(settings.revision).unwrap_or_default();
    Ok(ChangePage { events, revision: Revision { epoch: settings.epoch, number } })
}

/// Deletes the oldest changes beyond the retention. The last change stays, since it carries the revision.
pub(in crate::store) async fn trim(
    connection: &mut SqliteConnection,
    retention: ChangeRetention,
    now: Moment,
) -> Result<(), StoreError> {
    let saturating = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let (rows, bytes) = (saturating(retention.rows), saturating(retention.bytes));
    let oldest = now.wall.saturating_sub(saturating(retention.age));
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
