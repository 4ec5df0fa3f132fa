//! What servers and tools are found by, in its tables: written with a registration, read into the index.

use std::collections::{HashMap, HashSet};

use sqlx::{Row as _, SqliteConnection};

use super::StoreError;
use super::rows::Entry;
use super::script::Script;
use super::servers::{self, Key};
use crate::model::{Record, Tool, View};
use crate::search::{Digest, Document, server_digest, tool_digest, version};

/// The documents of a server: its own, and those of its tools in their order. One that is stored already need not be made.
pub(crate) type Documents = Vec<(Digest, Option<Document>)>;

/// Makes the documents of a server but for those that are known.
pub(super) fn documents(record: &Record, is_known: impl Fn(&Digest) -> bool) -> Documents {
    of_record(record, record.capabilities.tools.iter().map(Tool::stored), is_known)
}

/// The same, with the definitions of the tools apart.
fn of_record<'a>(
    record: &Record,
    definitions: impl Iterator<Item = Option<&'a str>>,
    is_known: impl Fn(&Digest) -> bool,
) -> Documents {
    let new = |digest: Digest, make: &dyn Fn() -> Document| (digest, (!is_known(&digest)).then(make));
    let own = new(server_digest(record), &|| Document::of_server(record));
    let tools = record.capabilities.tools.iter().zip(definitions).map(|(tool, definition)| {
        let digest = tool_digest(record, tool, definition);
        new(digest, &|| Document::of_tool(record, tool, definition))
    });
    [own].into_iter().chain(tools).collect()
}

/// Makes the documents of a server that is stored; none if somebody has edited it into what is no record. What its columns say
/// counts, whatever its definitions say.
pub(super) async fn of_stored(
    connection: &mut SqliteConnection,
    server: i64,
    is_known: impl Fn(&Digest) -> bool,
) -> Result<Option<Documents>, StoreError> {
    let summary = servers::load(&mut *connection, Key::Number(server), View::Summary).await?;
    let full = servers::load(connection, Key::Number(server), View::Full).await?;
    let record = |row: Option<Entry>| row.and_then(|row| row.rendered.record().ok());
    let (Some(summary), Some(full)) = (record(summary), record(full)) else { return Ok(None) };
    let definitions = full.capabilities.tools.iter().map(Tool::stored);
    Ok(Some(of_record(&summary, definitions, is_known)))
}

/// What is stored stays, unless another version has made it.
const OR_NEWER: &str = " ON CONFLICT (digest) DO UPDATE SET version = excluded.version, name = excluded.name, \
                        words = excluded.words, vector = excluded.vector WHERE search_texts.version <> excluded.version";

/// Writes the documents of servers that have none.
pub(super) fn insert<'a>(script: &mut Script, servers: impl Iterator<Item = (i64, &'a Documents)> + Clone) {
    let all = servers.clone().flat_map(|(_, documents)| documents);
    let new: Vec<_> = all.filter_map(|(digest, document)| Some((digest, document.as_ref()?))).collect();
    let into = "search_texts (digest, version, name, words, vector)";
    script.insert(into, &new, OR_NEWER, |row, (digest, document)| {
        row.push_bind(digest.to_vec())
            .push_bind(version())
            .push_bind(&document.name)
            .push_bind(document.words())
            .push_bind(document.vector_bytes());
    });
    let own = |(server, documents): (i64, &'a Documents)| {
        (0_i64..).zip(documents).map(move |(position, (digest, _))| (server, position, digest))
    };
    let entries: Vec<_> = servers.flat_map(own).collect();
    script.insert(
        "search_entries (server, position, digest)",
        &entries,
        "",
        |row, (server, position, digest)| {
            row.push_bind(*server).push_bind(*position).push_bind(digest.to_vec());
        },
    );
}

/// A few servers from a number on that have not all of their documents, or some of another version.
pub(super) async fn missing(
    connection: &mut SqliteConnection,
    after: i64,
    limit: i64,
) -> Result<Vec<i64>, StoreError> {
    let version = version();
    let rows = sqlx::query!(
        "SELECT number FROM servers s WHERE number > ?1 AND (\
         NOT EXISTS (SELECT 1 FROM search_entries e WHERE e.server = s.number) OR \
         EXISTS (SELECT 1 FROM search_entries e WHERE e.server = s.number AND NOT EXISTS \
         (SELECT 1 FROM search_texts t WHERE t.digest = e.digest AND t.version = ?2))) \
         ORDER BY number LIMIT (0 + ?3)",
        after,
        version,
        limit
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| row.number).collect())
}

/// Whether all documents are of this version, as far as the database knows.
pub(super) async fn are_complete(connection: &mut SqliteConnection) -> Result<bool, StoreError> {
    let row = sqlx::query!("SELECT search_version FROM settings").fetch_one(connection).await?;
    Ok(row.search_version == version())
}

/// Notes that all documents are of this version.
pub(super) async fn mark_complete(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let version = version();
    sqlx::query!("UPDATE settings SET search_version = ?1 WHERE search_version <> ?1", version)
        .execute(connection)
        .await?;
    Ok(())
}

