//! The OpenAPI 3.1 document, made from the handlers and types.
//!
//! Routes and document are one list, so that neither can know a path the other does not. What a handler's
//! annotation says of a status from 400 up is a list of problem codes; description, schema and example of each are put
//! in here from [`Code`] itself, together with the problems that any route can have.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::http::{HeaderValue, Method, Uri, header};
use axum::response::IntoResponse;
use serde_json::{Value, json};
use utoipa::OpenApi;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::examples;
use super::schemas::{AliveName, HealthyName, MatchName, SummaryName, TransportName, ViewName};
use crate::http::api::{leases, operations, promote, query, servers, stats, tools, watch};
use crate::http::pipeline::route::{Requirement, Route};
use crate::http::problem::{Code, Problem};
use crate::http::state::App;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Paulina",
        description = "The registry for MCP servers: which are there, what can they do, are they alive? \
            Every error is RFC 9457 `application/problem+json`; `code` is stable. Every response carries `x-request-id`. \
            Times are RFC 3339 in UTC with milliseconds; `ttl` is in seconds, fields that end in `_ms` in milliseconds."
    ),
    components(schemas(Problem, AliveName, HealthyName, MatchName, SummaryName, TransportName, ViewName)),
    tags(
        (name = "registering", description = "Servers come and go."),
        (name = "leases", description = "Servers stay alive."),
        (name = "finding", description = "Clients ask."),
        (name = "operations", description = "Operators look."),
    )
)]
struct Base;

/// Routes and document.
pub(in crate::http) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Base::openapi())
        .routes(routes!(servers::register, servers::find))
        .routes(routes!(servers::get, servers::deregister))
        .routes(routes!(leases::refresh))
        .routes(routes!(leases::health))
        .routes(routes!(leases::refresh_many))
        .routes(routes!(tools::tools))
        .routes(routes!(stats::stats))
        .routes(routes!(watch::watch))
        .routes(routes!(promote::promote))
        .routes(routes!(operations::healthz))
        .routes(routes!(operations::readyz))
        .routes(routes!(operations::metrics))
        .routes(routes!(openapi))
}

static TEXT: LazyLock<String> = LazyLock::new(|| {
    let (_, mut document) = routes().split_for_parts();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(
        "A token of `paulina token create`. Needed as soon as there is one, for all that stands under `/v1`.",
    ));
    let scheme = SecurityScheme::Http(bearer.build());
    document.components.get_or_insert_default().add_security_scheme("token", scheme);
    for (path, item) in &mut document.paths.paths {
        let operations = [&mut item.get, &mut item.post, &mut item.put, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            let example = operation.operation_id.as_deref().and_then(examples::answer);
            answers(&mut operation.responses.responses, example.as_ref());
            let guarded = Route::of(path).requirement(&Method::GET) != Requirement::Nothing;
            problems(&mut operation.responses.responses, guarded);
            if guarded {
                let nobody = SecurityRequirement::default();
                let token = SecurityRequirement::new::<_, _, &str>("token", []);
                operation.security = Some(vec![token, nobody]);
            }
        }
    }
    let mut document = json!(document);
    refine(&mut document);
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
});

/// Puts in what the types cannot say: the schema of a registration, and that a filter that may be repeated is never empty.
fn refine(document: &mut Value) {
    let registration: Value =
        serde_json::from_str(include_str!("registration.schema.json")).unwrap_or_default();
    if let (Some(schemas), Value::Object(own)) = (document.pointer_mut("/components/schemas"), registration)
        && let Some(schemas) = schemas.as_object_mut()
    {
        schemas.extend(own);
    }
    for path in ["servers", "tools", "watch"] {
        let path = &format!("/paths/~1v1~1{path}/get/parameters");
        for parameter in document.pointer_mut(path).and_then(Value::as_array_mut).into_iter().flatten() {
            let pair = parameter.get("name").is_some_and(|name| name == "metadata");
            if let Some(schema) = parameter.get_mut("schema").filter(|schema| schema.get("items").is_some()) {
                let item = if pair {
                    json!({"type": "string", "pattern": "^[^:]+:"})
                } else {
                    json!({"type": "string", "minLength": 1})
                };
                schema["items"] = item;
                schema["maxItems"] = json!(crate::model::MAX_FILTERS);
            }
        }
    }
}

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "openapi", tag = "operations",
    responses((status = 200, description = "The API as an OpenAPI 3.1 document.", body = Object))
)]
pub(in crate::http) async fn openapi(uri: Uri) -> Result<impl IntoResponse, Problem> {
    query::none(&uri)?;
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    Ok((kind, text()))
}

/// The document as JSON text.
pub(in crate::http) fn text() -> &'static str {
    &TEXT
}

/// The OpenAPI 3.1 document of the API, as JSON.
#[must_use]
pub fn document() -> String {
    TEXT.clone()
}

/// What any route can answer.
const ANYWHERE: [Code; 6] = [
    Code::MalformedRequest,
    Code::InvalidQuery,
    Code::HostNotAllowed,
    Code::OriginNotAllowed,
    Code::Overloaded,
    Code::Internal,
];

/// Gives each answer with a body its example.
fn answers(responses: &mut BTreeMap<String, RefOr<Response>>, example: Option<&serde_json::Value>) {
    for response in responses.values_mut() {
        if let RefOr::T(response) = response {
            for content in response.content.values_mut() {
                if let RefOr::T(content) = content {
                    content.example = example.cloned();
                }
            }
        }
    }
}

/// Spells out the problems of an operation.
fn problems(responses: &mut BTreeMap<String, RefOr<Response>>, guarded: bool) {
    let mut codes: BTreeMap<String, Vec<Code>> = BTreeMap::new();
    for code in Code::ALL {
        let status = code.status().as_str().to_owned();
        let named = match responses.get(&status) {
            Some(RefOr::T(response)) => response.description.split(", ").any(|name| name == code.as_str()),
            _ => false,
        };
        let token = guarded && matches!(code, Code::Unauthorized | Code::Forbidden);
        if named || token || ANYWHERE.contains(&code) {
            codes.entry(status).or_default().push(code);
        }
    }
    for (status, codes) in codes {
        let described: Vec<String> = codes
            .iter()
            .map(|code| format!("`{}`: {}", code.as_str(), Problem::new(*code, "").title()))
            .collect();
        let examples = codes.iter().map(|code| {
            let example = json!(Problem::new(*code, "what happened, and the way out"));
            (code.as_str(), utoipa::openapi::example::ExampleBuilder::new().value(Some(example)).build())
        });
        let content = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name("Problem")))
            .examples_from_iter(examples)
            .build();
        let response = ResponseBuilder::new()
            .description(described.join("; "))
            .content("application/problem+json", content)
            .build();
        responses.insert(status, RefOr::T(response));
    }
}
