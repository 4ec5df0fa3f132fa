//! The user interface: the dashboard and the API documentation, as static assets in the binary.
//!
//! The pages load nothing from other origins. They need no authentication themselves: their scripts call the API with a token,
//! as any client does.

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::problem::{Code, Problem};
use super::response::{fingerprint, matches_etag};

/// The content security policy of the pages, <https://www.w3.org/TR/CSP3/>. With trusted types, no text becomes markup:
/// <https://www.w3.org/TR/trusted-types/>.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

macro_rules! assets {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("ui/", $name)))),*]
    };
}

/// The assets by name.
const ASSETS: [(&str, &str); 20] = assets![
    "api.js",
    "base.css",
    "changes.js",
    "dashboard.css",
    "dashboard.js",
    "detail.js",
    "docs.css",
    "docs.js",
    "dom.js",
    "filters.js",
    "icon.svg",
    "leases.js",
    "list.js",
    "request.js",
    "schema.js",
    "search.js",
    "store.js",
    "stream.js",
    "token.js",
    "try.js",
];

pub(super) async fn dashboard(headers: HeaderMap) -> Response {
    respond(&headers, "dashboard.html", include_str!("ui/dashboard.html"))
}

pub(super) async fn docs(headers: HeaderMap) -> Response {
    respond(&headers, "docs.html", include_str!("ui/docs.html"))
}

pub(super) async fn asset(headers: HeaderMap, Path(name): Path<String>) -> Result<Response, Problem> {
    let asset = ASSETS.iter().find(|(known, _)| *known == name);
    let (name, text) =
        asset.ok_or_else(|| Problem::new(Code::NotFound, format!("no asset named {name:?}")))?;
    Ok(respond(&headers, name, text))
}

fn respond(request: &HeaderMap, name: &str, text: &'static str) -> Response {
    let tag = format!("\"{:016x}\"", fingerprint(&text));
    let mut response = if matches_etag(request, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        text.into_response()
    };
    let content_type = match name.rsplit_once('.') {
        Some((_, "html")) => "text/html; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "js")) => "text/javascript; charset=utf-8",
        _ => "image/svg+xml",
    };
    let mut insert = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    };
    insert(header::CONTENT_TYPE, content_type);
    insert(header::ETAG, &tag);
    insert(header::CACHE_CONTROL, "no-cache");
    insert(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    insert(header::REFERRER_POLICY, "no-referrer");
    response
}