/// Takes the documents of servers away that somebody has edited, and says whether there are any.
pub(super) async fn remove_edited(connection: &mut SqliteConnection) -> Result<bool, StoreError> {
    let edited = sqlx::query!(
        "DELETE FROM search_entries WHERE server IN (SELECT server FROM summaries WHERE record IS NULL)"
    )
    .execute(&mut *connection)
    .await?;
    if edited.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query!("UPDATE settings SET search_version = 0").execute(connection).await?;
    Ok(true)
}

/// Takes the documents of a server away.
pub(super) async fn remove(connection: &mut SqliteConnection, server: i64) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM search_entries WHERE server = ?", server).execute(connection).await?;
    Ok(())
}

/// Deletes some of the texts that nobody has any more.
pub(super) async fn sweep(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    const BITE: i64 = 1_000;
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

/// The documents of these servers, of all without a list. A server that is gone is not among them. Texts that are known are
/// not read.
pub(super) async fn load(
    connection: &mut SqliteConnection,
    servers: Option<&[i64]>,
    is_known: impl Fn(&Digest) -> bool,
) -> Result<Vec<(i64, Documents)>, StoreError> {
    let entries = entries(connection, servers).await?;
    let wanted = entries.iter().flat_map(|(_, digests)| digests).filter(|digest| !is_known(digest));
    let wanted: HashSet<Digest> = wanted.copied().collect();
    let mut texts = texts(connection, &wanted).await?;
    let missing: HashSet<Digest> = wanted.into_iter().filter(|digest| !texts.contains_key(digest)).collect();
    let mut loaded = Vec::with_capacity(entries.len());
    for (server, digests) in entries {
        if !digests.is_empty() && !digests.iter().any(|digest| missing.contains(digest)) {
            // The first one brings a text along for all.
            loaded
                .push((server, digests.into_iter().map(|digest| (digest, texts.remove(&digest))).collect()));
            continue;
        }
        // From an older version, or edited by somebody: what is stored is made anew by the writer, and here meanwhile.
        if let Some(documents) = of_stored(connection, server, &is_known).await? {
            loaded.push((server, documents));
        }
    }
    Ok(loaded)
}

/// Servers, and the digests of their texts.
async fn entries(
    connection: &mut SqliteConnection,
    servers: Option<&[i64]>,
) -> Result<Vec<(i64, Vec<Digest>)>, StoreError> {
    const DIGESTS: &str = "SELECT s.number, (SELECT group_concat(hex(digest), '' ORDER BY position) FROM search_entries \
                           WHERE server = s.number) FROM ";
    let rows = match servers {
        None => {
            sqlx::query(sqlx::AssertSqlSafe([DIGESTS, "servers s"].concat())).fetch_all(connection).await?
        }
        Some(servers) => {
            let list = serde_json::json!(servers).to_string();
            let from = "json_each(?1) j CROSS JOIN servers s ON s.number = j.value";
            sqlx::query(sqlx::AssertSqlSafe([DIGESTS, from].concat()))
                .bind(list)
                .fetch_all(connection)
                .await?
        }
    };
    let mut entries = Vec::with_capacity(rows.len());
    for row in rows {
        let digests: Option<&str> = row.try_get(1)?;
        entries.push((row.try_get(0)?, digests.map(read_digests).unwrap_or_default()));
    }
    Ok(entries)
}

/// Texts of this version.
async fn texts(
    connection: &mut SqliteConnection,
    wanted: &HashSet<Digest>,
) -> Result<HashMap<Digest, Document>, StoreError> {
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let list: Vec<String> = wanted.iter().map(hex).collect();
    let list = serde_json::json!(list).to_string();
    let version = version();
    let rows = sqlx::query!(
        r#"SELECT t.digest, t.name, t.words, t.vector FROM json_each(?1) j
           CROSS JOIN search_texts t ON t.digest = unhex(j.value) AND t.version = ?2"#,
        list,
        version
    )
    .fetch_all(connection)
    .await?;
    let text = |row| {
        let (digest, name, words, vector): (Vec<u8>, String, String, Option<Vec<u8>>) = row;
        let digest = Digest::try_from(digest).ok()?;
        Some((digest, Document::read(name, &words, vector.as_deref())))
    };
    Ok(rows.into_iter().filter_map(|row| text((row.digest, row.name, row.words, row.vector))).collect())
}

fn hex(digest: &Digest) -> String {
    use std::fmt::Write as _;
    digest.iter().fold(String::with_capacity(32), |mut text, byte| {
        let _ = write!(text, "{byte:02X}");
        text
    })
}

fn read_digests(text: &str) -> Vec<Digest> {
    let byte =
        |at: usize| u8::from_str_radix(text.get(at..at + 2).unwrap_or_default(), 16).unwrap_or_default();
    let count = text.len() / 32;
    (0..count).map(|number| std::array::from_fn(|place| byte(number * 32 + place * 2))).collect()
}
