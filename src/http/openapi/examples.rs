//! Example responses for the operations of the document, built from the types of the API.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::model::{
    Change, ChangeKind, Health, LeaseState, Page, Refreshed, RefreshedMany, Registration, Revision, Server,
    ServerState, ServerStats, Snapshot, Stats, ToolEntry, ToolPage, ToolServer, TransportKind,
};

const ID: &str = "filesystem-abc123";
const LEASE: &str = "0f9f3d2e-6f3c-4c86-9a5e-3b8a54b1f1aa";

/// Returns the example of an operation's successful response, or `None` if that has no body.
pub(in crate::http) fn response(operation: &str) -> Option<Value> {
    Some(match operation {
        "register" => {
            let mut record = json!(server());
            record.as_object_mut()?.insert("lease".to_owned(), json!(LEASE));
            record
        }
        "find" => json!(Page { servers: vec![server()], next_cursor: None, revision: revision() }),
        "get" => json!(server()),
        "refresh" => json!(refreshed()),
        "refreshMany" => {
            json!(RefreshedMany { refreshed: vec![refreshed()], not_registered: vec!["gone-42".to_owned()] })
        }
        "health" => json!(LeaseState {
            id: ID.to_owned(),
            name: "filesystem".to_owned(),
            health: Health::Healthy,
            ttl: 30,
            expires_at: at(30),
            expires_in_ms: 21_500,
        }),
        "tools" => json!(ToolPage { tools: vec![tool()], next_cursor: None }),
        "stats" => json!(stats()),
        "watch" => {
            let snapshot = Snapshot { servers: Vec::new(), revision: Revision { number: 16, ..revision() } };
            let at = at(0);
            let change = Change { revision: revision(), kind: ChangeKind::Registered, at, server: server() };
            json!(format!(
                "id: {}\nevent: snapshot\ndata: {}\n\nid: {}\nevent: registered\ndata: {}\n\n",
                snapshot.revision,
                json!(snapshot),
                change.revision,
                json!(change)
            ))
        }
        "healthz" => json!({"status": "ok"}),
        "readyz" | "promote" => json!({"status": "ok", "role": "primary"}),
        "metrics" => json!(
            "# HELP paulina_connections Open connections.\n# TYPE paulina_connections gauge\npaulina_connections 3\n# EOF\n"
        ),
        "openapi" => json!({"openapi": "3.1.0", "info": {"title": "Paulina"}, "paths": {}}),
        _ => return None,
    })
}

/// Returns 2026-01-08T10:00:00Z plus a number of seconds.
fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_767_866_400_000).unwrap_or_default() + TimeDelta::seconds(seconds)
}

fn revision() -> Revision {
    Revision { epoch: "8f3a1c02".to_owned(), number: 17 }
}

fn server() -> Server {
    let registration = Registration::stdio("filesystem", ["/usr/local/bin/mcp-filesystem", "/srv"])
        .id(ID)
        .version("1.0.0")
        .tool("read_file")
        .resource("file://*")
        .tag("local")
        .metadata("team", "search");
    let (record, ttl) = registration.checked().into_record();
    let state = ServerState {
        ttl,
        health: Health::Healthy,
        registered_at: at(0),
        updated_at: at(0),
        refreshed_at: at(0),
        expires_at: at(30),
        score: None,
    };
    Server::new(Arc::new(record), state)
}

fn refreshed() -> Refreshed {
    let health = Health::Healthy;
    Refreshed { id: ID.to_owned(), health, ttl: 30, expires_at: at(30), refresh_after_ms: 15_000 }
}

fn tool() -> ToolEntry {
    let server = ToolServer {
        id: ID.to_owned(),
        name: "filesystem".to_owned(),
        transport: TransportKind::Stdio,
        health: Health::Healthy,
    };
    let name = "read_file".to_owned();
    ToolEntry { name, title: None, description: None, definitions: 1, score: None, servers: vec![server] }
}

fn stats() -> Stats {
    let one = |name: &str| [(name.to_owned(), 1)].into();
    let servers = ServerStats {
        total: 1,
        by_health: [("healthy".to_owned(), 1), ("unhealthy".to_owned(), 0)].into(),
        by_transport: one("stdio"),
        by_name: one("filesystem"),
        by_tag: one("local"),
        by_capability: [("resources".to_owned(), 1), ("tools".to_owned(), 1)].into(),
    };
    Stats { servers, tools: 1, resources: 1, prompts: 0, revision: revision() }
}
