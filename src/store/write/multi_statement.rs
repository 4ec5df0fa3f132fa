//! Many statements in one call.
//!
//! Each call to sqlx crosses over to the connection's thread and back, which takes longer than most statements do. What
//! needs no answer in between goes over together.

use sqlx::query_builder::Separated;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use crate::store::error::StoreError;

/// See the [module](self).
pub(in crate::store) struct Script(QueryBuilder<Sqlite>);

/// How many rows one statement inserts at most: SQLite binds 32,766 values.
const CHUNK: usize = 1_000;

impl Script {
    pub(in crate::store) fn new() -> Self {
        Self(QueryBuilder::default())
    }

    /// Inserts rows, `into` being the name of a table and its columns, and `end` what follows the values.
    pub(in crate::store) fn insert<T>(
        &mut self,
        into: &'static str,
        rows: &[T],
        end: &'static str,
        mut row: impl FnMut(&mut Separated<'_, Sqlite, &'static str>, &T),
    ) {
        for chunk in rows.chunks(CHUNK) {
            self.0.push("INSERT INTO ").push(into).push(' ');
            self.0.push_values(chunk, |mut values, item| row(&mut values, item));
            self.0.push(end).push(";\n");
        }
    }

    /// Adds text.
    pub(in crate::store) fn push(&mut self, sql: &'static str) -> &mut Self {
        self.0.push(sql);
        self
    }

    /// Adds a value.
    pub(in crate::store) fn bind(&mut self, value: i64) -> &mut Self {
        self.0.push_bind(value);
        self
    }

    /// Runs all of it, and is empty again. An error leaves the transaction open.
    pub(in crate::store) async fn run(
        &mut self,
        connection: &mut SqliteConnection,
    ) -> Result<(), StoreError> {
        let Self(mut sql) = std::mem::replace(self, Self::new());
        sql.build().persistent(false).execute(connection).await?;
        Ok(())
    }
}
