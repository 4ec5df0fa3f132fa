//! What every request passes on its way to the router: its id, the checks of `Host`, `Origin` and token, the limits, and
//! compression for those who ask for it.
//!
//! One function rather than a stack of layers: axum clones and boxes what is behind each layer at every request, and
//! together that cost more than the answers.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use hyper::body::Body as _;
use tower::{Layer, ServiceExt, service_fn};
use tower_http::compression::CompressionLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tracing::Instrument;

use super::admission::{Load, Place};
use super::auth::Gate;
use super::body::accounted;
use super::host_check::{Hosts, check_framing};
use super::request_id;
use super::route::{AdmissionClass, Requirement, Route};
use crate::clock::{Clock, SystemClock};
use crate::http::metrics::Metrics;
use crate::http::official_registry;
use crate::http::problem::{Code, Problem};

/// See the [module](self).
#[derive(Clone)]
pub(in crate::http) struct Front(Arc<Shared>);

struct Shared {
    router: Router,
    load: Load,
    hosts: Hosts,
    gate: Gate,
    cors: Option<CorsLayer>,
    /// Whether any page may read the official registry's API.
    public_catalogue: bool,
    clock: SystemClock,
}

impl Front {
    pub(in crate::http) fn new(
        router: Router,
        load: Load,
        hosts: Hosts,
        gate: Gate,
        origins: &[String],
        public_catalogue: bool,
    ) -> io::Result<Self> {
        let cors = if origins.is_empty() { None } else { Some(cors(origins)?) };
        let clock = SystemClock::new();
        Ok(Self(Arc::new(Shared { router, load, hosts, gate, cors, public_catalogue, clock })))
    }

    /// Answers a request.
    pub(in crate::http) async fn answer(self, request: Request) -> Response {
        let id = request_id::of(request.headers());
        let route = Route::of(request.uri().path());
        let level = route.log_level(request.method());
        let span = request_id::span(&request, id.as_ref(), route, level);
        let answering = async move {
            let begin = self.0.clock.monotonic();
            let mut response = match &self.0.cors {
                _ if self.is_public(route) => {
                    let mut response = self.within(request, route).await;
                    official_registry::open_to_pages(&mut response);
                    response
                }
                Some(cors) if self.0.hosts.is_allowed_origin(request.headers()) => {
                    let inner = service_fn(|request| async {
                        Ok::<_, Infallible>(self.within(request, route).await)
                    });
                    cors.layer(inner).oneshot(request).await.unwrap_or_else(|never| match never {})
                }
                _ => self.within(request, route).await,
            };
            harden(&mut response);
            self.0.gate.mark(response.headers_mut());
            let took = self.0.clock.monotonic().saturating_sub(begin);
            self.0.load.metrics().answered(route, response.status(), took);
            request_id::put(&mut response, id, level, took);
            response
        };
        answering.instrument(span).await
    }

    /// Whether any page may read what is there.
    fn is_public(&self, route: Route) -> bool {
        self.0.public_catalogue && matches!(route.requirement(&Method::GET), Requirement::Catalog(_))
    }

    async fn within(&self, mut request: Request, route: Route) -> Response {
        let Shared { load, hosts, gate, .. } = &*self.0;
        let class = route.admission(request.method());
        let open = self.is_public(route);
        if open && request.method() == Method::OPTIONS {
            return official_registry::preflight();
        }
        let admitted = check_framing(request.headers())
            .and_then(|()| hosts.check(request.headers(), request.uri(), open))
            .and_then(|()| gate.admit(&mut request, route))
            .inspect_err(|problem| load.metrics().denied(problem.code().as_str()))
            .and_then(|()| {
                // A body that is read gives it its place when it is there: a slow one takes none from others. Who watches
                // has a place for as long as that goes on.
                let slow = request.method() == Method::POST && !request.body().is_end_stream();
                let later = slow || class == AdmissionClass::Watch;
                if later { Ok(Place::default()) } else { load.admit(class) }
            });
        let place = match admitted {
            Ok(place) => place,
            Err(problem) => return problem.into_response_in(route.error_format()),
        };
        let limit = route.time_limit(load.limits());
        let answer = tokio::time::timeout(limit, self.handle(request, class, place)).await;
        answer.unwrap_or_else(|_| late(limit).into_response_in(route.error_format()))
    }

    async fn handle(&self, mut request: Request, class: AdmissionClass, mut place: Place) -> Response {
        let Shared { router, load, .. } = &*self.0;
        // The layer would turn away who refuses even what is not encoded, and only once the request is carried out. RFC 9110,
        // section 12.5.3, lets such a header be disregarded.
        let compress = accepts_gzip(request.headers());
        if compress {
            request.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let plain = service_fn(|request: Request| {
            let answering = router.clone().oneshot(request);
            let place = std::mem::take(&mut place);
            async move { Ok::<_, Infallible>(accounted(answering.await?, load, class, place).await) }
        });
        let answer = if compress {
            CompressionLayer::new()
                .layer(plain)
                .oneshot(request)
                .await
                .map(|response| response.map(Body::new))
        } else {
            plain.oneshot(request).await
        };
        answer.unwrap_or_else(|never| match never {})
    }
}

/// Whether an answer may come with `content-encoding: gzip`. RFC 9110, section 12.5.3.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let weighed = codings.flat_map(|value| value.split(',')).map(|item| {
        let (coding, weight) = item.split_once(';').unwrap_or((item, ""));
        let weight = weight.trim().trim_start_matches(['q', 'Q']).trim_start_matches('=');
        (coding.trim(), weight.parse().is_ok_and(|weight: f32| weight == 0.0))
    });
    let (mut named, mut any) = (None, false);
    for (coding, refused) in weighed {
        if coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip") {
            named = Some(!refused);
        } else if coding == "*" {
            any = !refused;
        }
    }
    named.unwrap_or(any)
}

/// CORS for these origins alone.
fn cors(origins: &[String]) -> io::Result<CorsLayer> {
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

/// Nothing that this server sends is a page: no browser is to make one of it, or to run anything in it.
fn harden(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let policy = "default-src 'none'; frame-ancestors 'none'";
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(policy));
}

fn late(limit: Duration) -> Problem {
    let detail = format!("the registry could not answer within {} s; try again in a moment", limit.as_secs());
    Problem::new(Code::Overloaded, detail)
}

/// The part of it that belongs to a router which is nested in another application.
pub(in crate::http) async fn nested(
    State((gate, metrics)): State<(Gate, Metrics)>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = request_id::of(request.headers());
    let route = Route::of(request.uri().path());
    let level = route.log_level(request.method());
    let (clock, span) = (SystemClock::new(), request_id::span(&request, id.as_ref(), route, level));
    async move {
        let mut response = match gate.admit(&mut request, route) {
            Ok(()) => next.run(request).await,
            Err(problem) => problem.into_response_in(route.error_format()),
        };
        gate.mark(response.headers_mut());
        let took = clock.monotonic();
        metrics.answered(route, response.status(), took);
        request_id::put(&mut response, id, level, took);
        response
    }
    .instrument(span)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_gzip() {
        let accepts = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, text.parse().unwrap());
            accepts_gzip(&headers)
        };
        for yes in ["gzip", "GZIP", "br, gzip;q=0.5", "*", "*;q=0.1", "identity;q=0, gzip", "*;q=0, gzip"] {
            assert!(accepts(yes), "{yes}");
        }
        for no in ["", "identity", "br", "gzip;q=0", "gzip;q=0.000, *", "identity;q=0", "*;q=0", "br;q=1"] {
            assert!(!accepts(no), "{no}");
        }
    }
}
