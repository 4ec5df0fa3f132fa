//! The schema and its migrations, run by refinery in an sqlx transaction.
//!
//! refinery has no driver for sqlx, so its traits are implemented here for one connection. An IMMEDIATE transaction spans
//! all migrations, so that processes that migrate the same file run one after the other.

use refinery::Migration;
use refinery_core::traits::r#async::{AsyncMigrate, AsyncQuery, AsyncTransaction};
use sqlx::{AssertSqlSafe, Row, SqliteConnection};

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// 'Paul' in ASCII, as set by the first migration.
pub(in crate::store) const APPLICATION_ID: i64 = 1_348_564_332;

/// Returns the newest schema that this program supports.
pub(in crate::store) fn newest() -> i32 {
    embedded::migrations::runner().get_migrations().iter().map(Migration::version).max().unwrap_or_default()
}

/// Migrates the schema.
pub(in crate::store) async fn migrate(connection: &mut SqliteConnection) -> Result<(), String> {
    let text = |error: sqlx::Error| error.to_string();
    sqlx::query("PRAGMA foreign_keys = OFF").execute(&mut *connection).await.map_err(text)?;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await.map_err(text)?;
    let mut migrating = Migrating(connection);
    let result = embedded::migrations::runner().run_async(&mut migrating).await;
    let Migrating(connection) = migrating;
    let end = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = sqlx::query(end).execute(&mut *connection).await;
    result.map_err(|error| error.to_string())?;
    ended.map_err(text)?;
    sqlx::query("PRAGMA foreign_keys = ON").execute(&mut *connection).await.map_err(text)?;
    Ok(())
}

struct Migrating<'a>(&'a mut SqliteConnection);

impl AsyncTransaction for Migrating<'_> {
    type Error = sqlx::Error;

    async fn execute<'a, T: Iterator<Item = &'a str> + Send + 'a>(
        &'a mut self,
        queries: T,
    ) -> Result<usize, Self::Error> {
        let mut count = 0;
        for query in queries {
            sqlx::raw_sql(AssertSqlSafe(query.to_owned())).execute(&mut *self.0).await?;
            count += 1;
        }
        Ok(count)
    }
}

impl AsyncQuery<Vec<Migration>> for Migrating<'_> {
    async fn query<'a>(&'a mut self, query: &'a str) -> Result<Vec<Migration>, Self::Error> {
        let rows = sqlx::raw_sql(AssertSqlSafe(query.to_owned())).fetch_all(&mut *self.0).await?;
        rows.iter().map(applied).collect()
    }
}

impl AsyncMigrate for Migrating<'_> {}

/// Converts a row of refinery's history: version, name, time, checksum.
fn applied(row: &sqlx::sqlite::SqliteRow) -> Result<Migration, sqlx::Error> {
    use time::{OffsetDateTime, format_description::well_known::Rfc3339};
    let applied_on: String = row.try_get(2)?;
    let applied_on =
        OffsetDateTime::parse(&applied_on, &Rfc3339).map_err(|error| sqlx::Error::Decode(error.into()))?;
    let checksum: String = row.try_get(3)?;
    let checksum = checksum.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    Ok(Migration::applied(row.try_get(0)?, row.try_get(1)?, applied_on, checksum))
}
