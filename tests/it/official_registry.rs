//! The API of the official MCP registry. tests/e2e validates its responses against the official schema.

use std::time::Duration;

use chrono::SecondsFormat;
use paulina::Role;
use paulina::clock::Clock;
use paulina::http::Limits;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Api, Fixture, Response, edit};

const OFFICIAL_META: &str = "io.modelcontextprotocol.registry/official";
const LIVE_META: &str = "paulina.registry/live";

fn server(id: &str, name: &str, version: &str) -> Value {
    json!({"id": id, "name": name, "version": version, "transport": "http", "url": format!("https://{id}.example/mcp")})
}

fn names(page: &Response) -> Vec<String> {
    let servers = page.json()["servers"].as_array().unwrap().clone();
    let name = |entry: &Value| {
        format!(
            "{}@{}",
            entry["server"]["name"].as_str().unwrap(),
            entry["server"]["version"].as_str().unwrap()
        )
    };
    servers.iter().map(name).collect()
}

#[tokio::test]
async fn each_name_and_version_is_listed_once_with_its_servers() {
    let api = Api::new().await;
    let empty = api.get("/v0.1/servers").await.json();
    assert_eq!(empty, json!({"servers": [], "metadata": {"count": 0}}), "an empty list has metadata");
    for (id, name, version) in [
        ("w1", "io.github.user/weather", "1.0.0"),
        ("w2", "io.github.user/weather", "1.0.0"),
        ("w10", "io.github.user/weather", "1.10.0"),
        ("w9", "io.github.user/weather", "1.9.0"),
        ("f", "filesystem", ""),
    ] {
        let mut body = server(id, name, version);
        if version.is_empty() {
            body["version"] = Value::Null;
        }
        api.register(&body).await;
    }
    for version in ["/v0.1", "/v0"] {
        let page = api.get(&format!("{version}/servers")).await;
        let expected = [
            "io.github.user/weather@1.0.0",
            "io.github.user/weather@1.10.0",
            "io.github.user/weather@1.9.0",
            "local/filesystem@0.0.0",
        ];
        assert_eq!(names(&page), expected);
        let latest = api.get(&format!("{version}/servers?version=latest")).await;
        assert_eq!(names(&latest), ["io.github.user/weather@1.10.0", "local/filesystem@0.0.0"]);
    }
    let first = api.get("/v0.1/servers?limit=1").await.json()["servers"][0].clone();
    assert_eq!(first["server"]["remotes"].as_array().unwrap().len(), 2, "{first}");
    assert_eq!(first["_meta"][LIVE_META]["healthy"], 2);
    let official = &first["_meta"][OFFICIAL_META];
    assert_eq!((&official["status"], &official["isLatest"]), (&json!("active"), &json!(false)));
    for time in ["publishedAt", "updatedAt", "statusChangedAt"] {
        assert!(official[time].as_str().unwrap().ends_with('Z'), "{official}");
    }
    let exact = api.get("/v0.1/servers?version=1.9.0").await;
    assert_eq!(names(&exact), ["io.github.user/weather@1.9.0"]);
    api.delete("/v1/servers/w10").await;
    let latest = api.get("/v0.1/servers?version=latest&search=WEATH").await;
    assert_eq!(names(&latest), ["io.github.user/weather@1.9.0"], "a deregistered version disappears at once");
}

#[tokio::test]
async fn names_can_be_percent_encoded_or_plain() {
    let api = Api::new().await;
    api.register(&server("a", "com.example/a", "1.0.0")).await;
    api.register(&server("b", "com.example/a", "2.0.0+build")).await;
    for name in ["com.example/a", "com.example%2Fa", "com.example%2fa"] {
        let versions = api.get(&format!("/v0.1/servers/{name}/versions")).await;
        assert_eq!(names(&versions), ["com.example/a@2.0.0+build", "com.example/a@1.0.0"], "newest first");
        for (version, expected) in [
            ("latest", "2.0.0+build"),
            ("1.0.0", "1.0.0"),
            ("2.0.0+build", "2.0.0+build"),
            ("2.0.0%2Bbuild", "2.0.0+build"),
        ] {
            let one = api.get(&format!("/v0/servers/{name}/versions/{version}")).await.json();
            assert_eq!(one["server"]["version"], expected, "{version}");
        }
    }
    for missing in ["/v0.1/servers/com.example%2Fb/versions", "/v0.1/servers/com.example/a/versions/3.0.0"] {
        let refused = api.get(missing).await;
        assert_eq!((refused.status.as_u16(), refused.code().as_str()), (404, "not_registered"));
        assert_eq!(refused.json()["error"], refused.json()["detail"]);
    }
    let refused = api.post("/v0.1/servers", &json!({})).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (405, "method_not_allowed"));
    assert_eq!(refused.json()["error"], refused.json()["detail"]);
}

