//! Tokens from the command line, in a database that another process may be serving.

use std::path::{Path, PathBuf};

use sqlx::{Connection, SqliteConnection};

use crate::model::Tokens;
use crate::store::database::lease_file::Beside;
use crate::store::database::location::resolved;
use crate::store::database::{connect, create, inspect};
use crate::store::error::{OpenError, StoreError};
use crate::store::write::tokens;
use crate::store::write::tokens::TokenChange;

/// A database opened to change its tokens, which another process may be serving.
pub(crate) struct TokenFile {
    path: PathBuf,
    connection: SqliteConnection,
}

/// The tokens of a database, which is only read. One from before there were tokens has none.
pub(crate) async fn tokens_in(path: &Path) -> Result<Tokens, OpenError> {
    const FIRST_WITH_TOKENS: i32 = 3;
    if inspect::inspect(path).await?.is_none_or(|schema| schema < FIRST_WITH_TOKENS) {
        return Ok(Tokens::default());
    }
    let mut connection = connect::reading(path).await?;
    let tokens = tokens::load(&mut connection).await;
    let closed = connection.close().await;
    closed.map_err(|error| OpenError::sqlite(path, &error))?;
    tokens.map_err(|error| OpenError::unreadable(path, &error))
}

impl TokenFile {
    /// Opens a database beside whoever serves it; creates it if there is none.
    pub(crate) async fn open(path: &Path) -> Result<Self, OpenError> {
        let path = resolved(path)?;
        let connection = create::beside_the_server(&path).await?;
        Ok(Self { path, connection })
    }

    pub(crate) async fn load(&mut self) -> Result<Tokens, StoreError> {
        tokens::load(&mut self.connection).await
    }

    pub(crate) async fn change(&mut self, wanted: &TokenChange) -> Result<bool, StoreError> {
        tokens::change(&mut self.connection, wanted).await
    }

    /// Whether a process serves the database and goes by an older state of the tokens than this.
    pub(crate) fn is_awaited(&self, version: i64) -> bool {
        Beside::served(&self.path).is_some_and(|served| served.tokens < version)
    }

    pub(crate) async fn close(self) -> Result<(), StoreError> {
        Ok(self.connection.close().await?)
    }
}
