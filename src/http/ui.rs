//! The user interface: the dashboard and the API documentation, as static assets in the binary.
//!
//! The pages load nothing from other origins. They need no authentication themselves: their scripts call the API with a token,
//! as any client does.

use std::io::Write as _;
use std::sync::OnceLock;

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::task::spawn_blocking;

use super::pipeline::compression::accepts_gzip;
use super::problem::{Code, Problem};
use super::response::{fingerprint, matches_etag};

/// The content security policy of the dashboard, <https://www.w3.org/TR/CSP3/>. With trusted types, no text becomes markup:
/// <https://www.w3.org/TR/trusted-types/>.
const DASHBOARD_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// The content security policy of the API documentation. Swagger UI has images in its style sheet, and sanitizes HTML with
/// `DOMPurify`; `docs-init.js` defines the policy `default`.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
    trusted-types default dompurify";

/// A file of the user interface.
struct Asset {
    name: &'static str,
    text: &'static str,
    policy: &'static str,
    etag: OnceLock<String>,
    gzip: OnceLock<Option<Bytes>>,
}

macro_rules! asset {
    ($path:literal, $policy:expr) => {
        Asset {
            name: $path,
            text: include_str!(concat!("ui/", $path)),
            policy: $policy,
            etag: OnceLock::new(),
            gzip: OnceLock::new(),
        }
    };
    ($path:literal) => {
        asset!($path, DASHBOARD_POLICY)
    };
}

static DASHBOARD: Asset = asset!("dashboard.html");
static DOCS: Asset = asset!("docs.html", DOCS_POLICY);

/// The files below `/assets/`. Those in `vendor/` are from swagger-ui-dist 5.35.0, with its licenses next to them.
static ASSETS: [Asset; 22] = [
    asset!("api.js"),
    asset!("base.css"),
    asset!("changes.js"),
    asset!("dashboard.css"),
    asset!("dashboard.js"),
    asset!("detail.js"),
    asset!("docs-init.js"),
    asset!("docs.css"),
    asset!("dom.js"),
    asset!("filters.js"),
    asset!("icon.svg"),
    asset!("leases.js"),
    asset!("list.js"),
    asset!("search.js"),
    asset!("store.js"),
    asset!("stream.js"),
    asset!("token.js"),
    asset!("vendor/swagger-ui-bundle.js"),
    asset!("vendor/swagger-ui-bundle.js.LICENSE.txt"),
    asset!("vendor/swagger-ui.LICENSE.txt"),
    asset!("vendor/swagger-ui.NOTICE.txt"),
    asset!("vendor/swagger-ui.css"),
];

pub(super) async fn dashboard(headers: HeaderMap) -> Response {
    DASHBOARD.respond(&headers).await
}

pub(super) async fn docs(headers: HeaderMap) -> Response {
    DOCS.respond(&headers).await
}

pub(super) async fn asset(headers: HeaderMap, Path(name): Path<String>) -> Result<Response, Problem> {
    let asset = ASSETS.iter().find(|asset| asset.name == name);
    let asset = asset.ok_or_else(|| Problem::new(Code::NotFound, format!("no asset named {name:?}")))?;
    Ok(asset.respond(&headers).await)
}

/// From this size on, the compressed form is kept: to compress the largest asset takes 50 ms.
const KEEP_COMPRESSED_BYTES: usize = 64 * 1024;

impl Asset {
    async fn respond(&'static self, request: &HeaderMap) -> Response {
        // Weak: the compressed form has the same tag.
        let etag = self.etag.get_or_init(|| format!("W/\"{:016x}\"", fingerprint(&self.text)));
        let mut response = if matches_etag(request, etag) {
            StatusCode::NOT_MODIFIED.into_response()
        } else if let Some(compressed) = self.compressed_for(request).await {
            ([(header::CONTENT_ENCODING, "gzip")], compressed).into_response()
        } else {
            self.text.into_response()
        };
        let headers = response.headers_mut();
        if self.is_large() {
            headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type()));
        headers.extend(HeaderValue::from_str(etag).map(|etag| (header::ETAG, etag)));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(self.policy));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        response
    }

    fn content_type(&self) -> &'static str {
        match self.name.rsplit_once('.') {
            Some((_, "html")) => "text/html; charset=utf-8",
            Some((_, "css")) => "text/css; charset=utf-8",
            Some((_, "js")) => "text/javascript; charset=utf-8",
            Some((_, "txt")) => "text/plain; charset=utf-8",
            _ => "image/svg+xml",
        }
    }

    fn is_large(&self) -> bool {
        self.text.len() >= KEEP_COMPRESSED_BYTES
    }

    /// Returns the compressed text of a large asset, if the client accepts it.
    async fn compressed_for(&'static self, request: &HeaderMap) -> Option<Bytes> {
        if !self.is_large() || !accepts_gzip(request) {
            return None;
        }
        let compress = || {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(self.text.as_bytes()).ok()?;
            encoder.finish().ok().map(Bytes::from)
        };
        match self.gzip.get() {
            Some(compressed) => compressed.clone(),
            None => spawn_blocking(move || self.gzip.get_or_init(compress).clone()).await.ok().flatten(),
        }
    }
}
