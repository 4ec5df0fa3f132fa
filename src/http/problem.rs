//! Errors as RFC 9457 `application/problem+json`, <https://www.rfc-editor.org/rfc/rfc9457>.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::pipeline::route::ErrorFormat;
use crate::model::{FilterError, Health, ParseError, Violation, redact};
use crate::registry::Error;

/// The stable code of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The body is not JSON.
    MalformedJson,
    /// The request is malformed or ambiguous.
    MalformedRequest,
    /// The body is JSON, but not a valid registration; `errors` names each field.
    InvalidRegistration,
    /// A query parameter is unknown or has an invalid value.
    InvalidQuery,
    /// The server is not registered; register it again.
    NotRegistered,
    /// No such route.
    NotFound,
    /// The route does not support the method; see `Allow`.
    MethodNotAllowed,
    /// The token is missing or unknown.
    Unauthorized,
    /// The token lacks the required role, or does not own the server.
    Forbidden,
    /// The `Host` is not allowed.
    HostNotAllowed,
    /// The `Origin` is not allowed.
    OriginNotAllowed,
    /// The body did not arrive in time.
    RequestTimeout,
    /// The body exceeds the size limit.
    PayloadTooLarge,
    /// The body is not `application/json`.
    UnsupportedMediaType,
    /// `If-None-Match: *` was sent, and the id is already registered.
    AlreadyRegistered,
    /// The given lease was replaced by a newer registration of the id.
    LeaseReplaced,
    /// The registry is overloaded, starting or stopping; try again after `Retry-After`.
    Overloaded,
    /// This registry is a read-only standby; send the request to the one that `primary` names.
    Standby,
    /// The standby was not promoted; `detail` says why.
    NotPromoted,
    /// The disk is full: reads continue, leases are paused.
    StorageFull,
    /// An internal error; see the registry's log.
    Internal,
}

/// Returns the name, status and title of every code.
#[cfg(feature = "cli")]
pub(crate) fn codes() -> impl Iterator<Item = (&'static str, u16, &'static str)> {
    Code::ALL.into_iter().map(|code| {
        let (name, status, title) = code.definition();
        (name, status.as_u16(), title)
    })
}

impl Code {
    /// All codes.
    pub(super) const ALL: [Self; 21] = [
        Self::MalformedJson,
        Self::MalformedRequest,
        Self::InvalidRegistration,
        Self::InvalidQuery,
        Self::NotRegistered,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Unauthorized,
        Self::Forbidden,
        Self::HostNotAllowed,
        Self::OriginNotAllowed,
        Self::RequestTimeout,
        Self::PayloadTooLarge,
        Self::UnsupportedMediaType,
        Self::AlreadyRegistered,
        Self::LeaseReplaced,
        Self::Overloaded,
        Self::Standby,
        Self::NotPromoted,
        Self::StorageFull,
        Self::Internal,
    ];

    /// Returns name, status and title.
    fn definition(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Self::MalformedJson => ("malformed_json", StatusCode::BAD_REQUEST, "The body is not JSON"),
            Self::MalformedRequest => {
                ("malformed_request", StatusCode::BAD_REQUEST, "The request is malformed")
            }
            Self::InvalidRegistration => {
                ("invalid_registration", StatusCode::UNPROCESSABLE_ENTITY, "The registration is invalid")
            }
            Self::InvalidQuery => ("invalid_query", StatusCode::BAD_REQUEST, "The query is invalid"),
            Self::NotRegistered => ("not_registered", StatusCode::NOT_FOUND, "The server is not registered"),
            Self::NotFound => ("not_found", StatusCode::NOT_FOUND, "No such route"),
            Self::MethodNotAllowed => {
                ("method_not_allowed", StatusCode::METHOD_NOT_ALLOWED, "The method is not allowed")
            }
            Self::Unauthorized => ("unauthorized", StatusCode::UNAUTHORIZED, "A valid token is required"),
            Self::Forbidden => ("forbidden", StatusCode::FORBIDDEN, "The token does not permit this"),
            Self::HostNotAllowed => ("host_not_allowed", StatusCode::FORBIDDEN, "The host is not allowed"),
            Self::OriginNotAllowed => {
                ("origin_not_allowed", StatusCode::FORBIDDEN, "The origin is not allowed")
            }
            Self::RequestTimeout => {
                ("request_timeout", StatusCode::REQUEST_TIMEOUT, "The body did not arrive in time")
            }
            Self::PayloadTooLarge => {
                ("payload_too_large", StatusCode::PAYLOAD_TOO_LARGE, "The body is too large")
            }
            Self::UnsupportedMediaType => (
                "unsupported_media_type",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The body is not application/json",
            ),
            Self::AlreadyRegistered => {
                ("already_registered", StatusCode::PRECONDITION_FAILED, "The id is already registered")
            }
            Self::LeaseReplaced => ("lease_replaced", StatusCode::CONFLICT, "The lease was replaced"),
            Self::Overloaded => ("overloaded", StatusCode::SERVICE_UNAVAILABLE, "The registry is overloaded"),
            Self::Standby => ("standby", StatusCode::SERVICE_UNAVAILABLE, "The registry is a standby"),
            Self::NotPromoted => ("not_promoted", StatusCode::CONFLICT, "The standby was not promoted"),
            Self::StorageFull => ("storage_full", StatusCode::INSUFFICIENT_STORAGE, "The disk is full"),
            Self::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR, "Internal error"),
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        self.definition().0
    }

    pub(super) fn status(self) -> StatusCode {
        self.definition().1
    }
}

