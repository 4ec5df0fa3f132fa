//! The checks of `Host` and `Origin`, against requests of foreign web pages.
//!
//! A web page can let its own host name resolve to 127.0.0.1 and then send requests to what listens there (DNS rebinding).
//! Such requests carry that name as `Host`, and most carry the page's `Origin`.

use std::net::IpAddr;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, header};

use crate::http::problem::{Code, Problem};
use crate::http::server::listener::Listener;

/// The hosts and origins that a server accepts.
#[derive(Debug)]
pub(in crate::http) struct HostPolicy {
    /// None for a Unix socket, where any `Host` is accepted: a web page cannot reach one.
    listen: Option<IpAddr>,
    allowed: Vec<String>,
    origins: Vec<String>,
}

impl HostPolicy {
    pub(in crate::http) fn new(listener: &Listener, allowed: &[String], origins: &[String]) -> Self {
        let listen = listener.address().map(|address| address.ip());
        Self {
            listen,
            allowed: allowed.iter().map(|name| normalized(name)).collect(),
            origins: origins.to_vec(),
        }
    }

    fn allows_host(&self, authority: &Authority) -> bool {
        let Some(listen) = self.listen else { return true };
        let host = normalized(authority.host());
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        match address {
            Ok(address) if address.is_loopback() || address == listen => true,
            _ => host == "localhost" || self.allowed.contains(&host),
        }
    }

    /// Whether a request comes from an origin that is allowed by name.
    pub(in crate::http) fn is_allowed_origin(&self, headers: &HeaderMap) -> bool {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let (first, second) = (origins.next(), origins.next());
        second.is_none()
            && first.is_some_and(|origin| self.origins.iter().any(|allowed| origin == allowed.as_str()))
    }

    /// Checks the host and the origin of a request. A public resource accepts any origin.
    pub(in crate::http) fn check(&self, headers: &HeaderMap, uri: &Uri, public: bool) -> Result<(), Problem> {
        let authority = authority(headers, uri)?;
        if !self.allows_host(&authority) {
            let detail = "the Host of the request is not allowed; allow it with --allowed-host";
            return Err(Problem::new(Code::HostNotAllowed, detail));
        }
        let own = |origin: &str| {
            let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
            host.is_some_and(|host| host.eq_ignore_ascii_case(authority.as_str()))
        };
        let foreign = |origin: &axum::http::HeaderValue| !origin.to_str().is_ok_and(own);
        if !public && headers.get_all(header::ORIGIN).iter().any(foreign) && !self.is_allowed_origin(headers)
        {
            let detail = "the Origin of the request is not allowed; allow it with --allowed-origin";
            return Err(Problem::new(Code::OriginNotAllowed, detail));
        }
        Ok(())
    }
}

/// Returns the authority that a request is for. RFC 9112, section 3.2: there is exactly one Host, even with a request target in
/// absolute form, and neither names a user.
fn authority(headers: &HeaderMap, uri: &Uri) -> Result<Authority, Problem> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok().and_then(|host| host.parse::<Authority>().ok()),
        _ => None,
    };
    let authority = uri.authority().or(host.as_ref()).filter(|_| host.is_some()).cloned();
    let is_valid = |authority: &Authority| {
        let after_host = authority.as_str().strip_prefix(authority.host());
        after_host.is_some_and(|port| port.is_empty() || authority.port_u16().is_some())
    };
    authority.filter(is_valid).ok_or_else(|| {
        let detail = "a request must have exactly one Host header, without a user";
        Problem::new(Code::MalformedRequest, detail)
    })
}

/// Checks that the end of the body is unambiguous. RFC 9112, section 6.1: a server may reject unknown transfer codings, and a
/// content length in addition to one is a sign of request smuggling.
pub(in crate::http) fn check_framing(headers: &HeaderMap) -> Result<(), Problem> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let Some(first) = codings.next() else { return Ok(()) };
    let chunked = first.as_bytes().eq_ignore_ascii_case(b"chunked") && codings.next().is_none();
    if chunked && !headers.contains_key(header::CONTENT_LENGTH) {
        return Ok(());
    }
    let detail = "send a body either with content-length or with transfer-encoding: chunked";
    Err(Problem::new(Code::MalformedRequest, detail))
}

/// Returns a host name for comparison: in lower case, without the trailing dot of a fully qualified name.
fn normalized(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejection(host: &str, origin: Option<&str>) -> Option<&'static str> {
        let policy = HostPolicy {
            listen: Some("192.0.2.7".parse().unwrap()),
            allowed: vec!["registry.example".to_owned()],
            origins: vec!["https://app.example".to_owned()],
        };
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        let problem = policy.check(&headers, &Uri::from_static("/v1/servers"), false).err()?;
        Some(problem.code().as_str())
    }

    #[test]
    fn only_own_and_allowed_hosts_and_origins_are_accepted() {
        for host in [
            "localhost:7285",
            "LOCALHOST",
            "127.0.0.1:7285",
            "127.9.9.9",
            "[::1]:80",
            "192.0.2.7",
            "registry.example.:1",
        ] {
            assert_eq!(rejection(host, None), None, "{host}");
        }
        for host in
            ["evil.example", "localhost.evil.example", "192.0.2.8", "0.0.0.0", "127.0.0.1.evil.example"]
        {
            assert_eq!(rejection(host, None), Some("host_not_allowed"), "{host}");
        }
        for host in ["evil.example@127.0.0.1", "127.0.0.1:x", "127.0.0.1:", "", "a b"] {
            assert_eq!(rejection(host, None), Some("malformed_request"), "{host}");
        }
        assert_eq!(rejection("localhost:7285", Some("http://localhost:7285")), None);
        assert_eq!(rejection("localhost:7285", Some("http://localhost:9999")), Some("origin_not_allowed"));
        assert_eq!(rejection("localhost:7285", Some("null")), Some("origin_not_allowed"));
        assert_eq!(rejection("localhost:7285", Some("https://app.example")), None);
        assert_eq!(
            rejection("localhost:7285", Some("https://app.example.evil.example")),
            Some("origin_not_allowed")
        );
    }
}
