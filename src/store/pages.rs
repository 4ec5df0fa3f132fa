//! A page of servers out of SQLite.
//!
//! As one row where it can be: every row and every column of an sqlx query crosses two channels. Servers whose definitions
//! weigh megabytes are read one by one, and the page ends early when it is heavy enough: what is in memory at once is
//! bounded, whatever has been registered.

use futures_util::TryStreamExt;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::error::odd_row;
use super::filter::{self, LARGE};
use super::rows::{Entry, SEPARATOR};
use super::{Moment, StoreError};
use crate::model::{Filter, Revision};

/// See the [module](self).
pub(super) struct Page {
    pub(super) rows: Vec<Entry>,
    /// The number of the server that comes next.
    pub(super) beyond: Option<i64>,
    /// With a full-text search, the score of the last one.
    pub(super) score: Option<f64>,
    pub(super) revision: Revision,
}

/// A page ends with the server that makes it heavier than this.
const PAGE_BYTES: usize = 16 * 1024 * 1024;

/// A page as one row; nothing if it is too large for that.
pub(super) async fn in_one(
    connection: &mut SqliteConnection,
    filter: &Filter,
    expression: Option<&str>,
    now: Moment,
) -> Result<Option<Page>, StoreError> {
    let mut statement = filter::servers(filter, expression, now);
    let page = statement.build().fetch_one(connection).await?;
    let texts: Option<&str> = page.try_get("servers")?;
    if texts == Some(LARGE) {
        return Ok(None);
    }
    let texts = texts.iter().flat_map(|texts| texts.split(SEPARATOR));
    let mut rows = texts.map(|text| Entry::parse(text, filter.view)).collect::<Result<Vec<_>, _>>()?;
    if expression.is_none() {
        rows.sort_by_key(|row| row.rendered.number);
    }
    let limit = filter.limit as usize;
    let beyond = rows.get(limit).map(|row| row.rendered.number);
    rows.truncate(limit);
    Ok(Some(Page { rows, beyond, score: page.try_get("score")?, revision: revision(&page)? }))
}

/// A page row by row, until its limit or until it is heavy enough.
pub(super) async fn in_rows(
    connection: &mut SqliteConnection,
    filter: &Filter,
    expression: Option<&str>,
    now: Moment,
) -> Result<Page, StoreError> {
    let mut statement = filter::servers_in_rows(filter, expression, now);
    let mut found = statement.build().fetch(connection);
    let mut page: Option<Page> = None;
    let mut bytes = 0;
    while let Some(row) = found.try_next().await? {
        let page = match &mut page {
            Some(page) => page,
            None => {
                page.insert(Page { rows: Vec::new(), beyond: None, score: None, revision: revision(&row)? })
            }
        };
        let Some(text) = row.try_get("server")? else { break };
        let entry = Entry::parse(text, filter.view)?;
        let (number, score) = (entry.rendered.number, row.try_get::<Option<f64>, _>("score")?);
        if let Some(last) = page.rows.last()
            && (page.score, last.rendered.number) >= (score, number)
        {
            return Err(odd_row("a page out of order").into());
        }
        if page.rows.len() == filter.limit as usize || bytes >= PAGE_BYTES {
            page.beyond = Some(number);
            break;
        }
        bytes += entry.bytes();
        page.rows.push(entry);
        page.score = score;
    }
    page.ok_or_else(|| StoreError::Failed(sqlx::Error::RowNotFound))
}

fn revision(row: &SqliteRow) -> Result<Revision, sqlx::Error> {
    let number: i64 = row.try_get("revision")?;
    Ok(Revision { epoch: row.try_get("epoch")?, number: u64::try_from(number).unwrap_or_default() })
}
