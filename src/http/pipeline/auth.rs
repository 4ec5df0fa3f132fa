//! Authentication with tokens, and authorization by role.
//!
//! One rule covers all routes, so no handler can forget it: once a token exists, each request needs one with the role that
//! its [route](Route::requirement) names. The writer checks the ownership of a server, in the same transaction as the write.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, header};

use super::route::{Requirement, Route};
use crate::http::problem::{Code, Problem};
use crate::model::{Access, Actor, Role};
use crate::registry::Registry;

/// Checks the token of each request.
#[derive(Debug, Clone)]
pub(in crate::http) struct Authenticator {
    registry: Registry,
    policy: Policy,
}

/// The access rules besides the tokens.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::http) struct Policy {
    /// The route needs no token.
    pub(in crate::http) anonymous_read: bool,
    /// While there is no token, no request is authorized, instead of every one.
    pub(in crate::http) require_token: bool,
    /// The official registry's API needs no token.
    pub(in crate::http) public_catalog: bool,
}

impl Authenticator {
    pub(in crate::http) fn new(registry: Registry, policy: Policy) -> Self {
        Self { registry, policy }
    }

    /// Adds the header `paulina-role` to the response of a standby.
    pub(in crate::http) fn add_role_header(&self, headers: &mut HeaderMap) {
        if self.registry.is_standby() {
            headers.insert("paulina-role", HeaderValue::from_static("standby"));
        }
    }

    /// Authorizes a request and inserts its [`Access`] into its extensions.
    pub(in crate::http) fn authorize(&self, request: &mut Request, route: Route) -> Result<(), Problem> {
        let access = self.access(request, route)?;
        if let Actor::Bearer(token) = &access.actor {
            tracing::Span::current().record("token", token.name.as_str());
        }
        request.extensions_mut().insert(access);
        Ok(())
    }

    fn access(&self, request: &Request, route: Route) -> Result<Access, Problem> {
        let needed = match route.requirement(request.method()) {
            Requirement::Nothing => return Ok(Access::READ_ONLY),
            Requirement::Catalog(_) if self.policy.public_catalog => return Ok(Access::READ_ONLY),
            Requirement::Catalog(role) | Requirement::Role(role) => role,
        };
        let tokens = self.registry.current_tokens();
        if tokens.is_empty() && !self.policy.require_token {
            return Ok(Access { actor: Actor::Anonymous, may_write: true });
        }
        let Some(bearer_token) = bearer_token(request.headers())? else {
            if needed == Role::Read && self.policy.anonymous_read {
                return Ok(Access::READ_ONLY);
            }
            let detail = "this registry requires a token: create one with `paulina token create`, and send it as \
                          `Authorization: Bearer …`";
            return Err(Problem::new(Code::Unauthorized, detail));
        };
        let Some(token) = tokens.find(bearer_token) else {
            let detail = "unknown token; it may have been revoked";
            return Err(Problem::new(Code::Unauthorized, detail));
        };
        if token.role < needed {
            let detail = format!(
                "the token {:?} has the role {}; this request requires {needed}",
                token.name.as_str(),
                token.role
            );
            return Err(Problem::new(Code::Forbidden, detail));
        }
        Ok(Access { may_write: token.role >= Role::Register, actor: Actor::Bearer(token.clone()) })
    }
}

/// Returns the token in the header `Authorization`. RFC 6750, section 2.1.
fn bearer_token(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (first, second) = (all.next(), all.next());
    let Some(first) = first else { return Ok(None) };
    let bearer = first.to_str().ok().filter(|_| second.is_none()).and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    bearer.map(Some).ok_or_else(|| {
        Problem::new(Code::Unauthorized, "send exactly one Authorization header, of the form `Bearer …`")
    })
}
