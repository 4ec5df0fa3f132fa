//! Extractors: the caller of a request, and a JSON body.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header;
use axum::http::request::Parts;
use http_body_util::BodyExt;

use super::pipeline::admission::{AdmissionControl, AdmissionPermit, MemoryPermit};
use super::pipeline::route::{AdmissionClass, Route};
use super::problem::{Code, Problem};
use super::state::App;
use crate::model::{Access, Actor};
use crate::net::media_type::is_json;

/// The actor that sent a request.
pub(super) struct Caller(pub(super) Actor);

impl Caller {
    pub(super) fn of(parts: &Parts) -> Self {
        Self(parts.extensions.get::<Access>().map_or(Actor::Anonymous, |access| access.actor.clone()))
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Infallible> {
        Ok(Self::of(parts))
    }
}

/// The bytes of a JSON body, with the permits for its memory and its request.
pub(super) struct JsonBody {
    pub(super) bytes: Vec<u8>,
    _memory: MemoryPermit,
    _permit: AdmissionPermit,
}

impl FromRequest<App> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        if !kind.is_some_and(|kind| is_json(kind.as_bytes())) {
            let detail = "send the body with content-type: application/json";
            return Err(Problem::new(Code::UnsupportedMediaType, detail));
        }
        let admission = app.admission();
        let limit = admission.limits().body_bytes;
        let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        if length.and_then(|length| length.parse().ok()).is_some_and(|length: u64| length > limit as u64) {
            return Err(too_large(admission));
        }
        let time = admission.limits().body_time;
        let class = Route::of(request.uri().path()).admission(request.method());
        let read = tokio::time::timeout(time, read_body(request.into_body(), admission, class)).await;
        let (bytes, memory) = read.unwrap_or_else(|_| {
            admission.metrics().body_rejected("time");
            let detail = format!("the body did not arrive within {} s", time.as_secs());
            Err(Problem::new(Code::RequestTimeout, detail))
        })?;
        Ok(Self { bytes, _memory: memory, _permit: admission.admit(class)? })
    }
}

fn too_large(admission: &AdmissionControl) -> Problem {
    admission.metrics().body_rejected("size");
    let limit = admission.limits().body_bytes;
    Problem::new(Code::PayloadTooLarge, format!("the body exceeds the limit of {limit} bytes"))
}

async fn read_body(
    mut body: Body,
    admission: &AdmissionControl,
    class: AdmissionClass,
) -> Result<(Vec<u8>, MemoryPermit), Problem> {
    let mut memory = admission.reserve(class, 0)?;
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|_| Problem::new(Code::MalformedJson, "the body ended before it was complete"))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > admission.limits().body_bytes {
            return Err(too_large(admission));
        }
        memory.merge(admission.reserve(class, data.len())?);
        bytes.extend_from_slice(&data);
    }
    Ok((bytes, memory))
}
