//! Who may ask: the checks of `Host` and `Origin` that keep web pages out.
//!
//! A page in somebody's browser can have its own name resolve to 127.0.0.1 and then talk to what listens there (DNS
//! rebinding). Its requests say that name as `Host`, and most say where they come from as `Origin`.

use std::net::IpAddr;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, header};

use crate::http::problem::{Code, Problem};
use crate::http::server::listener::Listener;

/// The names that a server answers to.
#[derive(Debug)]
pub(in crate::http) struct Hosts {
    /// None: no `Host` is asked for. A page can't reach a Unix socket, whatever its name resolves to.
    listen: Option<IpAddr>,
    allowed: Vec<String>,
    origins: Vec<String>,
}

impl Hosts {
    pub(in crate::http) fn new(listener: &Listener, allowed: &[String], origins: &[String]) -> Self {
        let listen = listener.address().map(|address| address.ip());
        Self { listen, allowed: allowed.iter().map(|name| plain(name)).collect(), origins: origins.to_vec() }
    }

    fn allows(&self, authority: &Authority) -> bool {
        let Some(listen) = self.listen else { return true };
        let host = plain(authority.host());
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        match address {
            Ok(address) if address.is_loopback() || address == listen => true,
            _ => host == "localhost" || self.allowed.contains(&host),
        }
    }

    /// Whether a request comes from a page of an origin that was allowed by name.
    pub(in crate::http) fn is_allowed_origin(&self, headers: &HeaderMap) -> bool {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let (first, second) = (origins.next(), origins.next());
        second.is_none()
            && first.is_some_and(|origin| self.origins.iter().any(|allowed| origin == allowed.as_str()))
    }

    /// Whether a request may pass; from pages of any origin, where what it asks for is public.
    pub(in crate::http) fn check(&self, headers: &HeaderMap, uri: &Uri, public: bool) -> Result<(), Problem> {
        let authority = authority(headers, uri)?;
        if !self.allows(&authority) {
            let detail =
                "this registry does not answer to the Host of the request; allow it with --allowed-host";
            return Err(Problem::new(Code::HostNotAllowed, detail));
        }
        let own = |origin: &str| {
            let named = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
            named.is_some_and(|named| named.eq_ignore_ascii_case(authority.as_str()))
        };
        let foreign = |origin: &axum::http::HeaderValue| !origin.to_str().is_ok_and(own);
        if !public && headers.get_all(header::ORIGIN).iter().any(foreign) && !self.is_allowed_origin(headers)
        {
            let detail = "this registry does not answer to web pages of another origin; allow it with --allowed-origin";
            return Err(Problem::new(Code::OriginNotAllowed, detail));
        }
        Ok(())
    }
}

/// Whom a request is for. RFC 9112, section 3.2: there is one Host, even where a request target in absolute form says who is
/// meant, and neither names a user.
fn authority(headers: &HeaderMap, uri: &Uri) -> Result<Authority, Problem> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok().and_then(|host| host.parse::<Authority>().ok()),
        _ => None,
    };
    let meant = uri.authority().or(host.as_ref()).filter(|_| host.is_some()).cloned();
    let plain = |authority: &Authority| {
        let after_host = authority.as_str().strip_prefix(authority.host());
        after_host.is_some_and(|port| port.is_empty() || authority.port_u16().is_some())
    };
    meant.filter(plain).ok_or_else(|| {
        let detail = "a request names one Host, and no user in it";
        Problem::new(Code::MalformedRequest, detail)
    })
}

/// Whether it is clear where the body of a request ends. RFC 9112, section 6.1: a server may refuse what it does not know of
/// transfer codings, and a length beside them is a sign of smuggling.
pub(in crate::http) fn check_framing(headers: &HeaderMap) -> Result<(), Problem> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let Some(first) = codings.next() else { return Ok(()) };
    let chunked = first.as_bytes().eq_ignore_ascii_case(b"chunked") && codings.next().is_none();
    if chunked && !headers.contains_key(header::CONTENT_LENGTH) {
        return Ok(());
    }
    let detail =
        "send a body with content-length, or with transfer-encoding: chunked, and nothing else of either";
    Err(Problem::new(Code::MalformedRequest, detail))
}

/// A host name to compare: lower case, without the dot that ends a full name.
fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(host: &str, origin: Option<&str>) -> Option<&'static str> {
        let hosts = Hosts {
            listen: Some("192.0.2.7".parse().unwrap()),
            allowed: vec!["registry.example".to_owned()],
            origins: vec!["https://app.example".to_owned()],
        };
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        let problem = hosts.check(&headers, &Uri::from_static("/v1/servers"), false).err()?;
        Some(problem.code().as_str())
    }

    #[test]
    fn only_its_own_names_and_its_own_pages() {
        for host in [
            "localhost:7285",
            "LOCALHOST",
            "127.0.0.1:7285",
            "127.9.9.9",
            "[::1]:80",
            "192.0.2.7",
            "registry.example.:1",
        ] {
            assert_eq!(verdict(host, None), None, "{host}");
        }
        for host in
            ["evil.example", "localhost.evil.example", "192.0.2.8", "0.0.0.0", "127.0.0.1.evil.example"]
        {
            assert_eq!(verdict(host, None), Some("host_not_allowed"), "{host}");
        }
        for host in ["evil.example@127.0.0.1", "127.0.0.1:x", "127.0.0.1:", "", "a b"] {
            assert_eq!(verdict(host, None), Some("malformed_request"), "{host}");
        }
        assert_eq!(verdict("localhost:7285", Some("http://localhost:7285")), None);
        assert_eq!(verdict("localhost:7285", Some("http://localhost:9999")), Some("origin_not_allowed"));
        assert_eq!(verdict("localhost:7285", Some("null")), Some("origin_not_allowed"));
        assert_eq!(verdict("localhost:7285", Some("https://app.example")), None);
        assert_eq!(
            verdict("localhost:7285", Some("https://app.example.evil.example")),
            Some("origin_not_allowed")
        );
    }
}
