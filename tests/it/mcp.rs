//! The registry as an MCP server, message by message. With real clients: tests/e2e.

use std::process::Command;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::binary::Binary;
use crate::support::http_client;

/// A session of a protocol version that starts with `initialize`.
struct Session {
    client: reqwest::Client,
    url: String,
    token: Option<String>,
    id: String,
}

impl Session {
    async fn new(registry: &Binary, token: Option<&str>) -> Self {
        Self::with_version(registry, token, "2025-06-18").await
    }

    async fn with_version(registry: &Binary, token: Option<&str>, version: &str) -> Self {
        let (client, url) = (http_client(), format!("{}/mcp", registry.url));
        let mut session = Self { client, url, token: token.map(str::to_owned), id: String::new() };
        let answer = session.post(&initialize(version)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        session.id = answer.headers()["mcp-session-id"].to_str().unwrap().to_owned();
        answer.text().await.unwrap();
        let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        assert_eq!(session.post(&ready).send().await.unwrap().status(), StatusCode::ACCEPTED);
        session
    }

    fn post(&self, message: &Value) -> reqwest::RequestBuilder {
        let mut request =
            self.client.post(&self.url).header("accept", "application/json, text/event-stream").json(message);
        if !self.id.is_empty() {
            request = request.header("mcp-session-id", &self.id);
        }
        self.token.iter().fold(request, reqwest::RequestBuilder::bearer_auth)
    }

    async fn request(&self, method: &str, params: Value) -> Value {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let text = self.post(&message).send().await.unwrap().text().await.unwrap();
        // A JSON object, or the last event of a finite stream.
        let data =
            text.lines().rev().find_map(|line| line.strip_prefix("data: ").filter(|data| !data.is_empty()));
        let answer: Value =
            serde_json::from_str(data.unwrap_or(&text)).unwrap_or_else(|error| panic!("{error}: {text}"));
        answer["result"].clone()
    }

    async fn call(&self, tool: &str, arguments: Value) -> Value {
        self.request("tools/call", json!({"name": tool, "arguments": arguments})).await
    }

    async fn tools(&self) -> Vec<String> {
        let listed = self.request("tools/list", json!({})).await;
        listed["tools"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tool| tool["name"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn initialize(version: &str) -> Value {
    json!({
        "jsonrpc": "2.0", "id": 0, "method": "initialize",
        "params": {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
    })
}

fn token(database: &std::path::Path, role: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paulina"));
    let output = command
        .args(["token", "create", "--name", role, "--role", role, "--database"])
        .arg(database)
        .output();
    String::from_utf8(output.unwrap().stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn tools_register_find_and_deregister_servers() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Binary::start(&folder.path().join("paulina.db"));
    let session = Session::new(&registry, None).await;
    assert_eq!(session.tools().await.len(), 6, "without tokens, writing tools are available");
    let schema = json!({"type": "object", "properties": {"path": {"type": "string"}}});
    let huge = json!({"type": "object", "description": "x".repeat(40_000)});
    let registration = json!({
        "id": "files", "name": "filesystem", "transport": "stdio", "command": ["mcp-files", "/srv"], "tags": ["local"],
        "capabilities": {"tools": [
            {"name": "read_file", "description": "Reads a file from disk", "inputSchema": schema},
            {"name": "write_file", "description": "Writes a file to disk", "inputSchema": huge},
        ], "resources": ["file:///{path}"]},
    });
    let registered = session.call("register_server", json!({ "registration": registration })).await;
    assert_eq!(registered["structuredContent"]["created"], true, "{registered}");

    let found = session.call("find_tools", json!({"query": "read file"})).await;
    let tools = &found["structuredContent"]["tools"];
    assert_eq!((&tools[0]["name"], &tools[0]["inputSchema"]), (&json!("read_file"), &schema));
    assert_eq!(
        found["content"][0]["text"],
        "read_file: Reads a file from disk (offered by filesystem; found by the words read, file)\n\
         write_file: Writes a file to disk (offered by filesystem; found by the word file)"
    );
    let some = session.call("find_tools", json!({"query": "please write to my floppy"})).await;
    assert_eq!(some["structuredContent"]["all_words"], false);
    assert_eq!(some["structuredContent"]["tools"][0]["name"], "write_file");
    assert_eq!(
        some["structuredContent"]["tools"][0]["inputSchema"],
        Value::Null,
        "the schema exceeds the size limit of the response"
    );
    let whole = session.call("get_server", json!({"id": "files", "schemas_of": ["write_file"]})).await;
    let tools = whole["structuredContent"]["server"]["tools"].clone();
    assert!(tools[0].get("inputSchema").is_none(), "{}", tools[0]);
    assert_eq!(tools[1]["inputSchema"], huge);

    for filter in [
        json!({}),
        json!({"query": "disk"}),
        json!({"tool": "read_file"}),
        json!({"resource": "file:///etc/hosts"}),
        json!({"capability": "tools", "tags": ["local"]}),
        json!({"name": "filesystem", "include_unhealthy": true, "limit": 50}),
    ] {
        let found = session.call("find_servers", filter.clone()).await;
        assert_eq!(found["structuredContent"]["servers"][0]["id"], "files", "{filter}");
    }
    for (tool, arguments, way_out) in [
        ("get_server", json!({"id": "gone"}), "find_servers returns the registered servers"),
        ("get_server", json!({"id": "files", "schemas_of": ["x"]}), "files does not offer the tool x"),
        ("find_servers", json!({"limit": 51}), "is not between 1 and 50"),
        ("find_servers", json!({"color": "red"}), "unknown field `color`"),
        ("find_tools", json!({}), "missing field `query`"),
        ("register_server", json!({"registration": {"name": "x"}}), "transport"),
        ("deregister_server", json!({"id": "gone"}), "is registered"),
    ] {
        let refused = session.call(tool, arguments).await;
        assert_eq!(refused["isError"], true, "{tool}");
        let text = refused["content"][0]["text"].as_str().unwrap();
        assert!(text.contains(way_out), "{tool}: {text}");
    }
    let listed = session.request("resources/list", json!({})).await;
    assert_eq!(listed["resources"][1]["uri"], "paulina://servers/files");
    let read = session.request("resources/read", json!({"uri": "paulina://servers/files"})).await;
    assert!(read["contents"][0]["text"].as_str().unwrap().contains("xxxxx"), "the whole record");
    assert_eq!(session.call("deregister_server", json!({"id": "files"})).await["isError"], false);
}

#[tokio::test]
async fn find_tools_ranks_by_matched_words() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Binary::start(&folder.path().join("paulina.db"));
    let session = Session::new(&registry, None).await;
    let tool = |name: String, words: &str| json!({"name": name, "description": words});
    // Tools with only one of the words contain it more often.
    let mut tools: Vec<Value> = (0..8)
        .flat_map(|number| {
            ["alpha", "beta"].map(|word| tool(format!("t{word}{number}"), &format!("{word} {word}")))
        })
        .collect();
    tools.push(tool("both".to_owned(), "alpha and so on beta"));
    let registration = json!({"id": "words", "name": "words", "transport": "stdio", "command": ["x"],
                              "capabilities": {"tools": tools}});
    session.call("register_server", json!({ "registration": registration })).await;
    let found = session.call("find_tools", json!({"query": "alpha beta gamma", "limit": 3})).await;
    let found = &found["structuredContent"];
    assert_eq!((&found["tools"][0]["name"], &found["more"]), (&json!("both"), &json!(true)), "{found}");
    assert_eq!((found["tools"].as_array().unwrap().len(), &found["all_words"]), (3, &json!(false)));
}

#[tokio::test]
async fn clients_without_structured_content_get_json_as_text() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Binary::start(&folder.path().join("paulina.db"));
    let older = Session::with_version(&registry, None, "2025-03-26").await;
    let found = older.call("registry_status", json!({})).await;
    let text: Value = serde_json::from_str(found["content"][1]["text"].as_str().unwrap()).unwrap();
    assert_eq!(text["servers"], 0, "{found}");
    let newer = Session::new(&registry, None).await;
    let found = newer.call("registry_status", json!({})).await;
    assert_eq!(found["content"].as_array().unwrap().len(), 1, "not repeated as text: {found}");
}

#[tokio::test]
async fn roles_apply_to_mcp_tools() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("paulina.db");
    let registry = Binary::start(&database);
    let (reader, registrar) = (token(&database, "read"), token(&database, "register"));
    let anonymous =
        http_client().post(format!("{}/mcp", registry.url)).json(&json!({})).send().await.unwrap();
    assert_eq!(anonymous.status(), StatusCode::UNAUTHORIZED);
    let session = Session::new(&registry, Some(&reader)).await;
    assert_eq!(session.tools().await, ["find_servers", "find_tools", "get_server", "registry_status"]);
    let registration = json!({"id": "a", "name": "a", "transport": "stdio", "command": ["a"]});
    let refused = session.call("register_server", json!({ "registration": registration })).await;
    assert!(
        refused["content"][0]["text"].as_str().unwrap().contains("a token with the role register"),
        "{refused}"
    );
    let session = Session::new(&registry, Some(&registrar)).await;
    let registered = session.call("register_server", json!({ "registration": registration })).await;
    assert_eq!(registered["isError"], false, "{registered}");
    let owned = http_client()
        .get(format!("{}/v1/servers/a", registry.url))
        .bearer_auth(&reader)
        .send()
        .await
        .unwrap();
    assert!(owned.text().await.unwrap().contains("\"owner\":\"register\""));
}

#[tokio::test]
async fn anonymous_read_does_not_allow_writes() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("paulina.db");
    token(&database, "admin");
    let registry = Binary::with(&database, &["--listen", "0.0.0.0:0", "--anonymous-read"]);
    let mut revoke = Command::new(env!("CARGO_BIN_EXE_paulina"));
    let revoked =
        revoke.args(["token", "revoke", "--name", "admin", "--database"]).arg(&database).output().unwrap();
    assert!(revoked.status.success());
    let session = Session::new(&registry, None).await;
    assert_eq!(session.tools().await.len(), 4, "revoking the last token does not allow writes");
    let registration = json!({"name": "evil", "transport": "stdio", "command": ["x"]});
    let refused = session.call("register_server", json!({ "registration": registration })).await;
    assert_eq!(refused["isError"], true, "{refused}");
}

#[tokio::test]
async fn the_oldest_session_ends_when_the_limit_is_reached() {
    let folder = tempfile::tempdir().unwrap();
    let mut registry = Binary::start(&folder.path().join("paulina.db"));
    registry.drain();
    let first = Session::new(&registry, None).await;
    let second = Session::new(&registry, None).await;
    for _ in 0..999 {
        let new = first.client.post(&first.url).header("accept", "application/json, text/event-stream");
        new.json(&initialize("2025-06-18")).send().await.unwrap().text().await.unwrap();
    }
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    assert_eq!(
        first.post(&message).send().await.unwrap().status(),
        StatusCode::NOT_FOUND,
        "the oldest session has ended"
    );
    assert_eq!(second.post(&message).send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn mcp_requests_pass_the_same_checks_as_the_api() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Binary::with(&folder.path().join("paulina.db"), &["--max-body-bytes", "2000"]);
    let post = || http_client().post(format!("{}/mcp", registry.url));
    let foreign_origin =
        post().header("origin", "https://evil.example").json(&json!({})).send().await.unwrap();
    assert_eq!(foreign_origin.status(), StatusCode::FORBIDDEN);
    let foreign_host = post().header("host", "evil.example").json(&json!({})).send().await.unwrap();
    assert_eq!(foreign_host.status(), StatusCode::FORBIDDEN);
    let large = post().json(&json!({"padding": "x".repeat(3_000)})).send().await.unwrap();
    assert_eq!(large.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let text = post().body("hello").send().await.unwrap();
    assert_eq!(text.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
}
