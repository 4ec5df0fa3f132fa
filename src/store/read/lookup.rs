//! One server, by its id or its number.

use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

use crate::model::View;
use crate::store::error::StoreError;
use crate::store::record::{self, Entry};

/// Which server to load.
pub(in crate::store) enum Key<'a> {
    Id(&'a str),
    Number(i64),
}

impl Key<'_> {
    pub(in crate::store) fn sql(&self, view: View) -> String {
        let condition = match self {
            Self::Id(_) => "s.id = ?1",
            Self::Number(_) => "s.number = ?1",
        };
        let from = " FROM servers s JOIN leases l ON l.server = s.number JOIN summaries c ON c.server = s.number WHERE ";
        ["SELECT ", record::columns(view), from, condition].concat()
    }
}

/// Reads one server.
pub(in crate::store) async fn load(
    connection: &mut SqliteConnection,
    key: Key<'_>,
    view: View,
) -> Result<Option<Entry>, StoreError> {
    let query = sqlx::query(AssertSqlSafe(key.sql(view)));
    let query = match key {
        Key::Id(id) => query.bind(id.to_owned()),
        Key::Number(number) => query.bind(number),
    };
    let Some(row) = query.fetch_optional(connection).await? else { return Ok(None) };
    Entry::parse(row.try_get(0)?, view).map(Some)
}