#[tokio::test]
async fn a_cursor_contains_the_search_and_is_url_safe() {
    let api = Api::new().await;
    for number in 0..7 {
        api.register(&server(&format!("s{number}"), &format!("com.example/wanted-{number}"), "1.0.0")).await;
        api.register(&server(&format!("o{number}"), &format!("com.example/other-{number}"), "1.0.0")).await;
    }
    let mut page = api.get("/v0.1/servers?search=wanted&limit=3").await;
    let mut seen = names(&page);
    while let Some(cursor) = page.json()["metadata"]["nextCursor"].as_str() {
        assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{cursor}");
        page = api.get(&format!("/v0.1/servers?cursor={cursor}")).await;
        seen.extend(names(&page));
    }
    let expected: Vec<_> = (0..7).map(|number| format!("com.example/wanted-{number}@1.0.0")).collect();
    assert_eq!(seen, expected);
    for wrong in ["cursor=nonsense", "limit=many", "updated_since=yesterday", "include_deleted=perhaps"] {
        let refused = api.get(&format!("/v0.1/servers?{wrong}")).await;
        assert_eq!(refused.code(), "invalid_query", "{wrong}");
        assert!(refused.json()["error"].is_string());
    }
    let lenient = api.get("/v0.1/servers?limit=1000&search=&unknown=1").await;
    assert_eq!(names(&lenient).len(), 14, "limits over 100 are reduced, and unknown parameters are ignored");
    let later = api.get("/v0.1/servers?updated_since=2999-01-01T00:00:00Z").await;
    assert!(names(&later).is_empty());
}

#[tokio::test]
async fn registrations_are_mapped_to_packages_and_remotes() {
    let api = Api::new().await;
    let long = "word ".repeat(60);
    api.register(&json!({
        "id": "git", "name": "My Git!".replace('!', ""), "version": "latest", "description": long, "transport": "stdio",
        "command": ["uvx", "mcp-server-git"],
        "environment": [{"name": "TOKEN", "description": "of the forge", "required": true, "secret": true}],
        "metadata": {"registry.name": "com.example/git", "package.registry": "pypi", "package.identifier": "mcp-server-git",
                     "package.version": "2026.10.19"},
    }))
    .await;
    api.register(&json!({"id": "own", "name": "own", "transport": "stdio", "command": ["./own"]})).await;
    let git = api.get("/v0.1/servers/com.example/git/versions/latest").await.json()["server"].clone();
    assert_eq!(git["version"], "0.0.0", "`latest` is not a version");
    assert_eq!(git["description"].as_str().unwrap().chars().count(), 100);
    assert_eq!(
        git["packages"],
        json!([{"registryType": "pypi", "identifier": "mcp-server-git", "version": "2026.10.19", "transport": {"type": "stdio"},
                "environmentVariables": [{"name": "TOKEN", "description": "of the forge", "isRequired": true, "isSecret": true}]}])
    );
    let package = |registry: &str, identifier: &str, version: &str| {
        json!({"id": registry, "name": registry, "transport": "stdio", "command": ["x"], "environment": [{"name": "KEY"}],
               "metadata": {"package.registry": registry, "package.identifier": identifier, "package.version": version}})
    };
    for (registry, identifier, version) in [
        ("npm", "x", "latest"),
        ("oci", "ghcr.io/x:1.2", "1.2"),
        ("mcpb", "https://x.example/x.mcpb", "1.0.0"),
    ] {
        api.register(&package(registry, identifier, version)).await;
        let server = api.get(&format!("/v0.1/servers/local/{registry}")).await.json()["server"].clone();
        if registry == "mcpb" {
            assert!(server.get("packages").is_none(), "a bundle without a digest is omitted: {server}");
            continue;
        }
        assert!(server["packages"][0].get("version").is_none(), "{server}");
        let input = &server["packages"][0]["environmentVariables"][0];
        assert_eq!(
            input["description"], "The value of KEY",
            "a client would not ask for an input without a description"
        );
    }
    let uppercase = json!({"id": "odd", "name": "odd", "transport": "sse", "url": "HTTPS://Odd.Example/SSE"});
    api.register(&uppercase).await;
    let normalized = api.get("/v0.1/servers/local/odd").await.json()["server"]["remotes"].clone();
    assert_eq!(normalized, json!([{"type": "sse", "url": "https://odd.example/SSE"}]));
    let own = api.get("/v0.1/servers/local/own").await.json();
    assert!(own["server"].get("packages").is_none() && own["server"].get("remotes").is_none(), "{own}");
    assert_eq!(own["_meta"][LIVE_META]["servers"][0]["command"], json!(["./own"]));
    assert_eq!(own["server"]["description"], "The MCP server own");
}

