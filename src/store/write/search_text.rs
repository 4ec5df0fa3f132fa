//! What servers and their tools are found by, in its tables: written with a registration, read into the index.

use std::collections::HashMap;

use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

use super::multi_statement::Script;
use crate::model::{Record, Tool, View};
use crate::search::{Digest, digest, documents_of, encode, version};
use crate::store::error::StoreError;
use crate::store::read::lookup::{self, Key};
use crate::store::record::Entry;

/// The text of a server, and its documents as they are stored, unless they are already.
#[derive(Debug)]
pub(in crate::store) struct Text {
    pub(in crate::store) digest: Digest,
    pub(in crate::store) documents: Option<Vec<u8>>,
}

impl Text {
    /// Makes the documents of a server unless they are known.
    pub(in crate::store) fn of(record: &Record, is_known: impl Fn(&Digest) -> bool) -> Self {
        Self::with_definitions(record, || record.capabilities.tools.iter().map(Tool::stored), is_known)
    }

    fn with_definitions<'a, I: Iterator<Item = Option<&'a str>>>(
        record: &Record,
        definitions: impl Fn() -> I,
        is_known: impl Fn(&Digest) -> bool,
    ) -> Self {
        let digest = digest(record, definitions());
        let documents = (!is_known(&digest)).then(|| encode(&documents_of(record, definitions())));
        Self { digest, documents }
    }

    /// Makes the documents of a server that is stored; none if somebody has edited it into what is no record. What its columns
    /// say counts, whatever its definitions say.
    pub(in crate::store) async fn of_stored(
        connection: &mut SqliteConnection,
        server: i64,
        is_known: impl Fn(&Digest) -> bool,
    ) -> Result<Option<Self>, StoreError> {
        let summary = readable(lookup::load(&mut *connection, Key::Number(server), View::Summary).await)?;
        let full = readable(lookup::load(connection, Key::Number(server), View::Full).await)?;
        let record = |row: Option<Entry>| row.and_then(|row| row.rendered.record().ok());
        let (Some(summary), Some(full)) = (record(summary), record(full)) else { return Ok(None) };
        let definitions = || full.capabilities.tools.iter().map(Tool::stored);
        Ok(Some(Self::with_definitions(&summary, definitions, is_known)))
    }

    /// About how many bytes it writes.
    pub(in crate::store) fn bytes(&self) -> usize {
        self.documents.as_ref().map_or(0, Vec::len)
    }
}

/// A row that is none any more, as nothing: the others are to be found.
fn readable(row: Result<Option<Entry>, StoreError>) -> Result<Option<Entry>, StoreError> {
    match row {
        Err(StoreError::Failed(sqlx::Error::Decode(_))) => Ok(None),
        row => row,
    }
}

/// What is stored stays, unless another version has made it, or somebody has edited it.
const OR_NEWER: &str = " ON CONFLICT (digest) DO UPDATE SET version = excluded.version, documents = excluded.documents \
                        WHERE search_texts.version <> excluded.version OR search_texts.documents <> excluded.documents";

/// Writes what servers are found by that have none.
pub(in crate::store) fn insert<'a>(
    script: &mut Script,
    servers: impl Iterator<Item = (i64, &'a Text)> + Clone,
) {
    let new = servers.clone().filter_map(|(_, text)| Some((&text.digest, text.documents.as_ref()?)));
    let new: Vec<_> = new.collect();
    script.insert("search_texts (digest, version, documents)", &new, OR_NEWER, |row, (digest, documents)| {
        row.push_bind(digest.to_vec()).push_bind(version()).push_bind((*documents).clone());
    });
    let entries: Vec<_> = servers.collect();
    script.insert("search_entries (server, digest)", &entries, "", |row, (server, text)| {
        row.push_bind(*server).push_bind(text.digest.to_vec());
    });
}

/// A few servers from a number on that have no text of this version.
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

/// Whether all texts are of this version, as far as the database knows.
pub(in crate::store) async fn are_complete(connection: &mut SqliteConnection) -> Result<bool, StoreError> {
    let row = sqlx::query!("SELECT search_version FROM settings").fetch_one(connection).await?;
    Ok(row.search_version == version())
}

/// Notes that all texts are of this version.
pub(in crate::store) async fn mark_complete(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let version = version();
    sqlx::query!("UPDATE settings SET search_version = ?1 WHERE search_version <> ?1", version)
        .execute(connection)
        .await?;
    Ok(())
}

/// Takes the texts of servers away that somebody has edited, and says whether there are any.
pub(in crate::store) async fn remove_edited(connection: &mut SqliteConnection) -> Result<bool, StoreError> {
    // First what says that there is something to do: a crash in between leaves it said.
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

/// Takes the text of a server away.
pub(in crate::store) async fn remove(
    connection: &mut SqliteConnection,
    server: i64,
) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM search_entries WHERE server = ?", server).execute(connection).await?;
    Ok(())
}

/// Deletes some of the texts that nobody has any more.
pub(in crate::store) async fn sweep(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    const BITE: i64 = 500;
    sqlx::query!(
        "DELETE FROM search_texts WHERE digest IN (SELECT digest FROM search_unused ORDER BY digest LIMIT (0 + ?1)) \
         AND NOT EXISTS (SELECT 1 FROM search_entries e WHERE e.digest = search_texts.digest)",
        BITE
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "DELETE FROM search_unused WHERE digest IN (SELECT digest FROM search_unused ORDER BY digest LIMIT (0 + ?1))",
        BITE
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// These servers, or all without a list, and the digests of their texts. A server that is gone is not among them.
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

/// The documents of texts of this version, as far as they are stored.
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
