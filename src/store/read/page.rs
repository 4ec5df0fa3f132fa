//! A page of servers.
//!
//! It is fetched as one row where possible, because every row and every column of an sqlx query crosses two channels.
//! Servers with definitions of megabytes are streamed one by one, and the page ends early when it is large enough, so that
//! memory is bounded.

use futures_util::TryStreamExt;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::query::{self, TOO_LARGE};
use crate::model::{Filter, Revision};
use crate::store::error::StoreError;
use crate::store::error::unreadable_row;
use crate::store::moment::Moment;
use crate::store::record::{Entry, SEPARATOR};

/// See the [module](self).
pub(in crate::store) struct PageRows {
    pub(in crate::store) rows: Vec<Entry>,
    /// The number of the server after the page, if there is one.
    pub(in crate::store) next_number: Option<i64>,
    pub(in crate::store) revision: Revision,
}

/// The size in bytes after which a page ends.
const MAX_PAGE_BYTES: usize = 16 * 1024 * 1024;

/// Fetches a page as a single row; none if it is too large for that.
pub(in crate::store) async fn fetch_joined(
    connection: &mut SqliteConnection,
    filter: &Filter,
    ranked: Option<&str>,
    now: Moment,
) -> Result<Option<PageRows>, StoreError> {
    let mut statement = query::servers(filter, ranked, now);
    let page = statement.build().fetch_one(connection).await?;
    let texts: Option<&str> = page.try_get("servers")?;
    if texts == Some(TOO_LARGE) {
        return Ok(None);
    }
    let texts = texts.iter().flat_map(|texts| texts.split(SEPARATOR));
    let mut rows = texts.map(|text| Entry::parse(text, filter.view)).collect::<Result<Vec<_>, _>>()?;
    if ranked.is_none() {
        rows.sort_by_key(|row| row.rendered.number);
    }
    let limit = filter.limit as usize;
    let next_number = rows.get(limit).map(|row| row.rendered.number);
    rows.truncate(limit);
    Ok(Some(PageRows { rows, next_number, revision: revision(&page)? }))
}

/// Streams a page row by row, until its limit or until it is large enough.
pub(in crate::store) async fn fetch_streamed(
    connection: &mut SqliteConnection,
    filter: &Filter,
    ranked: Option<&str>,
    now: Moment,
) -> Result<PageRows, StoreError> {
    let mut statement = query::servers_as_rows(filter, ranked, now);
    let mut rows = statement.build().fetch(connection);
    let first = rows.try_next().await?.ok_or_else(|| StoreError::Failed(sqlx::Error::RowNotFound))?;
    let mut page = PageRows { rows: Vec::new(), next_number: None, revision: revision(&first)? };
    let (mut bytes, mut previous) = (0, None);
    let mut next = Some(first);
    while let Some(row) = next {
        let Some(text) = row.try_get("server")? else { break };
        let entry = Entry::parse(text, filter.view)?;
        let number = entry.rendered.number;
        let place = row.try_get::<Option<i64>, _>("place")?.unwrap_or(number);
        if previous.replace(place).is_some_and(|previous| previous >= place) {
            return Err(unreadable_row("a page in the wrong order").into());
        }
        if page.rows.len() == filter.limit as usize || bytes >= MAX_PAGE_BYTES {
            page.next_number = Some(number);
            break;
        }
        bytes += entry.bytes();
        page.rows.push(entry);
        next = rows.try_next().await?;
    }
    Ok(page)
}

fn revision(row: &SqliteRow) -> Result<Revision, sqlx::Error> {
    let number: i64 = row.try_get("revision")?;
    Ok(Revision { epoch: row.try_get("epoch")?, number: u64::try_from(number).unwrap_or_default() })
}
