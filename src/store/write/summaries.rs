//! The table `summaries`: ready-made JSON of records. Triggers clear the summaries of servers that were edited by hand.

use sqlx::SqliteConnection;

use super::search_text;
use crate::store::error::StoreError;
use crate::store::record;

/// Creates missing summaries, and removes the search texts of the same servers. Returns whether any were missing.
pub(in crate::store) async fn restore_missing(connection: &mut SqliteConnection) -> Result<bool, StoreError> {
    sqlx::query(record::ADD_MISSING_SUMMARIES).execute(&mut *connection).await?;
    let edited = search_text::remove_edited(&mut *connection).await?;
    sqlx::query(record::FILL_SUMMARIES.as_str()).execute(connection).await?;
    Ok(edited)
}
