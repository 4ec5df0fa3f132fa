//! Tokens, roles and authorization.
//!
//! A token is 256 bits from the operating system's random source, shown once. The registry stores only its SHA-256; with that
//! much entropy a slow hash would add nothing. Anything that looks like a token is redacted from logs and errors, see
//! [`redact`].

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// The role of a token. Each role includes the permissions of the previous one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// May find and read servers.
    Read,
    /// May register servers, and refresh, replace and deregister its own.
    Register,
    /// May refresh, replace and deregister all servers.
    Admin,
}

impl Role {
    const ALL: [Self; 3] = [Self::Read, Self::Register, Self::Admin];

    /// Returns the name on the command line and in SQL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Register => "register",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A role or a name of a token is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The role does not exist: use one of the three.
    #[error("invalid role {0:?}; use read, register or admin")]
    Role(String),
    /// The name is not valid: choose another one.
    #[error("invalid token name {0:?}; use 1–100 characters of [A-Za-z0-9._/@-]")]
    Name(String),
}

impl FromStr for Role {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let role = Self::ALL.into_iter().find(|role| role.as_str() == text);
        role.ok_or_else(|| TokenError::Role(text.to_owned()))
    }
}

/// The name of a token. It is the `owner` of the servers that the token registers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct TokenName(String);

impl TokenName {
    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TokenName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

impl FromStr for TokenName {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._/@-".contains(&byte);
        if (1..=100).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(TokenError::Name(text.to_owned()))
        }
    }
}

/// A token as it is listed, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokenInfo {
    /// The unique name of the token.
    pub name: TokenName,
    /// The role of the token.
    pub role: Role,
    /// When it was created.
    #[serde(serialize_with = "super::timestamp::rfc3339")]
    pub created_at: DateTime<Utc>,
}

/// The secret of a token. `Debug` does not show it.
#[derive(Clone)]
pub struct Secret(String);

const SECRET_PREFIX: &str = "paulina_";
const SECRET_BYTES: usize = 32;
const SECRET_CHARACTERS: usize = 43;

