//! A single server, by its id or number.

use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

use crate::model::View;
use crate::store::error::StoreError;
use crate::store::record::{self, Entry};

/// The id or number of a server.
pub(in crate::store) enum ServerKey<'a> {
    Id(&'a str),
    Number(i64),
}

impl ServerKey<'_> {
    pub(in crate::store) fn sql(&self, view: View) -> String {
        let condition = match self {
            Self::Id(_) => "s.id = ?1",
            Self::Number(_) => "s.number = ?1",
        };
        let from = " FROM servers s JOIN leases l ON l.server = s.number JOIN summaries c ON c.server = s.number WHERE ";
        ["SELECT ", record::columns(view), from, condition].concat()
    }
}

/// Loads a server.
pub(in crate::store) async fn load(
    connection: &mut SqliteConnection,
    key: ServerKey<'_>,
    view: View,
) -> Result<Option<Entry>, StoreError> {
    let query = sqlx::query(AssertSqlSafe(key.sql(view)));
    let query = match key {
        ServerKey::Id(id) => query.bind(id.to_owned()),
        ServerKey::Number(number) => query.bind(number),
    };
    let Some(row) = query.fetch_optional(connection).await? else { return Ok(None) };
    Entry::parse(row.try_get(0)?, view).map(Some)
}
