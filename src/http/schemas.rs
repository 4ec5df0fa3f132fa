//! What the document says of bodies and parameters that the model reads and writes by hand: the registration, the record,
//! the filters. Tests hold them equal to what the API takes and answers.

use std::collections::BTreeMap;

use utoipa::{IntoParams, ToSchema};

use crate::model::{Health, Input, ToolEntry, TransportKind};

/// The body of a registration. Unknown members are refused, and so is a field of another transport.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what model/parse.rs reads; a test holds the two equal")]
#[schema(example = json!({
    "id": "filesystem-abc123", "name": "filesystem", "version": "1.0.0", "transport": "stdio",
    "command": ["/usr/local/bin/mcp-filesystem", "/srv"],
    "capabilities": {"tools": ["read_file", {"name": "write_file", "description": "Writes a file", "inputSchema": {"type": "object"}}],
        "resources": ["file://*"], "sampling": true},
    "tags": ["local"], "metadata": {"team": "search"}, "ttl": 30
}))]
pub(super) struct RegistrationBody {
    /// Stable; absent, the registry makes one.
    #[schema(pattern = "^[A-Za-z0-9._-]{1,128}$")]
    id: Option<String>,
    /// The server's name.
    #[schema(pattern = "^[A-Za-z0-9._/@ -]{1,200}$")]
    name: String,
    /// A name for people.
    #[schema(min_length = 1, max_length = 200)]
    title: Option<String>,
    /// The server's version.
    #[schema(min_length = 1, max_length = 100)]
    version: Option<String>,
    /// What the server is for.
    #[schema(min_length = 1, max_length = 10_000)]
    description: Option<String>,
    /// How a client reaches it. `http` means `streamable-http`.
    transport: TransportName,
    /// With stdio, and required there: the program and its arguments.
    #[schema(min_items = 1, max_items = 256)]
    command: Option<Vec<String>>,
    /// With streamable-http and sse, and required there: absolute, http or https, without user and password.
    #[schema(max_length = 2000)]
    url: Option<String>,
    /// With stdio: the environment variables that a client has to provide, by name.
    environment: Option<Vec<Input>>,
    /// With streamable-http and sse: the headers that a client has to provide, by name.
    headers: Option<Vec<Input>>,
    /// What it can do.
    capabilities: Option<CapabilitiesBody>,
    /// Without comma; duplicates are merged.
    #[schema(max_items = 64)]
    tags: Option<Vec<String>>,
    /// Keys `[A-Za-z0-9._-]{1,64}`, values up to 1,000 characters, at most 64 pairs.
    metadata: Option<BTreeMap<String, String>>,
    /// How long the lease runs without a refresh, in seconds.
    #[schema(minimum = 1, maximum = 86_400, default = 30)]
    ttl: Option<u32>,
}

/// How a client reaches a server.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what model/transport.rs reads")]
#[schema(rename_all = "kebab-case")]
pub(super) enum TransportName {
    Stdio,
    StreamableHttp,
    Http,
    Sse,
}

/// What a server can do. Any other member is a named flag: `true`, `false`, or an object of options.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what model/parse.rs reads")]
pub(super) struct CapabilitiesBody {
    /// Names, or objects as MCP's `Tool`; everything in them is kept.
    #[schema(max_items = 2000)]
    tools: Option<Vec<Definition>>,
    /// URIs or templates, or objects as MCP's `Resource` and `ResourceTemplate`. A bare string with `{` or `*` is a
    /// template.
    #[schema(max_items = 2000)]
    resources: Option<Vec<Definition>>,
    /// Names, or objects as MCP's `Prompt`.
    #[schema(max_items = 2000)]
    prompts: Option<Vec<Definition>>,
}

/// A bare name or URI, or the whole object that MCP defines.
#[derive(serde::Serialize, ToSchema)]
#[expect(dead_code, reason = "describes what model/parse.rs reads")]
#[serde(untagged)]
pub(super) enum Definition {
    Name(String),
    Object(serde_json::Map<String, serde_json::Value>),
}

/// What a server can do. Any other member is a named flag: `true`, `false`, or an object of options.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes how model/capabilities.rs writes")]
pub(super) struct CapabilitiesRecord {
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
        pub(super) struct $name {
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
pub(super) struct ServerPage {
    /// The servers.
    servers: Vec<ServerRecord>,
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
pub(super) struct Tools {
    /// The tools.
    tools: Vec<ToolEntry>,
    /// Where the next page begins; null on the last page.
    #[schema(required)]
    next_cursor: Option<String>,
}

macro_rules! filters {
    ($name:ident { $($(#[$extra:meta])* $field:ident: $kind:ty,)* }) => {
        #[derive(IntoParams)]
        #[into_params(parameter_in = Query)]
        #[expect(dead_code, reason = "describes what model/filter.rs reads; a test holds the two equal")]
        pub(super) struct $name {
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
            #[param(example = "local,production")]
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
            /// Full text, best first: every word must match, as the beginning of a word, stemmed and without case or
            /// diacritics. `read_file` and `readFile` are two words. Nothing in it is query syntax.
            #[param(example = "read file")]
            q: Option<String>,
            /// `true`, `false` or `any`.
            #[param(default = "true")]
            healthy: Option<HealthyName>,
            /// How many a page holds.
            #[param(minimum = 1, maximum = 1000, default = 100)]
            limit: Option<u32>,
            /// Where a page ended. It carries the filters of its query; other ones beside it are refused.
            cursor: Option<String>,
            $($(#[$extra])* $field: $kind,)*
        }
    };
}
filters!(FilterQuery {
    /// `summary` leaves schemas out; `full` holds all that was registered.
    #[param(default = "summary")]
    view: Option<ViewName>,
});
filters!(ToolQuery {});

/// How much of each server an answer holds.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what model/filter.rs reads")]
#[schema(rename_all = "snake_case")]
pub(super) enum ViewName {
    Summary,
    Full,
}

/// Which servers by health.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what model/filter.rs reads")]
#[schema(rename_all = "snake_case")]
pub(super) enum HealthyName {
    True,
    False,
    Any,
}
