//! The pipeline around the router: request id, CORS, checks of `Host`, `Origin` and token, admission control, compression.
//!
//! One function rather than a stack of layers: axum clones and boxes the service behind each layer at every request, and
//! together that cost more than the handlers.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use hyper::body::Body as _;
use tower::{Layer, ServiceExt, service_fn};
use tower_http::compression::CompressionLayer;
use tracing::Instrument;

use super::admission::{AdmissionControl, AdmissionPermit};
use super::auth::Authenticator;
use super::body::reserve_memory;
use super::compression::accepts_gzip;
use super::cors::Cors;
use super::host_check::{HostPolicy, check_framing};
use super::request_id;
use super::route::{AdmissionClass, Route};
use crate::clock::{Clock, SystemClock};
use crate::http::metrics::Metrics;
use crate::http::problem::{Code, Problem};

/// Handles the requests of a [`HttpServer`](crate::http::HttpServer).
#[derive(Clone)]
pub(in crate::http) struct Pipeline(Arc<Shared>);

struct Shared {
    router: Router,
    admission: AdmissionControl,
    host_policy: HostPolicy,
    authenticator: Authenticator,
    cors: Cors,
}

impl Pipeline {
    pub(in crate::http) fn new(
        router: Router,
        admission: AdmissionControl,
        host_policy: HostPolicy,
        authenticator: Authenticator,
        origins: &[String],
        public_catalog: bool,
    ) -> io::Result<Self> {
        let cors = Cors::new(origins, public_catalog)?;
        Ok(Self(Arc::new(Shared { router, admission, host_policy, authenticator, cors })))
    }

    /// Handles a request.
    pub(in crate::http) async fn handle(self, request: Request) -> Response {
        let Shared { admission, host_policy, authenticator, cors, .. } = &*self.0;
        observe(request, authenticator, admission.metrics(), async |request, route| {
            let inner = |request| self.check(request, route);
            let mut response = cors.apply(request, route, host_policy, inner).await;
            add_security_headers(&mut response);
            response
        })
        .await
    }

    /// Applies all checks and the time limit.
    async fn check(&self, mut request: Request, route: Route) -> Response {
        let Shared { admission, host_policy, authenticator, cors, .. } = &*self.0;
        let class = route.admission(request.method());
        let is_public = cors.is_public(route);
        let admitted = check_framing(request.headers())
            .and_then(|()| host_policy.check(request.headers(), request.uri(), is_public))
            .and_then(|()| authenticator.authorize(&mut request, route))
            .inspect_err(|problem| admission.metrics().request_denied(problem.code().as_str()))
            .and_then(|()| {
                // A request with a body gets its permit when the body has arrived, so that slow ones do not hold permits.
                // A watch gets one from its handler, for as long as it lasts.
                let has_body = request.method() == Method::POST && !request.body().is_end_stream();
                let later = has_body || class == AdmissionClass::Watch;
                if later { Ok(AdmissionPermit::default()) } else { admission.admit(class) }
            });
        let permit = match admitted {
            Ok(permit) => permit,
            Err(problem) => return problem.into_response_in(route.error_format()),
        };
        let limit = route.time_limit(admission.limits());
        let response = tokio::time::timeout(limit, self.dispatch(request, class, permit)).await;
        response.unwrap_or_else(|_| timed_out(limit).into_response_in(route.error_format()))
    }

    /// Passes a request to the router, and compresses the response.
    async fn dispatch(
        &self,
        mut request: Request,
        class: AdmissionClass,
        mut permit: AdmissionPermit,
    ) -> Response {
        let Shared { router, admission, .. } = &*self.0;
        // If the client rejects even the identity coding, the layer would reject the request, after it was handled. RFC 9110,
        // section 12.5.3, allows a server to disregard such a header.
        let compress = accepts_gzip(request.headers());
        if compress {
            request.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let plain = service_fn(|request: Request| {
            let response = router.clone().oneshot(request);
            let permit = std::mem::take(&mut permit);
            async move { Ok::<_, Infallible>(reserve_memory(response.await?, admission, class, permit).await) }
        });
        let response = if compress {
            CompressionLayer::new()
                .layer(plain)
                .oneshot(request)
                .await
                .map(|response| response.map(Body::new))
        } else {
            plain.oneshot(request).await
        };
        response.unwrap_or_else(|never| match never {})
    }
}

/// Stops browsers from guessing a content type or running scripts in a response.
fn add_security_headers(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let policy = "default-src 'none'; frame-ancestors 'none'";
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(policy));
}

fn timed_out(limit: Duration) -> Problem {
    let detail = format!("the request was not completed within {} s; try again shortly", limit.as_secs());
    Problem::new(Code::Overloaded, detail)
}

/// Handles a request with `inner` in its span. Adds the headers that every response has, and counts and logs it.
async fn observe(
    request: Request,
    authenticator: &Authenticator,
    metrics: &Metrics,
    inner: impl AsyncFnOnce(Request, Route) -> Response,
) -> Response {
    let id = request_id::of(request.headers());
    let route = Route::of(request.uri().path());
    let level = route.log_level(request.method());
    let (clock, span) = (SystemClock::new(), request_id::span(&request, id.as_ref(), route, level));
    async move {
        let mut response = inner(request, route).await;
        authenticator.add_role_header(response.headers_mut());
        let took = clock.monotonic();
        metrics.request_completed(route, response.status(), took);
        request_id::finish(&mut response, id, level, took);
        response
    }
    .instrument(span)
    .await
}

/// The part of the pipeline that applies to a router nested in another application.
pub(in crate::http) async fn nested(
    State((authenticator, metrics)): State<(Authenticator, Metrics)>,
    request: Request,
    next: Next,
) -> Response {
    observe(request, &authenticator, &metrics, async |mut request, route| {
        match authenticator.authorize(&mut request, route) {
            Ok(()) => next.run(request).await,
            Err(problem) => problem.into_response_in(route.error_format()),
        }
    })
    .await
}
