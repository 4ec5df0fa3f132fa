//! The OpenAPI 3.1 document, generated from the handlers and types.
//!
//! Routes and document come from one list, so that both contain the same paths. For a status of 400 or higher, the annotation of
//! a handler lists problem codes. Their descriptions, schemas and examples are generated here from [`Code`], together with the
//! problems that every route can return.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::http::{HeaderValue, Method, Uri, header};
use axum::response::IntoResponse;
use serde_json::{Map, Value, json};
use utoipa::OpenApi;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::examples;
use super::schemas::{AliveName, HealthyName, MatchName, SummaryName, TransportName, ViewName};
use crate::http::api::{health, leases, metrics, promote, query, servers, stats, tools, watch};
use crate::http::pipeline::route::{Requirement, Route};
use crate::http::problem::{Code, Problem};
use crate::http::state::App;
use crate::model::Record;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Paulina",
        description = "A registry for MCP servers: find out which servers are running, what they offer, and whether they are healthy. \
            Every error is an RFC 9457 `application/problem+json`; its `code` is stable. Every response has the header `x-request-id`. \
            Times are RFC 3339 in UTC with milliseconds; `ttl` is in seconds, fields that end in `_ms` are in milliseconds."
    ),
    components(schemas(Problem, AliveName, HealthyName, MatchName, SummaryName, TransportName, ViewName)),
    tags(
        (name = "registration", description = "Register and deregister servers."),
        (name = "leases", description = "Refresh leases and check health."),
        (name = "discovery", description = "Find servers and tools, and watch changes."),
        (name = "operations", description = "Monitor and promote the registry."),
    )
)]
struct Base;

/// Returns the routes, with their documentation.
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
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(metrics::metrics))
        .routes(routes!(openapi))
}

static TEXT: LazyLock<String> = LazyLock::new(|| {
    let (_, mut document) = routes().split_for_parts();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(
        "A token created with `paulina token create`. Required for all paths under `/v1` once a token exists.",
    ));
    let scheme = SecurityScheme::Http(bearer.build());
    document.components.get_or_insert_default().add_security_scheme("token", scheme);
    for (path, item) in &mut document.paths.paths {
        let operations = [&mut item.get, &mut item.post, &mut item.put, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            let example = operation.operation_id.as_deref().and_then(examples::response);
            add_example(&mut operation.responses.responses, example.as_ref());
            let needs_token = Route::of(path).requirement(&Method::GET) != Requirement::Nothing;
            add_problems(&mut operation.responses.responses, needs_token);
            if needs_token {
                let anonymous = SecurityRequirement::default();
                let token = SecurityRequirement::new::<_, _, &str>("token", []);
                operation.security = Some(vec![token, anonymous]);
            }
        }
    }
    let mut document = json!(document);
    refine(&mut document);
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
});

/// Adds what the types cannot express: the schema of a registration, and that the values of a repeatable filter are not empty.
fn refine(document: &mut Value) {
    let registration: Value =
        serde_json::from_str(include_str!("registration.schema.json")).unwrap_or_default();
    if let (Some(schemas), Value::Object(own)) = (document.pointer_mut("/components/schemas"), registration)
        && let Some(schemas) = schemas.as_object_mut()
    {
        schemas.extend(own);
        inline_parts(schemas);
        let record = schemas.get("Record").cloned().unwrap_or_default();
        if let Some(body) = schemas.get_mut("RegistrationBody") {
            add_texts(body, &record);
        }
    }
    remove_unused_schemas(document);
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

/// Removes the schemas that are only parts of others, and so are not referenced any more.
fn remove_unused_schemas(document: &mut Value) {
    let text = document.to_string();
    if let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        schemas.retain(|name, _| text.contains(&format!("\"#/components/schemas/{name}\"")));
    }
}

/// Writes a schema that is composed of several (a flattened field is an item of `allOf`) as one object.
fn inline_parts(schemas: &mut Map<String, Value>) {
    let known = schemas.clone();
    for schema in schemas.values_mut() {
        if let Some(parts) = schema.get("allOf").and_then(Value::as_array) {
            let mut whole = Map::new();
            for part in parts {
                merge(&mut whole, part, &known);
            }
            whole.extend(schema.get("description").cloned().map(|text| ("description".to_owned(), text)));
            *schema = Value::Object(whole);
        }
    }
}

fn merge(whole: &mut Map<String, Value>, part: &Value, known: &Map<String, Value>) {
    let named = part.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
    let part = named.and_then(|name| known.get(name)).unwrap_or(part);
    for part in part.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        merge(whole, part, known);
    }
    for (key, value) in part.as_object().into_iter().flatten().filter(|(key, _)| *key != "allOf") {
        match (whole.get_mut(key), value) {
            (Some(Value::Object(old)), Value::Object(new)) => old.extend(new.clone()),
            (Some(Value::Array(old)), Value::Array(new)) => old.extend(new.iter().cloned()),
            _ => {
                whole.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Adds the optional texts of a record to the schema of a registration.
fn add_texts(body: &mut Value, record: &Value) {
    let Some(properties) = body.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for member in &Record::TEXTS {
        let schema = json!({
            "description": record.pointer(&format!("/properties/{}/description", member.name)),
            "type": ["string", "null"],
            "minLength": 1,
            "maxLength": member.max_characters,
            "pattern": "^[^\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\u007f-\\u009f]*$",
        });
        properties.insert(member.name.to_owned(), schema);
    }
}

/// Get this document.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "openapi", tag = "operations",
    responses((status = 200, description = "The API as an OpenAPI 3.1 document.", body = Object))
)]
pub(in crate::http) async fn openapi(uri: Uri) -> Result<impl IntoResponse, Problem> {
    query::reject_parameters(&uri)?;
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    Ok((kind, text()))
}

/// Returns the document as JSON text.
pub(in crate::http) fn text() -> &'static str {
    &TEXT
}

/// Returns the OpenAPI 3.1 document of the API as JSON.
#[must_use]
pub fn document() -> String {
    TEXT.clone()
}

/// The problems that every route can return.
const COMMON_CODES: [Code; 6] = [
    Code::MalformedRequest,
    Code::InvalidQuery,
    Code::HostNotAllowed,
    Code::OriginNotAllowed,
    Code::Overloaded,
    Code::Internal,
];

/// Adds the example to each response with a body.
fn add_example(responses: &mut BTreeMap<String, RefOr<Response>>, example: Option<&serde_json::Value>) {
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

/// Adds the problem responses of an operation.
fn add_problems(responses: &mut BTreeMap<String, RefOr<Response>>, needs_token: bool) {
    let mut codes: BTreeMap<String, Vec<Code>> = BTreeMap::new();
    for code in Code::ALL {
        let status = code.status().as_str().to_owned();
        let named = match responses.get(&status) {
            Some(RefOr::T(response)) => response.description.split(", ").any(|name| name == code.as_str()),
            _ => false,
        };
        let token = needs_token && matches!(code, Code::Unauthorized | Code::Forbidden);
        if named || token || COMMON_CODES.contains(&code) {
            codes.entry(status).or_default().push(code);
        }
    }
    for (status, codes) in codes {
        let described: Vec<String> = codes
            .iter()
            .map(|code| format!("`{}`: {}", code.as_str(), Problem::new(*code, "").title()))
            .collect();
        let examples = codes.iter().map(|code| {
            let example = json!(Problem::new(*code, "what happened, and how to fix it"));
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
