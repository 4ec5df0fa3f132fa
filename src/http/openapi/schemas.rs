//! Schemas of bodies and parameters that the model parses and serializes by hand: the registration, the record, the filters.
//! Tests compare them with the actual requests and responses.

use utoipa::{IntoParams, ToSchema};

use crate::model::{Record, ServerState, ToolEntry};

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

/// A page of tools.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes how model/server.rs writes")]
pub(in crate::http) struct ToolPage {
    /// The matching tools.
    tools: Vec<ToolEntry>,
    /// The cursor of the next page; null on the last page.
    #[schema(required)]
    next_cursor: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what model/filter_params.rs reads; a test compares the two")]
pub(in crate::http) struct FilterQuery {
    /// Servers with this name.
    #[param(example = "filesystem")]
    name: Option<Vec<String>>,
    /// Servers that offer this tool; at `/v1/tools`, the tool with this name.
    #[param(example = "read_file")]
    tool: Option<Vec<String>>,
    /// Servers that offer this prompt.
    prompt: Option<Vec<String>>,
    /// Servers that can serve this URI: it equals a registered URI, or matches a template or glob.
    #[param(example = "file:///etc/hosts")]
    resource: Option<Vec<String>>,
    /// Servers with this capability; `tools`, `resources` and `prompts` find those that have any.
    #[param(example = "sampling")]
    capability: Option<Vec<String>>,
    /// Servers with this tag.
    #[param(example = "local")]
    tag: Option<Vec<String>>,
    /// Servers with all of these tags, separated by commas.
    #[param(example = "local,production", pattern = "^[^,]+(,[^,]+)*$")]
    tags: Option<String>,
    /// Servers with this transport.
    transport: Option<TransportName>,
    /// Servers with this version.
    version: Option<Vec<String>>,
    /// Servers registered with the token of this name.
    owner: Option<Vec<String>>,
    /// Servers with this metadata pair, `key:value`.
    #[param(example = "team:search")]
    metadata: Option<Vec<String>>,
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