#[tokio::test]
async fn expired_servers_are_listed_as_deleted() {
    let fixture = Fixture::with_retention(Duration::from_hours(1)).await;
    let folder = tempfile::tempdir().unwrap();
    let api = Api::of(fixture.registry.clone(), folder, Limits::default(), |server| server);
    for (id, name) in
        [("gone", "com.example/gone"), ("w1", "com.example/weather"), ("w2", "com.example/weather")]
    {
        api.register(&server(id, name, "1.0.0")).await;
    }
    fixture.run_for(Duration::from_secs(20)).await;
    let before = fixture.clock.wall().to_rfc3339_opts(SecondsFormat::Millis, true);
    let since = format!("/v0.1/servers?updated_since={before}");
    assert!(names(&api.get(&since).await).is_empty());
    api.put("/v1/servers/w2/refresh").await;
    fixture.run_for(Duration::from_secs(20)).await;

    let changed = api.get(&since).await;
    assert_eq!(names(&changed), ["com.example/gone@1.0.0"]);
    let official = &changed.json()["servers"][0]["_meta"][OFFICIAL_META];
    assert_eq!(official["status"], "deleted");
    assert!(official["statusChangedAt"].as_str().unwrap() > before.as_str(), "{official}");
    let weather =
        api.get("/v0.1/servers?search=weather&include_deleted=true").await.json()["servers"][0].clone();
    assert_eq!(weather["_meta"][OFFICIAL_META]["status"], "active");
    let remotes = json!([{"type": "streamable-http", "url": "https://w2.example/mcp"}]);
    assert_eq!(weather["server"]["remotes"], remotes, "only the healthy server");
    assert_eq!(weather["_meta"][LIVE_META]["servers"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn edits_of_the_database_are_listed() {
    let fixture = Fixture::new().await;
    let folder = tempfile::tempdir().unwrap();
    let api = Api::of(fixture.registry.clone(), folder, Limits::default(), |server| server);
    api.register(&server("a", "com.example/a", "1.0.0")).await;
    let title = async || api.get("/v0.1/servers").await.json()["servers"][0]["server"]["title"].clone();
    assert_eq!(title().await, Value::Null);
    edit(&fixture.path(), "UPDATE servers SET title = 'By hand'").await;
    fixture.run_for(Duration::from_secs(3)).await;
    assert_eq!(title().await, "By hand");
}

#[tokio::test]
async fn public_catalog_opens_only_the_official_api() {
    let preflight = |api: &Api| {
        let request = api.request(Method::OPTIONS, "/v0.1/servers").header("origin", "https://github.com");
        request.header("access-control-request-method", "GET")
    };
    let private = Api::new().await;
    let token = private.token("reader", Role::Read).await;
    let refused = private.get("/v0.1/servers").await;
    assert_eq!(refused.code(), "unauthorized");
    assert!(refused.json()["error"].is_string());
    let with = private.request(Method::GET, "/v0.1/servers").header("authorization", &token);
    assert_eq!(private.send(with).await.status, 200);
    let page = private.request(Method::GET, "/v0.1/servers").header("origin", "https://github.com");
    assert_eq!(private.send(page).await.code(), "origin_not_allowed");
    assert_eq!(private.send(preflight(&private)).await.header("access-control-allow-origin"), "");

    let public = Api::serving(Limits::default(), |server| server.public_catalog(true)).await;
    public.token("reader", Role::Read).await;
    for path in ["/v0.1/servers", "/v0/servers", "/v0.1/servers/com.example/gone/versions"] {
        let page = public.request(Method::GET, path).header("origin", "https://github.com");
        let answer = public.send(page).await;
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
        assert_ne!(answer.status, 401, "{path}");
    }
    let preflighted = public.send(preflight(&public)).await;
    assert_eq!(
        (preflighted.status.as_u16(), preflighted.header("access-control-allow-methods")),
        (204, "GET, OPTIONS")
    );
    assert!(preflighted.header("access-control-allow-headers").contains("Authorization"));
    assert_eq!(public.get("/v1/servers").await.code(), "unauthorized", "nothing else is public");
    let other = public.request(Method::GET, "/v1/servers").header("origin", "https://github.com");
    assert_eq!(public.send(other).await.code(), "origin_not_allowed");
}
