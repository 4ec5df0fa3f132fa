//! Errors as RFC 9457 `application/problem+json`, <https://www.rfc-editor.org/rfc/rfc9457>.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::pipeline::route::ErrorFormat;
use crate::model::{FilterError, Health, ParseError, Violation, redact};
use crate::registry::Error;

/// The stable codes of problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The body is not JSON.
    MalformedJson,
    /// The request is not well-formed, or could be read in two ways.
    MalformedRequest,
    /// The body is JSON, but not a valid registration; `errors` names each field.
    InvalidRegistration,
    /// A query parameter is unknown or has a value of the wrong kind.
    InvalidQuery,
    /// No such server is registered: register it again.
    NotRegistered,
    /// No such route.
    NotFound,
    /// The route knows other methods; see `Allow`.
    MethodNotAllowed,
    /// There is no token, or not one of this registry's.
    Unauthorized,
    /// The token lacks the role, or does not own the server.
    Forbidden,
    /// The `Host` is none that this registry answers to.
    HostNotAllowed,
    /// The `Origin` is none that this registry answers to.
    OriginNotAllowed,
    /// The body did not arrive in time.
    RequestTimeout,
    /// The body is over the limit.
    PayloadTooLarge,
    /// The body is not `application/json`.
    UnsupportedMediaType,
    /// `If-None-Match: *`, and the id is taken.
    AlreadyRegistered,
    /// The named lease is no longer this server's.
    LeaseReplaced,
    /// Too much to do, or starting or stopping: try again after `Retry-After`.
    Overloaded,
    /// This registry is a standby, which only answers: ask the one that `primary` names.
    Standby,
    /// The standby was not promoted; `detail` says why.
    NotPromoted,
    /// The disk is full: reads go on, leases stand still.
    StorageFull,
    /// The registry failed; its log says why.
    Internal,
}

impl Code {
    /// Every code.
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

    /// Name, status, title.
    fn row(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Self::MalformedJson => ("malformed_json", StatusCode::BAD_REQUEST, "The body is not JSON"),
            Self::MalformedRequest => {
                ("malformed_request", StatusCode::BAD_REQUEST, "The request is not well-formed")
            }
            Self::InvalidRegistration => {
                ("invalid_registration", StatusCode::UNPROCESSABLE_ENTITY, "The registration is not valid")
            }
            Self::InvalidQuery => ("invalid_query", StatusCode::BAD_REQUEST, "The query is not valid"),
            Self::NotRegistered => ("not_registered", StatusCode::NOT_FOUND, "No such server is registered"),
            Self::NotFound => ("not_found", StatusCode::NOT_FOUND, "No such route"),
            Self::MethodNotAllowed => {
                ("method_not_allowed", StatusCode::METHOD_NOT_ALLOWED, "The route knows other methods")
            }
            Self::Unauthorized => ("unauthorized", StatusCode::UNAUTHORIZED, "A token is needed"),
            Self::Forbidden => ("forbidden", StatusCode::FORBIDDEN, "The token may not do this"),
            Self::HostNotAllowed => ("host_not_allowed", StatusCode::FORBIDDEN, "The host is not allowed"),
            Self::OriginNotAllowed => {
                ("origin_not_allowed", StatusCode::FORBIDDEN, "The origin is not allowed")
            }
            Self::RequestTimeout => {
                ("request_timeout", StatusCode::REQUEST_TIMEOUT, "The body did not arrive in time")
            }
            Self::PayloadTooLarge => {
                ("payload_too_large", StatusCode::PAYLOAD_TOO_LARGE, "The body is over the limit")
            }
            Self::UnsupportedMediaType => (
                "unsupported_media_type",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The body is not application/json",
            ),
            Self::AlreadyRegistered => {
                ("already_registered", StatusCode::PRECONDITION_FAILED, "The id is registered already")
            }
            Self::LeaseReplaced => ("lease_replaced", StatusCode::CONFLICT, "The lease was replaced"),
            Self::Overloaded => ("overloaded", StatusCode::SERVICE_UNAVAILABLE, "The registry is overloaded"),
            Self::Standby => ("standby", StatusCode::SERVICE_UNAVAILABLE, "The registry is a standby"),
            Self::NotPromoted => ("not_promoted", StatusCode::CONFLICT, "The standby was not promoted"),
            Self::StorageFull => ("storage_full", StatusCode::INSUFFICIENT_STORAGE, "The disk is full"),
            Self::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR, "The registry failed"),
        }
    }

    /// Its name.
    pub(super) fn as_str(self) -> &'static str {
        self.row().0
    }

    /// Its status.
    pub(super) fn status(self) -> StatusCode {
        self.row().1
    }
}

/// An error, as RFC 9457 defines it, with the members `code` and `errors`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// A URI for the kind of problem: `urn:paulina:problem:` and the code.
    #[schema(value_type = String)]
    r#type: Box<str>,
    /// The kind of problem in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What happened, and the way out.
    detail: String,
    /// The kind of problem: stable.
    #[schema(inline = false)]
    code: Code,
    /// Every violation of a rejected body.
    errors: Vec<Violation>,
    /// `unhealthy`, where the health of a server that is not registered was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<Health>,
    /// Where the primary is, as far as a standby was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    primary: Option<Box<str>>,
    /// The detail once more, for clients of the official registry's API.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    error: Option<Box<str>>,
}

impl Problem {
    /// A problem of this kind.
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        let (name, status, title) = code.row();
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

    /// The kind of problem.
    pub(super) fn code(&self) -> Code {
        self.code
    }

    /// The kind of problem in words.
    pub(super) fn title(&self) -> &'static str {
        self.title
    }

    /// The same with what is wrong in a body.
    pub(super) fn listing(self, errors: Vec<Violation>) -> Self {
        Self { errors, ..self }
    }

    /// One that lists violations.
    pub(super) fn invalid(errors: Vec<Violation>) -> Self {
        let detail = match errors.len() {
            1 => "the registration breaks one rule; see errors".to_owned(),
            count => format!("the registration breaks {count} rules; see errors"),
        };
        Self::new(Code::InvalidRegistration, detail).listing(errors)
    }

    pub(super) fn not_registered(id: &str) -> Self {
        Error::NotRegistered(id.to_owned()).into()
    }

    /// The response in the format of the API that was asked.
    pub(super) fn into_response_in(self, format: ErrorFormat) -> Response {
        match format {
            ErrorFormat::Problem => self.into_response(),
            ErrorFormat::OfficialRegistry => self.in_short().into_response(),
        }
    }

    /// As the official registry's API has it, with a member `error`.
    pub(super) fn in_short(self) -> Self {
        Self { error: Some(self.detail.as_str().into()), ..self }
    }

    /// The answer to a question for the health of what is not there.
    pub(super) fn unhealthy(self) -> Self {
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
            // No route makes tokens.
            Error::TokenExists(_) | Error::NoToken(_) | Error::Random(_) => Self::new(Code::Internal, detail),
            Error::Storage(cause) => {
                tracing::error!(error = &*cause, "the database failed");
                Self::new(Code::Internal, "the database failed; the registry's log says why")
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
            // What follows on the connection may be the rest of it.
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
