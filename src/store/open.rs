//! Opening a database: refuse what is not ours before anything is written, then migrate, then connect.

use std::path::Path;
use std::sync::Arc;

use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use tokio::sync::Mutex;

use super::cache::state::Known;
use super::database::checkpoint::Folding;
use super::database::connect::{all_reading, file_options, quiet};
use super::database::create::{migrated, prepare};
use super::database::lease_file::Beside;
use super::database::litestream_lock::wait_for_others;
use super::database::location::Location;
use super::database::migrations;
use super::error::OpenError;
use super::read::reader::Readers;
use super::write::writer::Writer;

/// An open database.
pub(crate) struct Opened {
    pub(crate) writer: Writer,
    pub(crate) readers: Readers,
    pub(crate) beside: Option<Beside>,
}

/// Opens or creates a database and takes its lock.
pub(crate) async fn open(location: &Location, known: Known) -> Result<Opened, OpenError> {
    let path = match location {
        Location::Memory => return open_in_memory(known).await,
        Location::File(path) => path,
    };
    let beside = prepare(path).await?;
    let (writer, readers) = open_locked(path, known).await?;
    Ok(Opened { writer, readers, beside: Some(beside) })
}

/// Opens a database for who holds its lock.
pub(crate) async fn open_locked(path: &Path, known: Known) -> Result<(Writer, Readers), OpenError> {
    wait_for_others(path).await?;
    let sqlite = |error: sqlx::Error| OpenError::sqlite(path, &error);
    let writing = migrated(path).await?;
    let connections = all_reading(path, &file_options(path)).await?;
    let folding = file_options(path)
        .synchronous(SqliteSynchronous::Full)
        .pragma("query_only", "ON")
        .connect()
        .await
        .map_err(sqlite)?;
    let folding = Some(Folding::start(folding));
    let writer = Writer::new(Arc::new(Mutex::new(writing)), folding, known).await;
    let writer = writer.map_err(|error| OpenError::unreadable(path, &error))?;
    let readers = Readers::new(connections, writer.live());
    Ok((writer, readers))
}

/// One connection for everything: a database in memory is seen by the connection that made it, and by no other.
async fn open_in_memory(known: Known) -> Result<Opened, OpenError> {
    let path = Location::Memory.path().to_owned();
    let sqlite = |error: sqlx::Error| OpenError::sqlite(&path, &error);
    let options = quiet(SqliteConnectOptions::new().in_memory(true).foreign_keys(true));
    let mut connection = options.connect().await.map_err(sqlite)?;
    let migrated = migrations::migrate(&mut connection).await;
    migrated.map_err(|detail| OpenError::Migration { path: path.clone(), detail })?;
    let connection = Arc::new(Mutex::new(connection));
    let writer = Writer::new(Arc::clone(&connection), None, known).await;
    let writer = writer.map_err(|error| OpenError::unreadable(&path, &error))?;
    let readers = Readers::new(vec![connection], writer.live());
    Ok(Opened { writer, readers, beside: None })
}
