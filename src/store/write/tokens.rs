//! The table `tokens`: read into memory whole, changed one at a time.
//!
//! The serving process and the command line both write here. Either way the other takes it over as it takes over any edit
//! of the file: the serving process says in the file beside the database which state of the tokens it goes by, and the
//! command line waits for that.

use std::sync::Arc;

use sqlx::SqliteConnection;

use crate::model::{Role, SecretHash, TokenInfo, TokenName, Tokens};
use crate::store::error::StoreError;
use crate::store::error::odd_token;
use crate::store::moment::time;

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
pub(in crate::store) async fn load(connection: &mut SqliteConnection) -> Result<Tokens, StoreError> {
    let version = sqlx::query_scalar!("SELECT tokens FROM settings").fetch_one(&mut *connection).await?;
    let rows = sqlx::query!("SELECT name, role, hash, created_at FROM tokens").fetch_all(connection).await?;
    let held = rows.into_iter().map(|row| {
        let token = || {
            let (name, role) = (row.name.parse::<TokenName>().ok()?, row.role.parse::<Role>().ok()?);
            let token = TokenInfo { name, role, created_at: time(row.created_at) };
            Some((SecretHash::from_bytes(&row.hash)?, Arc::new(token)))
        };
        token().ok_or_else(|| odd_token(&row.name))
    });
    let held = held.collect::<Result<Vec<_>, _>>()?;
    Ok(Tokens::new(version, held))
}

/// Makes or revokes one, and says whether that was to be done: the name was free, or there was one.
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
