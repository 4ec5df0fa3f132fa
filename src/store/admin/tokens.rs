//! Administration of tokens from the command line, while another process may serve the database.

use std::path::{Path, PathBuf};

use sqlx::{Connection, SqliteConnection};

use crate::model::Tokens;
use crate::store::database::lease_file::LeaseFile;
use crate::store::database::location::resolve_symlinks;
use crate::store::database::{connect, create, inspect};
use crate::store::error::{OpenError, StoreError};
use crate::store::write::tokens;
use crate::store::write::tokens::TokenChange;

/// A database that was opened to change its tokens. Another process may be serving it.
pub(crate) struct TokenAdmin {
    path: PathBuf,
    connection: SqliteConnection,
}

/// Reads the tokens of a database, which is not migrated. One from before tokens were introduced has none.
pub(crate) async fn tokens_in(path: &Path) -> Result<Tokens, OpenError> {
    const FIRST_WITH_TOKENS: i32 = 3;
    if inspect::inspect(path).await?.is_none_or(|schema| schema < FIRST_WITH_TOKENS) {
        return Ok(Tokens::default());
    }
    let mut connection = connect::connect_reader(path).await?;
    // The version of the tokens is for a process that serves the database.
    let tokens = tokens::load_with_version(&mut connection, 0).await;
    let closed = connection.close().await;
    closed.map_err(|error| OpenError::from_sqlite(path, &error))?;
    tokens.map_err(|error| OpenError::from_store(path, &error))
}

impl TokenAdmin {
    /// Opens a database, and creates it if it does not exist.
    pub(crate) async fn open(path: &Path) -> Result<Self, OpenError> {
        let path = resolve_symlinks(path)?;
        let connection = create::connect_alongside(&path).await?;
        Ok(Self { path, connection })
    }

    pub(crate) async fn load(&mut self) -> Result<Tokens, StoreError> {
        tokens::load(&mut self.connection).await
    }

    pub(crate) async fn change(&mut self, change: &TokenChange) -> Result<bool, StoreError> {
        tokens::change(&mut self.connection, change).await
    }

    /// Returns whether a process serves the database with an older version of the tokens.
    pub(crate) fn is_server_behind(&self, version: i64) -> bool {
        LeaseFile::read_serving(&self.path).is_some_and(|served| served.tokens < version)
    }

    pub(crate) async fn close(self) -> Result<(), StoreError> {
        Ok(self.connection.close().await?)
    }
}