impl Secret {
    /// Generates a secret.
    ///
    /// # Errors
    /// If the operating system does not return random bytes.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; SECRET_BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self([SECRET_PREFIX, &URL_SAFE_NO_PAD.encode(bytes)].concat()))
    }

    /// Returns the text that clients send as `Authorization: Bearer …`.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub(crate) fn hash(&self) -> SecretHash {
        SecretHash::of(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// The SHA-256 of a secret, which the registry stores.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SecretHash([u8; 32]);

impl SecretHash {
    pub(crate) fn of(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// All tokens of a registry.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    /// A number that increases with every change of the tokens.
    pub(crate) version: i64,
    tokens: Vec<(SecretHash, Arc<TokenInfo>)>,
}

impl Tokens {
    pub(crate) fn new(version: i64, tokens: Vec<(SecretHash, Arc<TokenInfo>)>) -> Self {
        Self { version, tokens }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Returns all tokens, sorted by name.
    pub(crate) fn list(&self) -> Vec<TokenInfo> {
        let mut list: Vec<TokenInfo> = self.tokens.iter().map(|(_, token)| TokenInfo::clone(token)).collect();
        list.sort_by(|one, other| one.name.cmp(&other.name));
        list
    }

    /// Returns whether an actor is still authorized: during a request its token can be revoked, or the first token created.
    pub(crate) fn is_current(&self, actor: &Actor) -> bool {
        match actor {
            Actor::InProcess => true,
            Actor::Anonymous => self.tokens.is_empty(),
            Actor::Bearer(token) => self.tokens.iter().any(|(_, known)| known == token),
        }
    }

    /// Returns the token of a secret, in constant time.
    pub(crate) fn find(&self, presented: &str) -> Option<&Arc<TokenInfo>> {
        let presented = SecretHash::of(presented);
        let mut found = u32::MAX;
        for (index, (hash, _)) in (0_u32..).zip(&self.tokens) {
            let same: Choice = hash.0.ct_eq(&presented.0);
            found.conditional_assign(&index, same);
        }
        self.tokens.get(usize::try_from(found).ok()?).map(|(_, token)| token)
    }
}

/// On whose behalf a command is executed.
#[derive(Debug, Clone, Default)]
pub(crate) enum Actor {
    /// The process that embeds the registry: it is allowed everything and owns nothing.
    #[default]
    InProcess,
    /// A client of a registry without tokens: likewise.
    Anonymous,
    /// A client with a token.
    Bearer(Arc<TokenInfo>),
}

/// The actor of a request and whether it may write. Every authorized request has one; without it, writes are rejected.
#[cfg(feature = "server")]
#[derive(Debug, Clone)]
pub(crate) struct Access {
    pub(crate) actor: Actor,
    #[cfg_attr(
        not(feature = "cli"),
        expect(dead_code, reason = "routes of the API name the role that they need")
    )]
    pub(crate) may_write: bool,
}

#[cfg(feature = "server")]
impl Access {
    /// The access of a request without a token, if reading requires none.
    pub(crate) const READ_ONLY: Self = Self { actor: Actor::Anonymous, may_write: false };
}

impl Actor {
    /// Returns whether the actor may refresh, replace and deregister a server of this owner. Servers without an owner can be
    /// taken over.
    pub(crate) fn may_change(&self, owner: Option<&str>) -> bool {
        match self {
            Self::InProcess | Self::Anonymous => true,
            Self::Bearer(token) => {
                token.role == Role::Admin || owner.is_none_or(|owner| owner == token.name.as_str())
            }
        }
    }

    /// Returns the owner of a server that the actor registers or replaces. A replaced server keeps its owner.
    pub(crate) fn owner(&self, previous: Option<&str>) -> Option<String> {
        let own = || match self {
            Self::InProcess | Self::Anonymous => None,
            Self::Bearer(token) => Some(token.name.to_string()),
        };
        previous.map(str::to_owned).or_else(own)
    }
}

/// Redacts everything in a text that looks like a token.
pub(crate) fn redact(text: &str) -> Cow<'_, str> {
    let mut clean = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(SECRET_PREFIX) {
        let secret = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-".contains(byte);
        let length = after.bytes().take_while(secret).count();
        clean.push_str(before);
        clean.push_str(SECRET_PREFIX);
        if length >= SECRET_CHARACTERS {
            clean.push('…');
            rest = after.get(length..).unwrap_or_default();
        } else {
            rest = after;
        }
    }
    if clean.is_empty() {
        return Cow::Borrowed(text);
    }
    clean.push_str(rest);
    Cow::Owned(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(name: &str, role: Role) -> Arc<TokenInfo> {
        Arc::new(TokenInfo { name: name.parse().unwrap(), role, created_at: DateTime::UNIX_EPOCH })
    }

    #[test]
    fn only_the_exact_secret_finds_its_token() {
        let secrets = [Secret::random().unwrap(), Secret::random().unwrap()];
        let tokens = [token("one", Role::Read), token("two", Role::Admin)];
        let tokens = Tokens::new(1, secrets.iter().map(Secret::hash).zip(tokens).collect());
        for (secret, name) in secrets.iter().zip(["one", "two"]) {
            assert_eq!(tokens.find(secret.expose()).unwrap().name.as_str(), name);
            assert!(tokens.find(&secret.expose()[1..]).is_none());
        }
        for other in ["", "paulina_", Secret::random().unwrap().expose()] {
            assert!(tokens.find(other).is_none());
        }
        assert!(Tokens::default().find(secrets[0].expose()).is_none());
    }

    #[test]
    fn tokens_are_redacted() {
        let secret = Secret::random().unwrap();
        let text = secret.expose();
        assert_eq!(text.len(), SECRET_PREFIX.len() + SECRET_CHARACTERS);
        assert_eq!(redact(&format!("a {text}, b {text}")), "a paulina_…, b paulina_…");
        assert_eq!(redact("paulina_database is no token"), "paulina_database is no token");
        assert!(!format!("{secret:?}").contains(&text[12..]));
    }

    #[test]
    fn permissions_and_owners_follow_from_the_actor() {
        let own = Actor::Bearer(token("ci", Role::Register));
        let admin = Actor::Bearer(token("root", Role::Admin));
        for (actor, owner, may, after) in [
            (&Actor::InProcess, None, true, None),
            (&Actor::Anonymous, None, true, None),
            (&Actor::Anonymous, Some("x"), true, Some("x")),
            (&own, None, true, Some("ci")),
            (&own, Some("ci"), true, Some("ci")),
            (&own, Some("x"), false, Some("x")),
            (&admin, None, true, Some("root")),
            (&admin, Some("x"), true, Some("x")),
        ] {
            assert_eq!(actor.may_change(owner), may, "{actor:?} {owner:?}");
            assert_eq!(actor.owner(owner).as_deref(), after, "{actor:?} {owner:?}");
        }
    }
}
