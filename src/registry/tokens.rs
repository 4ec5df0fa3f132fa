//! Tokens, in process. They matter to who reaches the registry over HTTP: see [`crate::http`].

use std::sync::Arc;

use super::{Error, Registry};
use crate::model::{Role, Secret, TokenInfo, TokenName, Tokens};
use crate::store::{Command, TokenChange};

impl Registry {
    /// Makes a token. What it gives is shown this once; the registry keeps only its hash. As soon as there is one, the
    /// HTTP API lets in nobody without.
    ///
    /// # Errors
    /// [`Error::TokenExists`]; [`Error::Random`]; [`Error::StorageFull`] and the like.
    pub async fn create_token(&self, name: TokenName, role: Role) -> Result<Secret, Error> {
        let secret = Secret::random().map_err(|error| Error::Random(error.to_string()))?;
        let created_at = crate::store::time(self.now().wall);
        let token = TokenInfo { name: name.clone(), role, created_at };
        let change = TokenChange::Create { token, hash: secret.hash() };
        if self.ask(change, Command::Token).await? {
            tracing::info!(name = name.as_str(), role = role.as_str(), "token created");
            Ok(secret)
        } else {
            Err(Error::TokenExists(name.to_string()))
        }
    }

    /// Revokes a token: it is worth nothing when this returns. What was registered with it stays.
    ///
    /// # Errors
    /// [`Error::NoToken`]; [`Error::StorageFull`] and the like.
    pub async fn revoke_token(&self, name: &TokenName) -> Result<(), Error> {
        if self.ask(TokenChange::Revoke(name.clone()), Command::Token).await? {
            tracing::info!(name = name.as_str(), "token revoked");
            Ok(())
        } else {
            Err(Error::NoToken(name.to_string()))
        }
    }

    /// The tokens there are, by name.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn tokens(&self) -> Result<Vec<TokenInfo>, Error> {
        self.check_open()?;
        Ok(self.tokens_held().list())
    }

    pub(crate) fn tokens_held(&self) -> Arc<Tokens> {
        self.inner.live.tokens()
    }
}
