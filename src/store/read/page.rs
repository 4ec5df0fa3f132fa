//! A page of servers out of SQLite.
//!
//! As one row where it can be: every row and every column of an sqlx query crosses two channels. Servers whose definitions
//! weigh megabytes are read one by one, and the page ends early when it is heavy enough: what is in memory at once is
//! bounded, whatever has been registered.

use futures_util::TryStreamExt;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::query::{self, LARGE};
use crate::model::{Filter, Revision};
use crate::store::error::StoreError;
use crate::store::error::odd_row;
use crate::store::moment::Moment;
use crate::store::record::{Entry, SEPARATOR};

/// See the [module](self).
pub(in crate::store) struct Page {
    pub(in crate::store) rows: Vec<Entry>,
    /// The number of the server that comes next.
    pub(in crate::store) beyond: Option<i64>,
    pub(in crate::store) revision: Revision,
}

/// A page ends with the server that makes it heavier than this.
const PAGE_BYTES: usize = 16 * 1024 * 1024;

/// A page as one row; nothing if it is too large for that.
pub(in crate::store) async fn in_one(
    connection: &mut SqliteConnection,
    filter: &Filter,
    found: Option<&str>,
    now: Moment,
) -> Result<Option<Page>, StoreError> {
    let mut statement = query::servers(filter, found, now);
    let page = statement.build().fetch_one(connection).await?;
    let texts: Option<&str> = page.try_get("servers")?;
    if texts == Some(LARGE) {
        return Ok(None);
    }
    let texts = texts.iter().flat_map(|texts| texts.split(SEPARATOR));
    let mut rows = texts.map(|text| Entry::parse(text, filter.view)).collect::<Result<Vec<_>, _>>()?;
    if found.is_none() {
        rows.sort_by_key(|row| row.rendered.number);
    }
    let limit = filter.limit as usize;
    let beyond = rows.get(limit).map(|row| row.rendered.number);
    rows.truncate(limit);
    Ok(Some(Page { rows, beyond, revision: revision(&page)? }))
}

/// A page row by row, until its limit or until it is heavy enough.
pub(in crate::store) async fn in_rows(
    connection: &mut SqliteConnection,
    filter: &Filter,
    found: Option<&str>,
    now: Moment,
) -> Result<Page, StoreError> {
    let mut statement = query::servers_in_rows(filter, found, now);
    let mut read = statement.build().fetch(connection);
    let mut page: Option<Page> = None;
    let (mut bytes, mut before) = (0, None);
    while let Some(row) = read.try_next().await? {
        let page = match &mut page {
            Some(page) => page,
            None => page.insert(Page { rows: Vec::new(), beyond: None, revision: revision(&row)? }),
        };
        let Some(text) = row.try_get("server")? else { break };
        let entry = Entry::parse(text, filter.view)?;
        let number = entry.rendered.number;
        let place = row.try_get::<Option<i64>, _>("place")?.unwrap_or(number);
        if before.replace(place).is_some_and(|before| before >= place) {
            return Err(odd_row("a page out of order").into());
        }
        if page.rows.len() == filter.limit as usize || bytes >= PAGE_BYTES {
            page.beyond = Some(number);
            break;
        }
        bytes += entry.bytes();
        page.rows.push(entry);
    }
    page.ok_or_else(|| StoreError::Failed(sqlx::Error::RowNotFound))
}

fn revision(row: &SqliteRow) -> Result<Revision, sqlx::Error> {
    let number: i64 = row.try_get("revision")?;
    Ok(Revision { epoch: row.try_get("epoch")?, number: u64::try_from(number).unwrap_or_default() })
}
