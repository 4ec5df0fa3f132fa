//! A copy of a database, made while it is served.

use std::io;
use std::path::Path;

use sqlx::Connection;

use super::integrity::{Examination, examine};
use crate::store::database::create::{create_private, gone, name};
use crate::store::database::location::beside;
use crate::store::database::{connect, inspect};
use crate::store::error::OpenError;

/// Writes a whole copy of a database to a file that is not there yet, and looks at it as `doctor` does. What is served goes
/// on meanwhile.
pub(crate) async fn back_up(database: &Path, to: &Path) -> Result<Examination, OpenError> {
    let failed = |reason| OpenError::Io { path: to.to_owned(), reason };
    if to.exists() {
        return Err(failed(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file already")));
    }
    if inspect::inspect(database).await?.is_none() {
        return Err(OpenError::NotADatabase { path: database.to_owned() });
    }
    let unfinished = beside(to, "-unfinished");
    let copied = copy(database, &unfinished).await;
    let examined = match copied {
        Ok(()) => examine(&unfinished).await.map_err(|error| error.at(to)),
        Err(error) => Err(error),
    };
    let sound = examined.as_ref().is_ok_and(|examined| examined.faults.is_empty());
    let placed = if sound { name(&unfinished, to) } else { std::fs::remove_file(&unfinished) };
    let examined = examined?;
    placed.map_err(failed)?;
    Ok(examined)
}

async fn copy(database: &Path, to: &Path) -> Result<(), OpenError> {
    let sqlite = |error: sqlx::Error| OpenError::sqlite(database, &error);
    let created = gone(std::fs::remove_file(to)).and_then(|_| create_private(to));
    created.map_err(|reason| OpenError::Io { path: to.to_owned(), reason })?;
    let mut connection = connect::reading(database).await?;
    let copied = sqlx::query("VACUUM INTO ?").bind(to.to_str()).execute(&mut connection).await;
    connection.close().await.map_err(sqlite)?;
    copied.map(|_| ()).map_err(sqlite)
}
