//! One name in one version, as the official registry's schema of 2025-12-11 writes it, with all servers here that run it.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::naming;
use crate::model::{Health, Input, Server, Transport};

/// The schema, by its official address.
const SCHEMA: &str = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json";
/// The key of what the registry itself says.
const OFFICIAL: &str = "io.modelcontextprotocol.registry/official";
/// The key of what Paulina says beside.
const LIVE: &str = "paulina.registry/live";
/// The metadata of a registration that says which package it is.
const PACKAGE: [&str; 4] = ["package.registry", "package.identifier", "package.version", "package.sha256"];
const REGISTRIES: [&str; 6] = ["npm", "pypi", "oci", "nuget", "cargo", "mcpb"];

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) is_latest: bool,
    /// Nobody runs it any more.
    pub(super) deleted: bool,
    pub(super) updated_at: DateTime<Utc>,
    pub(super) published_at: DateTime<Utc>,
    /// Its names, in lower case: what has them in it is found by any part of them.
    pub(super) names: String,
    /// The servers that run it.
    pub(super) ids: Vec<String>,
    pub(super) json: Value,
}

impl Entry {
    /// Of all servers that run it, first registered first; there is at least one. What it is, those that are alive say, if
    /// there are any.
    pub(super) fn new(name: String, version: String, all: &[Server]) -> Option<Self> {
        let alive: Vec<&Server> = all.iter().filter(|server| server.health == Health::Healthy).collect();
        let deleted = alive.is_empty();
        let servers = if deleted { all.iter().collect() } else { alive };
        let first = servers.first()?;
        let published_at = all.iter().map(|server| server.registered_at).min()?;
        let mut updated_at = all.iter().map(|server| server.updated_at).max()?;
        if deleted {
            // Who asks what has changed since wants to know of this.
            updated_at = updated_at.max(all.iter().map(|server| server.expires_at).max()?);
        }
        let mut names = name.to_lowercase();
        for more in servers.iter().flat_map(|server| [Some(&server.name), server.title.as_ref()]).flatten() {
            names.push('\n');
            names.push_str(&more.to_lowercase());
        }
        let mut server = json!({
            "$schema": SCHEMA, "name": name, "version": version, "description": naming::description(first),
        });
        if let Some(members) = server.as_object_mut() {
            let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
            if let Some(title) = first.title.as_deref().and_then(naming::short) {
                put("title", json!(title));
            }
            let (remotes, packages) = (remotes(&servers), packages(&servers));
            if !remotes.is_empty() {
                put("remotes", json!(remotes));
            }
            if !packages.is_empty() {
                put("packages", json!(packages));
            }
        }
        let json = json!({"server": server, "_meta": {LIVE: live(all)}});
        let ids = all.iter().map(|server| server.id.clone()).collect();
        Some(Self { name, version, is_latest: false, deleted, updated_at, published_at, names, ids, json })
    }

    /// Adds what only the whole list can tell.
    pub(super) fn place(&mut self, is_latest: bool) {
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

/// Where it can be reached over HTTP; each address once.
fn remotes(servers: &[&Server]) -> Vec<Value> {
    let mut remotes: Vec<Value> = Vec::new();
    for server in servers {
        let (kind, url, headers) = match &server.transport {
            Transport::Stdio { .. } => continue,
            Transport::StreamableHttp { url, headers } => ("streamable-http", url, headers),
            Transport::Sse { url, headers } => ("sse", url, headers),
        };
        // The schema knows schemes in lower case alone.
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

/// Which package a client would install to run it itself, where the registration says so.
fn packages(servers: &[&Server]) -> Vec<Value> {
    let mut packages: Vec<Value> = Vec::new();
    for server in servers {
        let Transport::Stdio { environment, .. } = &server.transport else { continue };
        let [registry, identifier, version, digest] = PACKAGE.map(|key| server.metadata.get(key));
        let (Some(registry), Some(identifier)) = (registry, identifier) else { continue };
        let digest = digest.filter(|digest| is_digest(digest));
        // A bundle that is downloaded has to name its digest.
        let known = REGISTRIES.contains(&registry.as_str()) && (registry != "mcpb" || digest.is_some());
        if !known || identifier.is_empty() {
            continue;
        }
        let mut package =
            json!({"registryType": registry, "identifier": identifier, "transport": {"type": "stdio"}});
        if let Some(package) = package.as_object_mut() {
            // An image has its version in its identifier.
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

/// What a client has to provide. VS Code asks for nothing that has no description.
fn inputs(inputs: &[Input]) -> Value {
    let input = |input: &Input| {
        let description = input.description.clone().unwrap_or_else(|| format!("The value of {}", input.name));
        json!({"name": input.name, "description": description, "isRequired": input.required, "isSecret": input.secret})
    };
    inputs.iter().map(input).collect()
}

/// The servers that run it here.
fn live(servers: &[Server]) -> Value {
    let one = |server: &Server| {
        let tools: Vec<&str> = server.capabilities.tools.iter().map(crate::model::Tool::name).collect();
        json!({
            "id": server.id, "name": server.name, "health": server.health, "transport": server.transport.kind(),
            "command": server.transport.command(), "url": server.transport.url(), "tools": tools, "tags": server.tags,
        })
    };
    let healthy = servers.iter().filter(|server| server.health == Health::Healthy).count();
    json!({"healthy": healthy, "servers": servers.iter().map(one).collect::<Vec<_>>()})
}
