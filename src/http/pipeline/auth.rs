//! Who may do what: tokens.
//!
//! There is one rule for all routes, so that no handler can forget it: as soon as there is a token, each request needs one with
//! the role that its [route](Route::requirement) names. Whose server it is, the writer decides, in order with everything else
//! that it does.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, header};

use super::route::{Requirement, Route};
use crate::http::problem::{Code, Problem};
use crate::model::{Access, Actor, Role};
use crate::registry::Registry;

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

    /// Lets a request in, with its [`Access`] among its extensions, or says why not.
    pub(in crate::http) fn admit(&self, request: &mut Request, route: Route) -> Result<(), Problem> {
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
            Requirement::Catalog(_) if self.policy.public_catalogue => return Ok(Access::READ_ONLY),
            Requirement::Catalog(role) | Requirement::Role(role) => role,
        };
        let tokens = self.registry.tokens_held();
        if tokens.is_empty() && !self.policy.closed {
            return Ok(Access { actor: Actor::Anybody, may_write: true });
        }
        let Some(presented) = presented(request.headers())? else {
            if needed == Role::Read && self.policy.anonymous_read {
                return Ok(Access::READ_ONLY);
            }
            let detail = "this registry asks for a token: send it as authorization: Bearer …, or have one made with \
                          `paulina token create`";
            return Err(Problem::new(Code::Unauthorized, detail));
        };
        let Some(token) = tokens.find(presented) else {
            let detail = "the token is none of this registry's; it may have been revoked";
            return Err(Problem::new(Code::Unauthorized, detail));
        };
        if token.role < needed {
            let detail =
                format!("the token {:?} may {}, and this takes {needed}", token.name.as_str(), token.role);
            return Err(Problem::new(Code::Forbidden, detail));
        }
        Ok(Access { may_write: token.role >= Role::Register, actor: Actor::Bearer(token.clone()) })
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
