//! Tokens: who may read, register and administer.
//!
//! A token is 256 bits from the operating system's random source, shown once. The registry keeps its SHA-256 alone: with
//! that much chance in it there is nothing for a slow hash to protect. What looks like a token is taken out of every log
//! line and error text, see [`redact`].

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

/// What a token may do. Each role may do all that the one before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Find and read.
    Read,
    /// Register servers, and refresh, replace and deregister its own.
    Register,
    /// The same with the servers of anybody.
    Admin,
}

impl Role {
    const ALL: [Self; 3] = [Self::Read, Self::Register, Self::Admin];

    /// The name on the command line and in SQL.
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

/// Why a token cannot be made: mend what it names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No such role: use one of the three.
    #[error("{0:?} is no role; use read, register or admin")]
    Role(String),
    /// Not a name for a token: choose another.
    #[error("{0:?} is no name for a token; use 1–100 characters of [A-Za-z0-9._/@-]")]
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
    /// The name as text.
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

/// A token as it is listed: without its secret, which nobody has but its holder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokenInfo {
    /// Its name.
    pub name: TokenName,
    /// What it may do.
    pub role: Role,
    /// When it was made.
    #[serde(serialize_with = "super::timestamp::rfc3339")]
    pub created_at: DateTime<Utc>,
}

/// A token's secret. `Debug` does not show it.
#[derive(Clone)]
pub struct Secret(String);

const PREFIX: &str = "paulina_";
const SECRET_BYTES: usize = 32;
const SECRET_CHARACTERS: usize = 43;

impl Secret {
    /// A new one.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; SECRET_BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self([PREFIX, &URL_SAFE_NO_PAD.encode(bytes)].concat()))
    }

    /// The text that its holder sends as `Authorization: Bearer …`.
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

/// What the registry keeps of a secret: its SHA-256.
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

/// All tokens, to find the one that somebody presents.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    /// A number that goes up with every change of them.
    pub(crate) version: i64,
    held: Vec<(SecretHash, Arc<TokenInfo>)>,
}

impl Tokens {
    pub(crate) fn new(version: i64, held: Vec<(SecretHash, Arc<TokenInfo>)>) -> Self {
        Self { version, held }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// All of them, by name.
    pub(crate) fn list(&self) -> Vec<TokenInfo> {
        let mut list: Vec<TokenInfo> = self.held.iter().map(|(_, token)| TokenInfo::clone(token)).collect();
        list.sort_by(|one, other| one.name.cmp(&other.name));
        list
    }

    /// Whether somebody may still act: a token can be revoked, or the first one made, while a request is on its way.
    pub(crate) fn admit(&self, actor: &Actor) -> bool {
        match actor {
            Actor::Process => true,
            Actor::Anybody => self.held.is_empty(),
            Actor::Bearer(token) => self.held.iter().any(|(_, held)| held == token),
        }
    }

    /// Whose secret this is. It takes the same time whichever it is, and whether there is one.
    pub(crate) fn find(&self, presented: &str) -> Option<&Arc<TokenInfo>> {
        let presented = SecretHash::of(presented);
        let mut found = u32::MAX;
        for (index, (hash, _)) in (0_u32..).zip(&self.held) {
            let same: Choice = hash.0.ct_eq(&presented.0);
            found.conditional_assign(&index, same);
        }
        self.held.get(usize::try_from(found).ok()?).map(|(_, token)| token)
    }
}

/// On whose behalf something is written.
#[derive(Debug, Clone, Default)]
pub(crate) enum Actor {
    /// Who holds the registry in process: may do everything, owns nothing.
    #[default]
    Process,
    /// Who reaches it while there are no tokens: the same.
    Anybody,
    /// The holder of a token.
    Bearer(Arc<TokenInfo>),
}

/// On whose behalf a request comes, and whether it may write. Each request that is let in has one: where it is missing, nothing
/// may be written.
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
    /// That of a request without a token where reading needs none.
    pub(crate) const READ_ONLY: Self = Self { actor: Actor::Anybody, may_write: false };
}

impl Actor {
    /// Whether it may refresh, replace and deregister a server of that owner. What nobody owns, anybody may take over.
    pub(crate) fn may_change(&self, owner: Option<&str>) -> bool {
        match self {
            Self::Process | Self::Anybody => true,
            Self::Bearer(token) => {
                token.role == Role::Admin || owner.is_none_or(|owner| owner == token.name.as_str())
            }
        }
    }

    /// Whose a server is that it registers, over one that was `before`'s: an admin mends what stays its owner's.
    pub(crate) fn owner(&self, before: Option<&str>) -> Option<String> {
        let own = || match self {
            Self::Process | Self::Anybody => None,
            Self::Bearer(token) => Some(token.name.to_string()),
        };
        before.map(str::to_owned).or_else(own)
    }
}

/// A text without anything in it that looks like a token.
pub(crate) fn redact(text: &str) -> Cow<'_, str> {
    let mut clean = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(PREFIX) {
        let secret = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-".contains(byte);
        let length = after.bytes().take_while(secret).count();
        clean.push_str(before);
        clean.push_str(PREFIX);
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
    fn only_the_secret_itself_finds_its_token() {
        let secrets = [Secret::random().unwrap(), Secret::random().unwrap()];
        let held = [token("one", Role::Read), token("two", Role::Admin)];
        let tokens = Tokens::new(1, secrets.iter().map(Secret::hash).zip(held).collect());
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
    fn what_looks_like_a_token_is_not_shown() {
        let secret = Secret::random().unwrap();
        let text = secret.expose();
        assert_eq!(text.len(), PREFIX.len() + SECRET_CHARACTERS);
        assert_eq!(redact(&format!("a {text}, b {text}")), "a paulina_…, b paulina_…");
        assert_eq!(redact("paulina_database is no token"), "paulina_database is no token");
        assert!(!format!("{secret:?}").contains(&text[12..]));
    }

    #[test]
    fn who_may_change_what() {
        let own = Actor::Bearer(token("ci", Role::Register));
        let admin = Actor::Bearer(token("root", Role::Admin));
        for (actor, owner, may, after) in [
            (&Actor::Process, None, true, None),
            (&Actor::Anybody, None, true, None),
            (&Actor::Anybody, Some("x"), true, Some("x")),
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
