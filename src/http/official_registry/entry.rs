//! An entry of the listing: one version of one name in the official registry's schema of 2025-12-11, with the servers that run
//! it.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::naming;
use crate::model::{Health, Input, Server, Transport};

/// The URL of the schema.
const SCHEMA: &str = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json";
/// The key of the metadata that the official registry defines.
const OFFICIAL: &str = "io.modelcontextprotocol.registry/official";
/// The key of the metadata that Paulina adds.
const LIVE: &str = "paulina.registry/live";
/// The keys of a registration's metadata that name its package.
const PACKAGE_KEYS: [&str; 4] =
    ["package.registry", "package.identifier", "package.version", "package.sha256"];
const PACKAGE_REGISTRIES: [&str; 6] = ["npm", "pypi", "oci", "nuget", "cargo", "mcpb"];

/// One version of one name.
#[derive(Debug)]
pub(super) struct ListingEntry {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) is_latest: bool,
    /// Whether no healthy server runs it.
    pub(super) deleted: bool,
    pub(super) updated_at: DateTime<Utc>,
    pub(super) published_at: DateTime<Utc>,
    /// All names and titles in lower case, for the search by parts of names.
    pub(super) names: String,
    /// The ids of the servers that run it.
    pub(super) ids: Vec<String>,
    pub(super) json: Value,
}

impl ListingEntry {
    /// Builds an entry from the servers that run it, in order of registration. Healthy servers define it, if there are any.
    /// Returns `None` if there are no servers.
    pub(super) fn new(name: String, version: String, all: &[Server]) -> Option<Self> {
        let healthy: Vec<&Server> = all.iter().filter(|server| server.health == Health::Healthy).collect();
        let deleted = healthy.is_empty();
        let servers = if deleted { all.iter().collect() } else { healthy };
        let first = servers.first()?;
        let published_at = all.iter().map(|server| server.registered_at).min()?;
        let mut updated_at = all.iter().map(|server| server.updated_at).max()?;
        if deleted {
            // With `updated_since`, the deletion counts as an update.
            updated_at = updated_at.max(all.iter().map(|server| server.expires_at).max()?);
        }
        let mut names = name.to_lowercase();
        for text in servers.iter().flat_map(|server| [Some(&server.name), server.title.as_ref()]).flatten() {
            names.push('\n');
            names.push_str(&text.to_lowercase());
        }
        let mut server = json!({
            "$schema": SCHEMA, "name": name, "version": version, "description": naming::description(first),
        });
        if let Some(members) = server.as_object_mut() {
            let mut insert = |name: &str, value: Value| members.insert(name.to_owned(), value);
            if let Some(title) = first.title.as_deref().and_then(naming::shorten) {
                insert("title", json!(title));
            }
            let (remotes, packages) = (remotes(&servers), packages(&servers));
            if !remotes.is_empty() {
                insert("remotes", json!(remotes));
            }
            if !packages.is_empty() {
                insert("packages", json!(packages));
            }
        }
        let json = json!({"server": server, "_meta": {LIVE: running_servers(all)}});
        let ids = all.iter().map(|server| server.id.clone()).collect();
        Some(Self { name, version, is_latest: false, deleted, updated_at, published_at, names, ids, json })
    }

    /// Sets what depends on the other versions of the name.
    pub(super) fn set_latest(&mut self, is_latest: bool) {
        self.is_latest = is_latest;
        let official = json!({
            "status": if self.deleted { "deleted" } else { "active" },
            "statusChangedAt": time(self.updated_at),
            "publishedAt": time(self.published_at),
            "updatedAt": time(self.updated_at),
            "isLatest": is_latest,
        });
        if let Some(meta) = self.json.get_mut("_meta").and_then(Value::as_object_mut) {
            meta.insert(OFFICIAL.to_owned(), official);
        }
    }
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// Returns the URLs of the servers, without duplicates.
fn remotes(servers: &[&Server]) -> Vec<Value> {
    let mut remotes: Vec<Value> = Vec::new();
    for server in servers {
        let (kind, url, headers) = match &server.transport {
            Transport::Stdio { .. } => continue,
            Transport::StreamableHttp { url, headers } => ("streamable-http", url, headers),
            Transport::Sse { url, headers } => ("sse", url, headers),
        };
        // The schema allows schemes only in lower case.
        let url = url::Url::parse(url).map_or_else(|_| url.clone(), String::from);
        let mut remote = json!({"type": kind, "url": url});
        if let (false, Some(remote)) = (headers.is_empty(), remote.as_object_mut()) {
            remote.insert("headers".to_owned(), inputs(headers));
        }
        if !remotes.contains(&remote) {
            remotes.push(remote);
        }
    }
    remotes
}

/// Returns the packages that a client can install to run the server itself, as far as registrations name them.
fn packages(servers: &[&Server]) -> Vec<Value> {
    let mut packages: Vec<Value> = Vec::new();
    for server in servers {
        let Transport::Stdio { environment, .. } = &server.transport else { continue };
        let [registry, identifier, version, digest] = PACKAGE_KEYS.map(|key| server.metadata.get(key));
        let (Some(registry), Some(identifier)) = (registry, identifier) else { continue };
        let digest = digest.filter(|digest| is_digest(digest));
        // A downloaded bundle must have a digest.
        let known =
            PACKAGE_REGISTRIES.contains(&registry.as_str()) && (registry != "mcpb" || digest.is_some());
        if !known || identifier.is_empty() {
            continue;
        }
        let mut package =
            json!({"registryType": registry, "identifier": identifier, "transport": {"type": "stdio"}});
        if let Some(package) = package.as_object_mut() {
            // The identifier of an image includes its version.
            let version =
                version.filter(|version| registry != "oci" && !matches!(version.as_str(), "" | "latest"));
            package.extend(version.map(|version| ("version".to_owned(), json!(version))));
            package.extend(digest.map(|digest| ("fileSha256".to_owned(), json!(digest))));
            if !environment.is_empty() {
                package.insert("environmentVariables".to_owned(), inputs(environment));
            }
        }
        if !packages.contains(&package) {
            packages.push(package);
        }
    }
    packages
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// Returns the inputs that a client has to provide. VS Code does not prompt for one without a description.
fn inputs(inputs: &[Input]) -> Value {
    let input = |input: &Input| {
        let description = input.description.clone().unwrap_or_else(|| format!("The value of {}", input.name));
        json!({"name": input.name, "description": description, "isRequired": input.required, "isSecret": input.secret})
    };
    inputs.iter().map(input).collect()
}

/// Returns the servers that run the entry.
fn running_servers(servers: &[Server]) -> Value {
    let summary = |server: &Server| {
        let tools: Vec<&str> = server.capabilities.tools.iter().map(crate::model::Tool::name).collect();
        json!({
            "id": server.id, "name": server.name, "health": server.health, "transport": server.transport.kind(),
            "command": server.transport.command(), "url": server.transport.url(), "tools": tools, "tags": server.tags,
        })
    };
    let healthy = servers.iter().filter(|server| server.health == Health::Healthy).count();
    json!({"healthy": healthy, "servers": servers.iter().map(summary).collect::<Vec<_>>()})
}
