//! The single row of the table `settings`, and SQLite's data version.

use sqlx::SqliteConnection;

use crate::model::Revision;
use crate::store::error::StoreError;

/// What a database records about its last commit.
pub(in crate::store) struct Settings {
    pub(in crate::store) revision: Revision,
    /// The lease time of the last commit.
    pub(in crate::store) lease_clock: i64,
    /// The difference between wall time and lease time at the last commit.
    pub(in crate::store) wall_offset: i64,
}

/// Reads the settings.
pub(in crate::store) async fn load(connection: &mut SqliteConnection) -> Result<Settings, StoreError> {
    let row = sqlx::query!("SELECT epoch, revision, lease_clock, wall_offset FROM settings");
    let row = row.fetch_one(connection).await?;
    let number = u64::try_from(row.revision).unwrap_or_default();
    let revision = Revision { epoch: row.epoch, number };
    Ok(Settings { revision, lease_clock: row.lease_clock, wall_offset: row.wall_offset })
}

/// Returns a number that changes when another connection has written to the database.
pub(in crate::store) async fn data_version(connection: &mut SqliteConnection) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar("PRAGMA data_version").fetch_one(connection).await?)
}
