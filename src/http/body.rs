//! Reading a JSON body: of the right kind, within its size, within its time.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::header;
use http_body_util::{BodyExt, Limited};

use super::App;
use super::problem::{Code, Problem};

/// The bytes of a body that says it is JSON.
pub(super) struct JsonBody(pub(super) Vec<u8>);

impl FromRequest<App> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            let detail = "send the body with content-type: application/json";
            return Err(Problem::new(Code::UnsupportedMediaType, detail));
        }
        let limit = app.0.body.bytes;
        let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        if length.and_then(|length| length.parse().ok()).is_some_and(|length: u64| length > limit as u64) {
            return Err(too_large(limit));
        }
        tokio::time::timeout(app.0.body.time, read(request.into_body(), limit)).await.unwrap_or_else(|_| {
            let detail = format!("the body did not arrive within {} s", app.0.body.time.as_secs());
            Err(Problem::new(Code::RequestTimeout, detail))
        })
    }
}

fn too_large(limit: usize) -> Problem {
    Problem::new(Code::PayloadTooLarge, format!("the body is over the limit of {limit} bytes"))
}

async fn read(body: Body, limit: usize) -> Result<JsonBody, Problem> {
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(JsonBody(body.to_bytes().into())),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(too_large(limit)),
        Err(_) => Err(Problem::new(Code::MalformedJson, "the body ended before it was complete")),
    }
}