/// An RFC 9457 problem, with the additional members `code` and `errors`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// A URI for the problem type: `urn:paulina:problem:` and the code.
    #[schema(value_type = String)]
    r#type: Box<str>,
    /// A summary of the problem type.
    title: &'static str,
    /// The HTTP status code.
    status: u16,
    /// What happened, and how to fix it.
    detail: String,
    /// The stable code of the problem type.
    #[schema(inline = false)]
    code: Code,
    /// All violations of a rejected body.
    errors: Vec<Violation>,
    /// `unhealthy`, if the request was for the health of a server that is not registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<Health>,
    /// The address of the primary, if a standby knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    primary: Option<Box<str>>,
    /// The detail again, for clients of the official registry's API.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    error: Option<Box<str>>,
}

impl Problem {
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        let (name, status, title) = code.definition();
        Self {
            r#type: format!("urn:paulina:problem:{name}").into(),
            title,
            status: status.as_u16(),
            detail: detail.into(),
            code,
            errors: Vec::new(),
            health: None,
            primary: None,
            error: None,
        }
    }

    pub(super) fn code(&self) -> Code {
        self.code
    }

    pub(super) fn title(&self) -> &'static str {
        self.title
    }

    pub(super) fn with_errors(self, errors: Vec<Violation>) -> Self {
        Self { errors, ..self }
    }

    /// Returns the problem of an invalid body.
    pub(super) fn invalid(errors: Vec<Violation>) -> Self {
        let detail = match errors.len() {
            1 => "the registration has one error; see errors".to_owned(),
            count => format!("the registration has {count} errors; see errors"),
        };
        Self::new(Code::InvalidRegistration, detail).with_errors(errors)
    }

    pub(super) fn not_registered(id: &str) -> Self {
        Error::NotRegistered(id.to_owned()).into()
    }

    /// Returns the response in the given format.
    pub(super) fn into_response_in(self, format: ErrorFormat) -> Response {
        match format {
            ErrorFormat::Problem => self.into_response(),
            ErrorFormat::OfficialRegistry => self.with_legacy_error_member().into_response(),
        }
    }

    /// Adds the member `error`, which clients of the official registry's API read.
    pub(super) fn with_legacy_error_member(self) -> Self {
        Self { error: Some(self.detail.as_str().into()), ..self }
    }

    /// Adds the member `health` with the value `unhealthy`.
    pub(super) fn with_unhealthy(self) -> Self {
        Self { health: Some(Health::Unhealthy), ..self }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::InvalidRegistration(errors) => Self::invalid(errors),
            Error::InvalidFilter(error) => error.into(),
            Error::NotRegistered(_) => Self::new(Code::NotRegistered, detail),
            Error::LeaseReplaced(_) => Self::new(Code::LeaseReplaced, detail),
            Error::Forbidden(_) => Self::new(Code::Forbidden, detail),
            Error::Standby { primary } => {
                Self { primary: primary.map(Into::into), ..Self::new(Code::Standby, detail) }
            }
            Error::StorageFull => Self::new(Code::StorageFull, detail),
            Error::Overloaded | Error::Closed => Self::new(Code::Overloaded, detail),
            Error::AlreadyRegistered(_) => Self::new(Code::AlreadyRegistered, detail),
            // No route manages tokens.
            Error::TokenExists(_) | Error::NoToken(_) | Error::Random(_) => Self::new(Code::Internal, detail),
            Error::Storage(cause) => {
                tracing::error!(error = &*cause, "database error");
                Self::new(Code::Internal, "database error; see the registry's log")
            }
        }
    }
}

impl From<FilterError> for Problem {
    fn from(error: FilterError) -> Self {
        Self::new(Code::InvalidQuery, error.to_string())
    }
}

impl From<ParseError> for Problem {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::Malformed(_) => Self::new(Code::MalformedJson, error.to_string()),
            ParseError::Invalid(errors) => Self::invalid(errors),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.code.status();
        let body = serde_json::to_string(&self).unwrap_or_default();
        let mut response = (status, redact(&body).into_owned()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.code == Code::MalformedRequest {
            // What follows on the connection may be part of this request.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if status == StatusCode::UNAUTHORIZED {
            // RFC 6750, section 3.
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"paulina\""));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
