//! The table `changes`: what happened, numbered without gaps, written in the transaction that it describes.

use sqlx::SqliteConnection;

use super::script::Script;
use super::{Moment, StoreError};
use crate::model::ChangeKind;

/// How many changes are kept.
const KEPT_ROWS: i64 = 10_000;
/// How many bytes of summaries are kept.
const KEPT_BYTES: i64 = 64 * 1024 * 1024;

/// The revision that a transaction has come to, and the changes on the way that are not written yet.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) revision: i64,
    pending: Vec<Pending>,
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
    pub(super) fn new(revision: i64) -> Self {
        Self { revision, pending: Vec::new() }
    }

    /// Records a change, with the server's summary before and after, and gives it the next number.
    pub(super) fn record(
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
    pub(super) fn write(&mut self, script: &mut Script, now: Moment) {
        let into = "changes (revision, at, kind, server, before, after)";
        script.insert(into, &self.pending, "", |row, change| {
            row.push_bind(change.revision)
                .push_bind(now.wall)
                .push_bind(change.kind.as_str())
                .push_bind(&change.server)
                .push_bind(&change.before)
                .push_bind(&change.after);
        });
        self.pending.clear();
        script.push("UPDATE settings SET revision = ").bind(self.revision);
        script.push(", lease_clock = ").bind(now.lease);
        script.push(", wall_offset = ").bind(now.offset).push(";\n");
    }
}

/// Deletes the oldest changes beyond what is kept.
pub(super) async fn trim(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    sqlx::query!(
        "DELETE FROM changes WHERE revision <= (SELECT max(revision) - ?1 FROM changes) OR revision <= coalesce((\
         SELECT max(revision) FROM (SELECT revision, sum(coalesce(length(before), 0) + coalesce(length(after), 0)) \
         OVER (ORDER BY revision DESC) AS bytes FROM changes) WHERE bytes > ?2), 0)",
        KEPT_ROWS,
        KEPT_BYTES
    )
    .execute(connection)
    .await?;
    Ok(())
}
