//! Who may do what: tokens.
//!
//! There is one rule for all routes, so that no handler can forget it: what is not on the short list of open paths needs a
//! token as soon as there is one; reading needs the role `read`, promoting `admin`, everything else `register`. Whose server it is, the writer
//! decides, in order with everything else that it does.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, header};

use crate::http::problem::{Code, Problem};
use crate::http::state::App;
use crate::http::{official_registry, ui};
use crate::model::{Actor, Role};
use crate::registry::Registry;

/// What tells no more of what is registered than how much it is.
const OPEN: [&str; 4] = ["/healthz", "/readyz", "/metrics", "/openapi.json"];

/// Whether a path needs no token.
pub(in crate::http) fn is_open(path: &str) -> bool {
    OPEN.contains(&path) || ui::is_page(path)
}

/// See the [module](self).
#[derive(Debug, Clone)]
pub(in crate::http) struct Gate {
    registry: Registry,
    policy: Policy,
}

/// What holds beside the tokens.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::http) struct Policy {
    /// Reading needs no token.
    pub(in crate::http) anonymous_read: bool,
    /// Without any token nobody is let in, instead of everybody.
    pub(in crate::http) closed: bool,
    /// The official registry's API needs no token.
    pub(in crate::http) public_catalogue: bool,
}

impl Gate {
    pub(in crate::http) fn new(registry: Registry, policy: Policy) -> Self {
        Self { registry, policy }
    }

    /// Marks an answer that comes from a standby.
    pub(in crate::http) fn mark(&self, headers: &mut HeaderMap) {
        if self.registry.is_standby() {
            headers.insert("paulina-role", HeaderValue::from_static("standby"));
        }
    }

    /// Lets a request pass and notes on whose behalf it comes, or says why not.
    pub(in crate::http) fn admit(&self, request: &mut Request) -> Result<(), Problem> {
        let path = request.uri().path().to_owned();
        let path = path.as_str();
        if is_open(path) || (self.policy.public_catalogue && official_registry::is_of_it(path)) {
            return Ok(());
        }
        let tokens = self.registry.tokens_held();
        if tokens.is_empty() && !self.policy.closed {
            if path == "/mcp" {
                // Who comes there without having been let in by this rule may read alone.
                request.extensions_mut().insert(Actor::Anybody);
            }
            return Ok(());
        }
        // At `/mcp` every question is a POST; whether a token may also write is seen there.
        let reading =
            matches!(*request.method(), Method::GET | Method::HEAD) || request.uri().path() == "/mcp";
        let Some(presented) = presented(request.headers())? else {
            if reading && self.policy.anonymous_read {
                return Ok(());
            }
            let detail = "this registry asks for a token: send it as authorization: Bearer …, or have one made with \
                          `paulina token create`";
            return Err(Problem::new(Code::Unauthorized, detail));
        };
        let Some(token) = tokens.find(presented) else {
            let detail = "the token is none of this registry's; it may have been revoked";
            return Err(Problem::new(Code::Unauthorized, detail));
        };
        let needed = match request.uri().path() {
            "/v1/promote" => Role::Admin,
            _ if reading => Role::Read,
            _ => Role::Register,
        };
        if token.role < needed {
            let detail =
                format!("the token {:?} may {}, and this takes {needed}", token.name.as_str(), token.role);
            return Err(Problem::new(Code::Forbidden, detail));
        }
        tracing::Span::current().record("token", token.name.as_str());
        let token = token.clone();
        request.extensions_mut().insert(Actor::Bearer(token));
        Ok(())
    }
}

/// RFC 6750, section 2.1: the token in the header `Authorization`.
fn presented(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (first, second) = (all.next(), all.next());
    let Some(first) = first else { return Ok(None) };
    let bearer = first.to_str().ok().filter(|_| second.is_none()).and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    bearer.map(Some).ok_or_else(|| {
        Problem::new(Code::Unauthorized, "send one authorization header of the form: Bearer …")
    })
}

/// On whose behalf a request comes.
pub(in crate::http) struct Caller(pub(in crate::http) Actor);

impl FromRequestParts<App> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Infallible> {
        Ok(Self(parts.extensions.get().cloned().unwrap_or(Actor::Anybody)))
    }
}
