//! Tokens of the registry, which authenticate clients of its HTTP API.

use std::sync::Arc;

use super::{Error, Registry};
use crate::model::{Role, Secret, TokenInfo, TokenName, Tokens};
use crate::store::{TokenChange, WriteCommand};

impl Registry {
    /// Creates a token and returns its secret, of which the registry stores only the hash. Once a token exists, the HTTP API
    /// requires one.
    ///
    /// # Errors
    /// [`Error::TokenExists`] if the name is taken, [`Error::Random`] if no secret can be generated, or an error of the
    /// write: [`Error::StorageFull`], [`Error::Overloaded`], [`Error::Standby`], [`Error::Closed`], [`Error::Storage`].
    pub async fn create_token(&self, name: TokenName, role: Role) -> Result<Secret, Error> {
        let secret = Secret::random().map_err(|error| Error::Random(error.to_string()))?;
        let created_at = crate::store::time(self.now().wall);
        let token = TokenInfo { name: name.clone(), role, created_at };
        let change = TokenChange::Create { token, hash: secret.hash() };
        if self.execute(change, WriteCommand::Token).await? {
            tracing::info!(name = name.as_str(), role = role.as_str(), "token created");
            Ok(secret)
        } else {
            Err(Error::TokenExists(name.to_string()))
        }
    }

    /// Revokes a token: it is invalid once this returns. Servers registered with it stay registered.
    ///
    /// # Errors
    /// [`Error::NoToken`] if no token has this name, or an error of the write: [`Error::StorageFull`],
    /// [`Error::Overloaded`], [`Error::Standby`], [`Error::Closed`], [`Error::Storage`].
    pub async fn revoke_token(&self, name: &TokenName) -> Result<(), Error> {
        if self.execute(TokenChange::Revoke(name.clone()), WriteCommand::Token).await? {
            tracing::info!(name = name.as_str(), "token revoked");
            Ok(())
        } else {
            Err(Error::NoToken(name.to_string()))
        }
    }

    /// Returns all tokens, sorted by name.
    ///
    /// # Errors
    /// [`Error::Closed`] if the registry is closed.
    pub fn tokens(&self) -> Result<Vec<TokenInfo>, Error> {
        self.check_open()?;
        Ok(self.current_tokens().list())
    }

    pub(crate) fn current_tokens(&self) -> Arc<Tokens> {
        self.inner.state.tokens()
    }
}
