//! The search texts of servers and their tools: written with a registration, read into the index.

use std::collections::HashMap;

use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

use super::multi_statement::MultiStatement;
use crate::model::{Json, Record, Tool, View};
use crate::search::{Digest, digest, documents_of, encode, version};
use crate::store::error::StoreError;
use crate::store::read::lookup::{self, ServerKey};
use crate::store::record::Entry;

/// The digest of a server's search text, and its encoded documents unless they are stored already.
#[derive(Debug)]
pub(in crate::store) struct Text {
    pub(in crate::store) digest: Digest,
    pub(in crate::store) documents: Option<Vec<u8>>,
}

impl Text {
    /// Creates the text of a server. Known documents are not encoded again.
    pub(in crate::store) fn of(record: &Record, is_known: impl Fn(&Digest) -> bool) -> Self {
        Self::with_definitions(record, || record.capabilities.tools.iter().map(Tool::definition), is_known)
    }

    fn with_definitions<'a, I: Iterator<Item = &'a Json>>(
        record: &Record,
        definitions: impl Fn() -> I,
        is_known: impl Fn(&Digest) -> bool,
    ) -> Self {
        let digest = digest(record, definitions());
        let documents = (!is_known(&digest)).then(|| encode(&documents_of(record, definitions())));
        Self { digest, documents }
    }

    /// Creates the text of a stored server; none if it was edited into an invalid record. Its columns take precedence over
    /// its definitions.
    pub(in crate::store) async fn of_stored(
        connection: &mut SqliteConnection,
        server: i64,
        is_known: impl Fn(&Digest) -> bool,
    ) -> Result<Option<Self>, StoreError> {
        let summary =
            readable(lookup::load(&mut *connection, ServerKey::Number(server), View::Summary).await)?;
        let full = readable(lookup::load(connection, ServerKey::Number(server), View::Full).await)?;
        let record = |row: Option<Entry>| row.and_then(|row| row.rendered.record().ok());
        let (Some(summary), Some(full)) = (record(summary), record(full)) else { return Ok(None) };
        let definitions = || full.capabilities.tools.iter().map(Tool::definition);
        Ok(Some(Self::with_definitions(&summary, definitions, is_known)))
    }

    /// Returns the approximate number of bytes that it writes.
    pub(in crate::store) fn bytes(&self) -> usize {
        self.documents.as_ref().map_or(0, Vec::len)
    }
}

/// Treats an unreadable row as missing, so that the other servers are found.
fn readable(row: Result<Option<Entry>, StoreError>) -> Result<Option<Entry>, StoreError> {
    match row {
        Err(StoreError::Failed(sqlx::Error::Decode(_))) => Ok(None),
        row => row,
    }
}

/// Stored documents are kept unless they come from another version or were edited.
const UPSERT: &str = " ON CONFLICT (digest) DO UPDATE SET version = excluded.version, documents = excluded.documents \
                        WHERE search_texts.version <> excluded.version OR search_texts.documents <> excluded.documents";

/// Inserts the texts of servers that have none.
pub(in crate::store) fn insert<'a>(
    statements: &mut MultiStatement,
    servers: impl Iterator<Item = (i64, &'a Text)> + Clone,
) {
    let new = servers.clone().filter_map(|(_, text)| Some((&text.digest, text.documents.as_ref()?)));
    let new: Vec<_> = new.collect();
    statements.insert(
        "search_texts (digest, version, documents)",
        &new,
        UPSERT,
        |row, (digest, documents)| {
            row.push_bind(digest.to_vec()).push_bind(version()).push_bind((*documents).clone());
        },
    );
    let entries: Vec<_> = servers.collect();
    statements.insert("search_entries (server, digest)", &entries, "", |row, (server, text)| {
        row.push_bind(*server).push_bind(text.digest.to_vec());
    });
}

/// Returns a few servers after a number that have no text of this version.
pub(in crate::store) async fn missing(
    connection: &mut SqliteConnection,
    after: i64,
    limit: i64,
) -> Result<Vec<i64>, StoreError> {
    let version = version();
    let rows = sqlx::query!(
        "SELECT number FROM servers s WHERE number > ?1 AND NOT EXISTS (SELECT 1 FROM search_entries e \
         JOIN search_texts t ON t.digest = e.digest WHERE e.server = s.number AND t.version = ?2) \
         ORDER BY number LIMIT (0 + ?3)",
        after,
        version,
        limit
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| row.number).collect())
}

/// Returns whether all texts are recorded to be of this version.
pub(in crate::store) async fn are_complete(connection: &mut SqliteConnection) -> Result<bool, StoreError> {
    let row = sqlx::query!("SELECT search_version FROM settings").fetch_one(connection).await?;
    Ok(row.search_version == version())
}

