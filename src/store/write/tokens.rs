//! The table `tokens`: loaded as a whole, changed one token at a time.
//!
//! The serving process and the command line both write to it, and each detects the other's change like any external edit.
//! The serving process records in its lease file which version of the tokens it uses, and the command line waits for that.

use std::sync::Arc;

use sqlx::SqliteConnection;

use crate::model::{Role, SecretHash, TokenInfo, TokenName, Tokens};
use crate::store::error::StoreError;
use crate::store::error::unreadable_token;
use crate::store::moment::time;

/// A change of a token.
#[derive(Debug)]
pub(crate) enum TokenChange {
    /// Creates a token.
    Create {
        /// Its public part.
        token: TokenInfo,
        /// The stored hash of its secret.
        hash: SecretHash,
    },
    /// Revokes the token with this name.
    Revoke(TokenName),
}

/// Loads all tokens and their version.
pub(in crate::store) async fn load(connection: &mut SqliteConnection) -> Result<Tokens, StoreError> {
    let version =
        sqlx::query_scalar!("SELECT token_version FROM settings").fetch_one(&mut *connection).await?;
    load_with_version(connection, version).await
}

/// Loads all tokens of a database, which can have the schema of an older version that has tokens.
pub(in crate::store) async fn load_with_version(
    connection: &mut SqliteConnection,
    version: i64,
) -> Result<Tokens, StoreError> {
    let rows = sqlx::query!("SELECT name, role, hash, created_at FROM tokens").fetch_all(connection).await?;
    let tokens = rows.into_iter().map(|row| {
        let token = || {
            let (name, role) = (row.name.parse::<TokenName>().ok()?, row.role.parse::<Role>().ok()?);
            let token = TokenInfo { name, role, created_at: time(row.created_at) };
            Some((SecretHash::from_bytes(&row.hash)?, Arc::new(token)))
        };
        token().ok_or_else(|| unreadable_token(&row.name))
    });
    let tokens = tokens.collect::<Result<Vec<_>, _>>()?;
    Ok(Tokens::new(version, tokens))
}

/// Creates or revokes a token. Returns whether anything changed: the name was free, or the token existed.
pub(in crate::store) async fn change(
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
