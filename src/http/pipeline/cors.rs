//! CORS: pages of the allowed origins may read responses, and any page may where the catalog is public.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tower::{Layer, ServiceExt, service_fn};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::host_check::HostPolicy;
use super::route::{Requirement, Route};

/// The CORS policy of a server.
pub(super) struct Cors {
    /// Adds the headers for the allowed origins; none without such origins.
    layer: Option<CorsLayer>,
    /// Whether any page may read the official registry's API.
    public_catalog: bool,
}

impl Cors {
    pub(super) fn new(origins: &[String], public_catalog: bool) -> io::Result<Self> {
        let layer = if origins.is_empty() { None } else { Some(layer(origins)?) };
        Ok(Self { layer, public_catalog })
    }

    /// Returns whether pages of any origin may read the route.
    pub(super) fn is_public(&self, route: Route) -> bool {
        self.public_catalog && matches!(route.requirement(&Method::GET), Requirement::Catalog(_))
    }

    /// Handles a request with `inner`, responds to preflight requests, and adds the headers.
    pub(super) async fn apply<F: Future<Output = Response>>(
        &self,
        request: Request,
        route: Route,
        host_policy: &HostPolicy,
        inner: impl Fn(Request) -> F,
    ) -> Response {
        if self.is_public(route) {
            let is_preflight = request.method() == Method::OPTIONS;
            let mut response =
                if is_preflight { StatusCode::NO_CONTENT.into_response() } else { inner(request).await };
            add_public_headers(&mut response);
            return response;
        }
        let Some(layer) = self.layer.as_ref().filter(|_| host_policy.is_allowed_origin(request.headers()))
        else {
            return inner(request).await;
        };
        let service = service_fn(|request| {
            let response = inner(request);
            async { Ok::<_, Infallible>(response.await) }
        });
        layer.layer(service).oneshot(request).await.unwrap_or_else(|never| match never {})
    }
}

fn layer(origins: &[String]) -> io::Result<CorsLayer> {
    let origins = origins.iter().map(|origin| origin.parse::<HeaderValue>());
    let origins = origins.collect::<Result<Vec<_>, _>>().map_err(io::Error::other)?;
    Ok(CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_NONE_MATCH,
            HeaderName::from_static("last-event-id"),
            HeaderName::from_static("mcp-method"),
            HeaderName::from_static("mcp-name"),
            HeaderName::from_static("mcp-protocol-version"),
            HeaderName::from_static("mcp-session-id"),
            HeaderName::from_static("x-request-id"),
        ])
        .expose_headers([
            header::ETAG,
            header::LOCATION,
            header::RETRY_AFTER,
            header::WWW_AUTHENTICATE,
            HeaderName::from_static("mcp-session-id"),
            HeaderName::from_static("paulina-role"),
            HeaderName::from_static("x-request-id"),
        ])
        .max_age(Duration::from_hours(1)))
}

/// Allows any page to read the response. Not with a [`CorsLayer`]: GitHub Copilot expects all three headers in every
/// response of a registry, and the layer adds two of them only to preflight responses.
fn add_public_headers(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, OPTIONS"));
    let allowed = HeaderValue::from_static("Authorization, Content-Type, If-None-Match");
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
}
