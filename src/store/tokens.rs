//! The table `tokens`: read into memory whole, changed one at a time.
//!
//! The serving process and the command line both write here. Either way the other takes it over as it takes over any edit
//! of the file: the serving process says in the file beside the database which state of the tokens it goes by, and the
//! command line waits for that.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlx::{Connection, SqliteConnection};

use super::beside::Beside;
use super::error::odd_row;
use super::{OpenError, StoreError, open, time};
use crate::model::{Role, SecretHash, TokenInfo, TokenName, Tokens};

/// What is to become of a token.
#[derive(Debug)]
pub(crate) enum TokenChange {
    /// Make it.
    Create {
        /// How it is listed.
        token: TokenInfo,
        /// What is kept of its secret.
        hash: SecretHash,
    },
    /// Revoke the one of this name.
    Revoke(TokenName),
}

/// Reads all of them.
pub(super) async fn load(connection: &mut SqliteConnection) -> Result<Tokens, StoreError> {
    let version = sqlx::query_scalar!("SELECT tokens FROM settings").fetch_one(&mut *connection).await?;
    let rows = sqlx::query!("SELECT name, role, hash, created_at FROM tokens").fetch_all(connection).await?;
    let held = rows.into_iter().map(|row| {
        let name = row.name.parse::<TokenName>().ok()?;
        let role = row.role.parse::<Role>().ok()?;
        let token = TokenInfo { name, role, created_at: time(row.created_at) };
        Some((SecretHash::from_bytes(&row.hash)?, Arc::new(token)))
    });
    let held = held.collect::<Option<Vec<_>>>().ok_or_else(|| odd_row("tokens"))?;
    Ok(Tokens::new(version, held))
}

/// Makes or revokes one, and says whether that was to be done: the name was free, or there was one.
pub(super) async fn change(
    connection: &mut SqliteConnection,
    change: &TokenChange,
) -> Result<bool, StoreError> {
    let done = match change {
        TokenChange::Create { token, hash } => {
            let (name, role, hash) = (token.name.as_str(), token.role.as_str(), hash.as_bytes());
            let created_at = token.created_at.timestamp_millis();
            sqlx::query!(
                "INSERT INTO tokens (name, role, hash, created_at) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO NOTHING",
                name,
                role,
                hash,
                created_at
            )
            .execute(connection)
            .await?
        }
        TokenChange::Revoke(name) => {
            let name = name.as_str();
            sqlx::query!("DELETE FROM tokens WHERE name = ?", name).execute(connection).await?
        }
    };
    Ok(done.rows_affected() == 1)
}

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
        load(&mut self.connection).await
    }

    pub(crate) async fn change(&mut self, wanted: &TokenChange) -> Result<bool, StoreError> {
        change(&mut self.connection, wanted).await
    }

    /// Whether a process serves the database and goes by an older state of the tokens than this.
    pub(crate) fn is_awaited(&self, version: i64) -> bool {
        Beside::served(&self.path).is_some_and(|served| served.tokens < version)
    }

    pub(crate) async fn close(self) -> Result<(), StoreError> {
        Ok(self.connection.close().await?)
    }
}
