//! Tokens from the command line, in a database that another process may be serving.

use std::path::{Path, PathBuf};

use sqlx::{Connection, SqliteConnection};

use super::beside::Beside;
use super::{OpenError, StoreError, TokenChange, open, tokens};
use crate::model::Tokens;

/// The tokens of a database that another process may be serving.
pub(crate) struct TokenFile {
    path: PathBuf,
    connection: SqliteConnection,
}

impl TokenFile {
    /// Opens a database beside whoever serves it; creates it if there is none.
    pub(crate) async fn open(path: &Path) -> Result<Self, OpenError> {
        Ok(Self { path: path.to_owned(), connection: open::beside_the_server(path).await? })
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
