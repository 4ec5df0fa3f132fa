//! Schemas of bodies and parameters that the model parses and serializes by hand: the registration, the record, the filters.
//! Tests compare them with the actual requests and responses.

use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, Type};
use utoipa::openapi::{Ref, RefOr, Required};
use utoipa::{IntoParams, ToSchema};

use crate::model::{FieldDefinition, FilterField, Record, ServerState};

/// The body of a registration. `registration.schema.json` contains its schema, which is more exact than Rust types can be.
#[derive(ToSchema)]
pub(in crate::http) struct RegistrationBody;

/// How a client reaches a server.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what model/transport.rs reads")]
#[schema(rename_all = "kebab-case")]
pub(in crate::http) enum TransportName {
    Stdio,
    StreamableHttp,
    Http,
    Sse,
}

/// A registered server.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes how model/server.rs writes; a test compares the two")]
pub(in crate::http) struct ServerRecord {
    #[serde(flatten)]
    record: Record,
    #[serde(flatten)]
    state: ServerState,
}

/// A server in a page.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes how model/server.rs writes; a test compares the two")]
pub(in crate::http) struct FoundRecord {
    #[serde(flatten)]
    server: ServerRecord,
    /// With `q`, how well it matches; scores of different responses cannot be compared. From 1 on it contains every word of
    /// `q` (except words like "the") in a name, a title, a tag or the first 20 words of a description; below, it contains
    /// some, or has a similar meaning.
    #[schema(example = 1.731)]
    score: Option<f64>,
}

/// A server that was just registered: its record, and the lease.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes how model/registration.rs writes; a test compares the two")]
pub(in crate::http) struct RegisteredRecord {
    #[serde(flatten)]
    server: ServerRecord,
    /// New with every registration. A refresh or DELETE can name it.
    #[schema(example = "0f9f3d2e-6f3c-4c86-9a5e-3b8a54b1f1aa")]
    lease: uuid::Uuid,
}

/// A page of servers.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes how model/server.rs writes")]
pub(in crate::http) struct ServerPage {
    /// The matching servers.
    servers: Vec<FoundRecord>,
    /// The cursor of the next page; null on the last page.
    #[schema(required)]
    next_cursor: Option<String>,
    /// The revision of the registry: `<epoch>-<n>`.
    #[schema(example = "8f3a1c02-17")]
    revision: String,
}

/// The filters, as query parameters. All can be repeated, except `tags`.
pub(in crate::http) struct FilterQuery;

impl IntoParams for FilterQuery {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let mut parameters = Vec::new();
        for field in FilterField::ALL {
            let FieldDefinition { name, description, example, .. } = field.definition();
            let schema = match field {
                FilterField::Transport => Ref::from_schema_name("TransportName").into(),
                _ => list_of_strings(),
            };
            parameters.push(parameter(name, description, example, schema));
            if field == FilterField::Tag {
                let schema = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[^,]+(,[^,]+)*$"));
                let description = "Servers with all of these tags, separated by commas.";
                parameters.push(parameter("tags", description, Some("local,production"), schema.into()));
            }
        }
        let description = "Servers with this metadata pair, `key:value`.";
        parameters.push(parameter("metadata", description, Some("team:search"), list_of_strings()));
        parameters
    }
}

fn list_of_strings() -> RefOr<Schema> {
    ArrayBuilder::new().items(ObjectBuilder::new().schema_type(Type::String)).into()
}

fn parameter(name: &str, description: &str, example: Option<&str>, schema: RefOr<Schema>) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(description))
        .example(example.map(Into::into))
        .schema(Some(schema))
        .build()
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what model/filter_params.rs reads; a test compares the two")]
pub(in crate::http) struct PageQuery {
    /// A full-text and semantic search, in words or a sentence: ranked by relevance over names, titles, descriptions and
    /// parameters of servers, tools, resources and prompts, and over tags. Results that contain every word come before those
    /// that contain some. `read_file` and `readFile` are two words; there is no query syntax; one typo in a word of five letters
    /// or more is tolerated. Never empty while something is relevant. Semantic matching works only in English, matching of
    /// words in every language.
    #[param(example = "open a pull request", min_length = 1, max_length = 2000)]
    q: Option<String>,
    /// With `all`, every word of `q` must match the beginning of a word or of its stem; at most 32 words.
    #[param(default = "any")]
    r#match: Option<MatchName>,
    /// Servers by health: `true`, `false` or `any`.
    #[param(default = "true")]
    healthy: Option<HealthyName>,
    /// The maximum number of results per page.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// The `next_cursor` of the previous page. It contains the filters of its query; other filters in addition to it are rejected.
    #[param(pattern = "^[A-Za-z0-9_-]+$")]
    cursor: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what model/filter_params.rs reads; a test compares the two")]
pub(in crate::http) struct ViewQuery {
    /// `summary` omits schemas; `full` contains everything that was registered.
    #[param(default = "summary")]
    view: Option<ViewName>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what model/filter_params.rs reads; a test compares the two")]
pub(in crate::http) struct WatchQuery {
    /// `true` and `any` are equivalent here: a server that becomes unhealthy is reported as `expired`.
    #[param(default = "true")]
    healthy: Option<AliveName>,
    /// Events contain summaries.
    #[param(default = "summary")]
    view: Option<SummaryName>,
    /// The `id` of the last event that was received; ignored if the header `Last-Event-ID` is set.
    #[param(example = "8f3a1c02-17", pattern = "^[0-9a-f]{8}-[0-9]+$")]
    since: Option<String>,
}

/// The level of detail of each server in a response.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what model/filter_params.rs reads")]
#[schema(rename_all = "snake_case")]
pub(in crate::http) enum ViewName {
    Summary,
    Full,
}

/// Which words of a search must match.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what model/filter_params.rs reads")]
#[schema(rename_all = "snake_case")]
pub(in crate::http) enum MatchName {
    Any,
    All,
}

/// A filter by health.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what model/filter_params.rs reads")]
#[schema(rename_all = "snake_case")]
pub(in crate::http) enum HealthyName {
    True,
    False,
    Any,
}

/// A filter by health, for watches.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what model/filter_params.rs reads")]
#[schema(rename_all = "snake_case")]
pub(in crate::http) enum AliveName {
    True,
    Any,
}

/// The level of detail of each server in an event.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what model/filter_params.rs reads")]
#[schema(rename_all = "snake_case")]
pub(in crate::http) enum SummaryName {
    Summary,
}
