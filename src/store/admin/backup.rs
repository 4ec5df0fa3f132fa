//! Backups of a database that may be served meanwhile.

use std::io;
use std::path::Path;

use sqlx::Connection;

use super::integrity::{IntegrityReport, check_integrity};
use crate::store::database::companion::Companion;
use crate::store::database::create::{create_private, ignore_not_found, rename_durably};
use crate::store::database::{connect, inspect};
use crate::store::error::OpenError;

/// Copies a database to a new file, and checks the copy. The database can be served meanwhile.
pub(crate) async fn back_up(database: &Path, to: &Path) -> Result<IntegrityReport, OpenError> {
    let failed = |reason| OpenError::Io { path: to.to_owned(), reason };
    if to.exists() {
        return Err(failed(io::Error::new(io::ErrorKind::AlreadyExists, "the file exists already")));
    }
    if inspect::inspect(database).await?.is_none() {
        return Err(OpenError::NotADatabase { path: database.to_owned() });
    }
    let unfinished = Companion::Unfinished.path(to);
    let copied = copy(database, &unfinished).await;
    let report = match copied {
        Ok(()) => check_integrity(&unfinished).await.map_err(|error| error.with_path(to)),
        Err(error) => Err(error),
    };
    let sound = report.as_ref().is_ok_and(|report| report.faults.is_empty());
    let placed = if sound { rename_durably(&unfinished, to) } else { std::fs::remove_file(&unfinished) };
    let report = report?;
    placed.map_err(failed)?;
    Ok(report)
}

async fn copy(database: &Path, to: &Path) -> Result<(), OpenError> {
    let sqlite = |error: sqlx::Error| OpenError::from_sqlite(database, &error);
    let created = ignore_not_found(std::fs::remove_file(to)).and_then(|_| create_private(to));
    created.map_err(|reason| OpenError::Io { path: to.to_owned(), reason })?;
    let mut connection = connect::connect_reader(database).await?;
    let copied = sqlx::query("VACUUM INTO ?").bind(to.to_str()).execute(&mut connection).await;
    connection.close().await.map_err(sqlite)?;
    copied.map(|_| ()).map_err(sqlite)
}