/// Records that all texts are of this version.
pub(in crate::store) async fn mark_complete(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let version = version();
    sqlx::query!("UPDATE settings SET search_version = ?1 WHERE search_version <> ?1", version)
        .execute(connection)
        .await?;
    Ok(())
}

/// Deletes the texts of servers that were edited. Returns whether there were any.
pub(in crate::store) async fn remove_edited(connection: &mut SqliteConnection) -> Result<bool, StoreError> {
    // The mark comes first, so that it survives a crash in between.
    let edited = sqlx::query!(
        "UPDATE settings SET search_version = 0 WHERE EXISTS (SELECT 1 FROM summaries WHERE record IS NULL)"
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "DELETE FROM search_entries WHERE server IN (SELECT server FROM summaries WHERE record IS NULL)"
    )
    .execute(connection)
    .await?;
    Ok(edited.rows_affected() > 0)
}

/// Deletes the text of a server.
pub(in crate::store) async fn remove(
    connection: &mut SqliteConnection,
    server: i64,
) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM search_entries WHERE server = ?", server).execute(connection).await?;
    Ok(())
}

/// Deletes some of the texts that no server uses any more.
pub(in crate::store) async fn delete_unused(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    const SWEEP_BATCH_SIZE: i64 = 500;
    sqlx::query!(
        "DELETE FROM search_texts WHERE digest IN (SELECT digest FROM search_unused ORDER BY digest LIMIT (0 + ?1)) \
         AND NOT EXISTS (SELECT 1 FROM search_entries e WHERE e.digest = search_texts.digest)",
        SWEEP_BATCH_SIZE
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "DELETE FROM search_unused WHERE digest IN (SELECT digest FROM search_unused ORDER BY digest LIMIT (0 + ?1))",
        SWEEP_BATCH_SIZE
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Returns these servers, or all without a list, and the digests of their texts. Removed servers are omitted.
pub(in crate::store) async fn entries(
    connection: &mut SqliteConnection,
    servers: Option<&[i64]>,
) -> Result<Vec<(i64, Option<Digest>)>, StoreError> {
    const ENTRIES: &str = "SELECT group_concat(s.number || ':' || coalesce(hex(e.digest), ''), ' ') FROM ";
    const THEIR_TEXTS: &str = " LEFT JOIN search_entries e ON e.server = s.number";
    let row = match servers {
        None => {
            let sql = [ENTRIES, "servers s", THEIR_TEXTS].concat();
            sqlx::query(AssertSqlSafe(sql)).fetch_one(connection).await?
        }
        Some(servers) => {
            let list = serde_json::json!(servers).to_string();
            let from = "json_each(?1) j CROSS JOIN servers s ON s.number = j.value";
            sqlx::query(AssertSqlSafe([ENTRIES, from, THEIR_TEXTS].concat()))
                .bind(list)
                .fetch_one(connection)
                .await?
        }
    };
    let text: Option<&str> = row.try_get(0)?;
    let entry = |text: &str| {
        let (server, digest) = text.split_once(':')?;
        Some((server.parse().ok()?, read_digest(digest)))
    };
    Ok(text.unwrap_or_default().split(' ').filter_map(entry).collect())
}

/// Returns the stored documents of these texts, as far as they are of this version.
pub(in crate::store) async fn stored(
    connection: &mut SqliteConnection,
    wanted: &[Digest],
) -> Result<HashMap<Digest, Vec<u8>>, StoreError> {
    let list: Vec<String> = wanted.iter().map(hex).collect();
    let list = serde_json::json!(list).to_string();
    let version = version();
    let rows = sqlx::query!(
        "SELECT t.digest, t.documents FROM json_each(?1) j \
         CROSS JOIN search_texts t ON t.digest = unhex(j.value) AND t.version = ?2",
        list,
        version
    )
    .fetch_all(connection)
    .await?;
    let text = |digest: Vec<u8>, documents| Some((Digest::try_from(digest).ok()?, documents));
    Ok(rows.into_iter().filter_map(|row| text(row.digest, row.documents)).collect())
}

fn hex(digest: &Digest) -> String {
    use std::fmt::Write as _;
    digest.iter().fold(String::with_capacity(32), |mut text, byte| {
        let _ = write!(text, "{byte:02X}");
        text
    })
}

fn read_digest(text: &str) -> Option<Digest> {
    let mut digest = Digest::default();
    for (place, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(place * 2..place * 2 + 2)?, 16).ok()?;
    }
    Some(digest)
}
