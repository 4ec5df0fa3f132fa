//! Several statements in one call.
//!
//! Each call to sqlx crosses to the connection's thread and back, which takes longer than most statements. Statements whose
//! results are not needed in between are sent together.

use sqlx::query_builder::Separated;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use crate::store::error::StoreError;

/// See the [module](self).
pub(in crate::store) struct MultiStatement(QueryBuilder<Sqlite>);

/// The number of rows in one statement: SQLite binds at most 32,766 values.
const CHUNK: usize = 1_000;

impl MultiStatement {
    pub(in crate::store) fn new() -> Self {
        Self(QueryBuilder::default())
    }

    /// Inserts rows. `into` is a table with its columns, and `end` follows the values.
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

    /// Updates the row of a table with this number. `columns` is a list of columns.
    pub(in crate::store) fn update(
        &mut self,
        table: &'static str,
        columns: &'static str,
        number: i64,
        row: impl FnOnce(&mut Separated<'_, Sqlite, &'static str>),
    ) {
        self.0.push("UPDATE ").push(table).push(" SET (").push(columns).push(") = (");
        row(&mut self.0.separated(", "));
        self.0.push(") WHERE number = ").push_bind(number).push(";\n");
    }

    /// Appends SQL.
    pub(in crate::store) fn push(&mut self, sql: &'static str) -> &mut Self {
        self.0.push(sql);
        self
    }

    /// Appends a value.
    pub(in crate::store) fn bind(&mut self, value: i64) -> &mut Self {
        self.0.push_bind(value);
        self
    }

    /// Runs all statements and clears them. After an error, the transaction is still open.
    pub(in crate::store) async fn run(
        &mut self,
        connection: &mut SqliteConnection,
    ) -> Result<(), StoreError> {
        let Self(mut sql) = std::mem::replace(self, Self::new());
        sql.build().persistent(false).execute(connection).await?;
        Ok(())
    }
}
