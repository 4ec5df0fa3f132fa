//! The pages for people: the dashboard and the document of the API, served from the binary, without anybody else's help.
//!
//! They run what is served here and nothing else, and are open to everybody: what they show they ask for with a token, as any
//! client does.

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::problem::{Code, Problem};
use super::response::{fingerprint, is_known};

/// What a page may do: <https://www.w3.org/TR/CSP3/>. No text becomes markup, <https://www.w3.org/TR/trusted-types/>.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

macro_rules! assets {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("ui/", $name)))),*]
    };
}

/// What the pages are made of.
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
    answer(&headers, "dashboard.html", include_str!("ui/dashboard.html"))
}

pub(super) async fn docs(headers: HeaderMap) -> Response {
    answer(&headers, "docs.html", include_str!("ui/docs.html"))
}

pub(super) async fn asset(headers: HeaderMap, Path(name): Path<String>) -> Result<Response, Problem> {
    let found = ASSETS.iter().find(|(known, _)| *known == name);
    let (name, text) =
        found.ok_or_else(|| Problem::new(Code::NotFound, format!("there is no asset {name:?}")))?;
    Ok(answer(&headers, name, text))
}

fn answer(request: &HeaderMap, name: &str, text: &'static str) -> Response {
    let tag = format!("\"{:016x}\"", fingerprint(&text));
    let mut response =
        if is_known(request, &tag) { StatusCode::NOT_MODIFIED.into_response() } else { text.into_response() };
    let kind = match name.rsplit_once('.') {
        Some((_, "html")) => "text/html; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "js")) => "text/javascript; charset=utf-8",
        _ => "image/svg+xml",
    };
    let mut put = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    };
    put(header::CONTENT_TYPE, kind);
    put(header::ETAG, &tag);
    put(header::CACHE_CONTROL, "no-cache");
    put(header::CONTENT_SECURITY_POLICY, POLICY);
    put(header::REFERRER_POLICY, "no-referrer");
    response
}
