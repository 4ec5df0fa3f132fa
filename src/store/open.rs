//! Opens a database: rejects a foreign file before anything is written, migrates, and connects.

use std::path::Path;
use std::sync::Arc;

use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use tokio::sync::Mutex;

use super::cache::state::InitialState;
use super::database::checkpoint::Checkpointer;
use super::database::connect::{connect_readers, file_options, without_statement_logs};
use super::database::create::{connect_migrated, lock_or_create};
use super::database::lease_file::LeaseFile;
use super::database::litestream_lock::wait_for_other_litestream;
use super::database::location::Location;
use super::database::migrations;
use super::error::OpenError;
use super::read::reader::Readers;
use super::write::writer::Writer;

/// An open database.
pub(crate) struct Opened {
    pub(crate) writer: Writer,
    pub(crate) readers: Readers,
    pub(crate) lease_file: Option<LeaseFile>,
}

/// Opens or creates a database and acquires its lock.
pub(crate) async fn open(location: &Location, initial: InitialState) -> Result<Opened, OpenError> {
    let path = match location {
        Location::Memory => return open_in_memory(initial).await,
        Location::File(path) => path,
    };
    let lease_file = lock_or_create(path).await?;
    let (writer, readers) = open_locked(path, initial).await?;
    Ok(Opened { writer, readers, lease_file: Some(lease_file) })
}

/// Opens a database whose lock the caller holds.
pub(crate) async fn open_locked(path: &Path, initial: InitialState) -> Result<(Writer, Readers), OpenError> {
    wait_for_other_litestream(path).await?;
    let sqlite = |error: sqlx::Error| OpenError::from_sqlite(path, &error);
    let connection = connect_migrated(path).await?;
    let connections = connect_readers(path, &file_options(path)).await?;
    let checkpointer = file_options(path)
        .synchronous(SqliteSynchronous::Full)
        .pragma("query_only", "ON")
        .connect()
        .await
        .map_err(sqlite)?;
    let checkpointer = Some(Checkpointer::start(checkpointer));
    let writer = Writer::new(Arc::new(Mutex::new(connection)), checkpointer, initial).await;
    let writer = writer.map_err(|error| OpenError::from_store(path, &error))?;
    let readers = Readers::new(connections, writer.state());
    Ok((writer, readers))
}

/// Opens a database in memory. Readers and writer share one connection, since no other connection can see it.
async fn open_in_memory(initial: InitialState) -> Result<Opened, OpenError> {
    let path = Location::Memory.path().to_owned();
    let sqlite = |error: sqlx::Error| OpenError::from_sqlite(&path, &error);
    let options = without_statement_logs(SqliteConnectOptions::new().in_memory(true).foreign_keys(true));
    let mut connection = options.connect().await.map_err(sqlite)?;
    let migrated = migrations::migrate(&mut connection).await;
    migrated.map_err(|detail| OpenError::Migration { path: path.clone(), detail })?;
    let connection = Arc::new(Mutex::new(connection));
    let writer = Writer::new(Arc::clone(&connection), None, initial).await;
    let writer = writer.map_err(|error| OpenError::from_store(&path, &error))?;
    let readers = Readers::new(vec![connection], writer.state());
    Ok(Opened { writer, readers, lease_file: None })
}
