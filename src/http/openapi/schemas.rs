//! What the document says of bodies and parameters that the model reads and writes by hand: the registration, the record,
//! the filters. Tests hold them equal to what the API takes and answers.

use std::collections::BTreeMap;

use utoipa::{IntoParams, ToSchema};

use crate::model::{Health, Input, ToolEntry, TransportKind};

/// The body of a registration, as `registration.schema.json` says it: JSON Schema can say more of it than Rust's types.
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

/// What a server can do. Any other member is a named flag: `true`, `false`, or an object of options.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes how model/capabilities.rs writes")]
pub(in crate::http) struct CapabilitiesRecord {
    /// In a full record, each tool as it was sent; in a summary, `name`, `title` and `description` of each.
    #[schema(value_type = Vec<Object>)]
    tools: Vec<()>,
    /// In a full record, each resource as it was sent; in a summary, `uri` or `uri_template`, `name`, `title`,
    /// `description` and `mimeType` of each.
    #[schema(value_type = Vec<Object>)]
    resources: Vec<()>,
    /// In a full record, each prompt as it was sent; in a summary, `name`, `title` and `description` of each.
    #[schema(value_type = Vec<Object>)]
    prompts: Vec<()>,
}

macro_rules! record {
    ($(#[$meta:meta])* $name:ident { $($(#[$extra:meta])* $field:ident: $kind:ty,)* }) => {
        $(#[$meta])*
        #[derive(ToSchema)]
        #[expect(dead_code, reason = "describes how model/server.rs writes; a test holds the two equal")]
        pub(in crate::http) struct $name {
            /// Its id.
            #[schema(example = "filesystem-abc123")]
            id: String,
            /// Its name.
            #[schema(example = "filesystem")]
            name: String,
            /// Its name for people.
            #[schema(required)]
            title: Option<String>,
            /// Its version.
            #[schema(required, example = "1.0.0")]
            version: Option<String>,
            /// What it is for.
            #[schema(required)]
            description: Option<String>,
            /// How a client reaches it.
            transport: TransportKind,
            /// With stdio, the program and its arguments; else null.
            #[schema(required, example = json!(["/usr/local/bin/mcp-filesystem", "/srv"]))]
            command: Option<Vec<String>>,
            /// With HTTP, the address; else null.
            #[schema(required, example = json!(null))]
            url: Option<String>,
            /// The environment variables that a client has to provide.
            environment: Vec<Input>,
            /// The headers that a client has to provide.
            headers: Vec<Input>,
            /// What it can do.
            capabilities: CapabilitiesRecord,
            /// Sorted.
            #[schema(example = json!(["filesystem", "local"]))]
            tags: Vec<String>,
            /// Free pairs.
            #[schema(example = json!({"team": "search"}))]
            metadata: BTreeMap<String, String>,
            /// The name of the token that registered it.
            #[schema(required)]
            owner: Option<String>,
            /// How long its lease runs after a refresh, in seconds.
            #[schema(example = 30)]
            ttl: u32,
            /// Whether its lease runs.
            health: Health,
            /// When it was first registered.
            #[schema(example = "2026-01-08T10:00:00.000Z")]
            registered_at: chrono::DateTime<chrono::Utc>,
            /// When its registration last changed.
            #[schema(example = "2026-01-08T10:00:00.000Z")]
            updated_at: chrono::DateTime<chrono::Utc>,
            /// When its lease was last refreshed.
            #[schema(example = "2026-01-08T10:00:00.000Z")]
            refreshed_at: chrono::DateTime<chrono::Utc>,
            /// When its lease runs out, by the wall clock, if nothing holds it up.
            #[schema(example = "2026-01-08T10:00:30.000Z")]
            expires_at: chrono::DateTime<chrono::Utc>,
            $($(#[$extra])* $field: $kind,)*
        }
    };
}
record!(
    /// A registered server.
    ServerRecord {}
);
record!(
    /// A server in a page.
    FoundRecord {
        /// With `q`, how well it matches; to be compared within one answer alone. From 1 on it holds every word of `q`
        /// (but for words like "the") in a name, a title, a tag or the first 20 words of a description; below, it holds some,
        /// or means something like it.
        #[schema(example = 1.731)]
        score: Option<f64>,
    }
);
record!(
    /// A server that was just registered: its record, and the lease.
    RegisteredRecord {
        /// New with every registering. A refresh or DELETE may name it.
        #[schema(example = "0f9f3d2e-6f3c-4c86-9a5e-3b8a54b1f1aa")]
        lease: uuid::Uuid,
    }
);

/// A page of servers.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes how model/server.rs writes")]
pub(in crate::http) struct ServerPage {
    /// The servers.
    servers: Vec<FoundRecord>,
    /// Where the next page begins; null on the last page.
    #[schema(required)]
    next_cursor: Option<String>,
    /// How far the catalogue had come: `<epoch>-<n>`.
    #[schema(example = "8f3a1c02-17")]
    revision: String,
}

/// A page of tools.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes how model/server.rs writes")]
pub(in crate::http) struct Tools {
    /// The tools.
    tools: Vec<ToolEntry>,
    /// Where the next page begins; null on the last page.
    #[schema(required)]
    next_cursor: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what model/query.rs reads; a test holds the two equal")]
pub(in crate::http) struct FilterQuery {
    /// Servers of this name.
    #[param(example = "filesystem")]
    name: Option<Vec<String>>,
    /// This tool.
    #[param(example = "read_file")]
    tool: Option<Vec<String>>,
    /// Servers that offer this prompt.
    prompt: Option<Vec<String>>,
    /// Servers that can serve this URI: equal to a registered one, or matching a template or glob.
    #[param(example = "file:///etc/hosts")]
    resource: Option<Vec<String>>,
    /// Servers with this capability; `tools`, `resources` and `prompts` find those that have any.
    #[param(example = "sampling")]
    capability: Option<Vec<String>>,
    /// Servers with this tag.
    #[param(example = "local")]
    tag: Option<Vec<String>>,
    /// Servers with all these tags, parted by commas.
    #[param(example = "local,production", pattern = "^[^,]+(,[^,]+)*$")]
    tags: Option<String>,
    /// Servers reached by this transport.
    transport: Option<TransportName>,
    /// Servers of this version.
    version: Option<Vec<String>>,
    /// Servers registered with the token of this name.
    owner: Option<Vec<String>>,
    /// Servers with this pair of metadata, `key:value`.
    #[param(example = "team:search")]
    metadata: Option<Vec<String>>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what model/query.rs reads; a test holds the two equal")]
pub(in crate::http) struct PageQuery {
    /// What is needed, in words or in a sentence, best first: by relevance over names, titles, descriptions and parameters of
    /// servers and of what they offer, and over tags. What holds every word comes before what holds some. `read_file` and
    /// `readFile` are two words; nothing in it is query syntax; one typing error in a word of five letters or more is
    /// forgiven. Never empty while something is relevant. Meaning is known in English alone; words match in every language.
    #[param(example = "open a pull request", min_length = 1, max_length = 2000)]
    q: Option<String>,
    /// With `all`, every word of `q` must match, as the beginning of a word or of its stem; at most 32 words.
    #[param(default = "any")]
    r#match: Option<MatchName>,
    /// `true`, `false` or `any`.
    #[param(default = "true")]
    healthy: Option<HealthyName>,
    /// How many a page holds.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// Where a page ended. It carries the filters of its query; other ones beside it are refused.
    #[param(pattern = "^[A-Za-z0-9_-]+$")]
    cursor: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what model/query.rs reads; a test holds the two equal")]
pub(in crate::http) struct ViewQuery {
    /// `summary` leaves schemas out; `full` holds all that was registered.
    #[param(default = "summary")]
    view: Option<ViewName>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what model/query.rs reads; a test holds the two equal")]
pub(in crate::http) struct WatchQuery {
    /// `true` and `any` are the same here: an unhealthy server is told of as `expired`.
    #[param(default = "true")]
    healthy: Option<AliveName>,
    /// A stream holds summaries.
    #[param(default = "summary")]
    view: Option<SummaryName>,
    /// The `id` of the last event that was seen, where the header `Last-Event-ID` cannot be set; that one counts.
    #[param(example = "8f3a1c02-17", pattern = "^[0-9a-f]{8}-[0-9]+$")]
    since: Option<String>,
}

/// How much of each server an answer holds.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what model/query.rs reads")]
#[schema(rename_all = "snake_case")]
pub(in crate::http) enum ViewName {
    Summary,
    Full,
}

/// Which results a search has.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what model/query.rs reads")]
#[schema(rename_all = "snake_case")]
pub(in crate::http) enum MatchName {
    Any,
    All,
}

/// Which servers by health.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what model/query.rs reads")]
#[schema(rename_all = "snake_case")]
pub(in crate::http) enum HealthyName {
    True,
    False,
    Any,
}

/// Which servers can be watched.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what model/query.rs reads")]
#[schema(rename_all = "snake_case")]
pub(in crate::http) enum AliveName {
    True,
    Any,
}

/// How much of each server an event holds.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what model/query.rs reads")]
#[schema(rename_all = "snake_case")]
pub(in crate::http) enum SummaryName {
    Summary,
}
