//! What handlers take from a request: who sends it, and its body.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header;
use axum::http::request::Parts;
use http_body_util::BodyExt;

use super::pipeline::admission::{self, Load, Place};
use super::pipeline::route::{AdmissionClass, Route};
use super::problem::{Code, Problem};
use super::state::App;
use crate::model::{Access, Actor};
use crate::net::media_type::is_json;

/// On whose behalf a request comes.
pub(super) struct Caller(pub(super) Actor);

impl Caller {
    pub(super) fn of(parts: &Parts) -> Self {
        Self(parts.extensions.get::<Access>().map_or(Actor::Anybody, |access| access.actor.clone()))
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Infallible> {
        Ok(Self::of(parts))
    }
}

/// The bytes of a body that says it is JSON. They are accounted for, and its request has a place, until it is dropped.
pub(super) struct JsonBody {
    pub(super) bytes: Vec<u8>,
    _taken: admission::Bytes,
    _place: Place,
}

impl FromRequest<App> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        if !kind.is_some_and(|kind| is_json(kind.as_bytes())) {
            let detail = "send the body with content-type: application/json";
            return Err(Problem::new(Code::UnsupportedMediaType, detail));
        }
        let load = app.load();
        let limit = load.limits().body_bytes;
        let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        if length.and_then(|length| length.parse().ok()).is_some_and(|length: u64| length > limit as u64) {
            return Err(too_large(load));
        }
        let time = load.limits().body_time;
        let class = Route::of(request.uri().path()).admission(request.method());
        let read = tokio::time::timeout(time, read(request.into_body(), load, class)).await;
        let (bytes, taken) = read.unwrap_or_else(|_| {
            load.metrics().refused_body("time");
            let detail = format!("the body did not arrive within {} s", time.as_secs());
            Err(Problem::new(Code::RequestTimeout, detail))
        })?;
        Ok(Self { bytes, _taken: taken, _place: load.admit(class)? })
    }
}

fn too_large(load: &Load) -> Problem {
    load.metrics().refused_body("size");
    let limit = load.limits().body_bytes;
    Problem::new(Code::PayloadTooLarge, format!("the body is over the limit of {limit} bytes"))
}

async fn read(
    mut body: Body,
    load: &Load,
    class: AdmissionClass,
) -> Result<(Vec<u8>, admission::Bytes), Problem> {
    let mut taken = load.take(class, 0)?;
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|_| Problem::new(Code::MalformedJson, "the body ended before it was complete"))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > load.limits().body_bytes {
            return Err(too_large(load));
        }
        taken.add(load.take(class, data.len())?);
        bytes.extend_from_slice(&data);
    }
    Ok((bytes, taken))
}
