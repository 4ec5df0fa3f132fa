//! The table `changes`: what happened, numbered without gaps, written in the transaction that it describes.

use sqlx::SqliteConnection;

use super::{Moment, StoreError};
use crate::model::{ChangeKind, Json, Server};

/// How many changes are kept.
const KEPT_ROWS: i64 = 10_000;
/// How many bytes of summaries are kept.
const KEPT_BYTES: i64 = 64 * 1024 * 1024;

/// The revision that a transaction has come to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ledger {
    pub(super) revision: i64,
}

impl Ledger {
    /// Records a change and gives it the next number.
    pub(super) async fn record(
        &mut self,
        connection: &mut SqliteConnection,
        kind: ChangeKind,
        before: Option<&Server>,
        after: Option<&Server>,
        now: Moment,
    ) -> Result<(), StoreError> {
        let Some(id) = after.or(before).map(|server| server.id.as_str()) else { return Ok(()) };
        let revision = self.revision + 1;
        let kind = kind.as_str();
        let before = before.map(summary).transpose()?;
        let after = after.map(summary).transpose()?;
        let (before, after) = (before.as_ref().map(Json::as_str), after.as_ref().map(Json::as_str));
        sqlx::query!(
            "INSERT INTO changes (revision, at, kind, server, before, after) VALUES (?, ?, ?, ?, ?, ?)",
            revision,
            now.wall,
            kind,
            id,
            before,
            after
        )
        .execute(connection)
        .await?;
        self.revision = revision;
        Ok(())
    }
}

fn summary(server: &Server) -> Result<Json, StoreError> {
    let text = serde_json::to_string(&server.summary()).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let json = Json::parse(&text).map_err(|error| sqlx::Error::Encode(error.into()))?;
    Ok(json)
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
