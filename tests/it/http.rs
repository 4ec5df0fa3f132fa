//! The HTTP API: members, statuses and headers.

use axum::Router;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::Api;

#[tokio::test]
async fn registering_returns_201_then_200_each_with_a_new_lease() {
    let api = Api::new().await;
    let body = json!({"id": "fs", "name": "filesystem", "transport": "stdio", "command": ["/x"]});
    let first = api.post("/v1/servers", &body).await;
    assert_eq!(first.status, StatusCode::CREATED);
    assert_eq!(first.header("location"), "/v1/servers/fs");
    let again = api.post("/v1/servers", &body).await;
    assert_eq!(again.status, StatusCode::OK);
    let (first, again) = (first.json(), again.json());
    assert_ne!(first["lease"], again["lease"]);
    let members: Vec<&str> = first.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = vec![
        "id",
        "name",
        "title",
        "version",
        "description",
        "transport",
        "command",
        "url",
        "environment",
        "headers",
        "capabilities",
        "tags",
        "metadata",
        "owner",
        "ttl",
        "health",
        "registered_at",
        "updated_at",
        "refreshed_at",
        "expires_at",
        "lease",
    ];
    expected.sort_unstable();
    let mut sorted = members.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, expected);

    let record = api.get("/v1/servers/fs").await.json();
    assert_eq!(record.get("lease"), None, "only the response to a registration contains the lease");
    let lease = again["lease"].as_str().unwrap();
    assert_eq!(api.put(&format!("/v1/servers/fs/refresh?lease={lease}")).await.status, 200);
    let old = first["lease"].as_str().unwrap();
    let refused = api.put(&format!("/v1/servers/fs/refresh?lease={old}")).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (409, "lease_replaced"));
    let refused = api.delete(&format!("/v1/servers/fs?lease={old}")).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (409, "lease_replaced"));
    let deleted = api.delete(&format!("/v1/servers/fs?lease={lease}")).await;
    assert_eq!((deleted.status.as_u16(), deleted.text.as_str()), (204, ""));
    for answer in [api.delete("/v1/servers/fs").await, api.put("/v1/servers/fs/refresh").await] {
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (404, "not_registered"));
    }
}

#[tokio::test]
async fn if_none_match_registers_only_new_ids() {
    let api = Api::new().await;
    let body = json!({"id": "fs", "name": "filesystem", "transport": "sse", "url": "http://x/sse"});
    let new_only = || api.request(Method::POST, "/v1/servers").header("if-none-match", "*").json(&body);
    assert_eq!(api.send(new_only()).await.status, StatusCode::CREATED);
    let refused = api.send(new_only()).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (412, "already_registered"));
}

#[tokio::test]
async fn a_missing_id_is_generated_from_the_name() {
    let api = Api::new().await;
    let record =
        api.register(&json!({"name": "@acme/File System", "transport": "stdio", "command": ["x"]})).await;
    let id = record["id"].as_str().unwrap();
    let (slug, digits) = id.rsplit_once('-').unwrap();
    assert_eq!(slug, "acme-file-system");
    assert!(digits.len() == 12 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
}

#[tokio::test]
async fn leases_are_refreshed_and_read_over_http() {
    let api = Api::new().await;
    for id in ["a", "b"] {
        api.register(&json!({"id": id, "name": "n", "transport": "stdio", "command": ["x"], "ttl": 60}))
            .await;
    }
    let refreshed = api.put("/v1/servers/a/refresh").await.json();
    assert_eq!(refreshed["refresh_after_ms"], 30_000);
    assert_eq!((refreshed["id"].as_str(), refreshed["health"].as_str()), (Some("a"), Some("healthy")));
    assert!(refreshed["expires_at"].as_str().unwrap().ends_with('Z'));
    let many = api.post("/v1/refresh", &json!({"ids": ["b", "gone"]})).await.json();
    assert_eq!(many["refreshed"][0]["id"], "b");
    assert_eq!(many["not_registered"], json!(["gone"]));
    let health = api.get("/v1/servers/a/health").await.json();
    assert_eq!((health["health"].as_str(), health["ttl"].as_u64()), (Some("healthy"), Some(60)));
    assert!(health["expires_in_ms"].as_u64().unwrap() > 50_000);
    let unknown = api.get("/v1/servers/gone/health").await;
    assert_eq!((unknown.status.as_u16(), unknown.code().as_str()), (404, "not_registered"));
    assert_eq!(unknown.json()["health"], "unhealthy");
}

#[tokio::test]
async fn etags_cover_everything_except_lease_times() {
    let api = Api::new().await;
    api.register(&json!({"id": "a", "name": "n", "transport": "stdio", "command": ["x"]})).await;
    for path in ["/v1/servers/a", "/v1/servers", "/v1/tools", "/v1/stats"] {
        let first = api.get(path).await;
        let tag = first.header("etag").to_owned();
        assert!(tag.starts_with("W/\""), "{path}: {tag}");
        api.put("/v1/servers/a/refresh").await;
        let known = |tag: &str| api.request(Method::GET, path).header("if-none-match", tag.to_owned());
        for tags in [tag.clone(), format!("\"x\", {tag}"), tag.replace("W/", ""), "*".to_owned()] {
            let answer = api.send(known(&tags)).await;
            assert_eq!((answer.status.as_u16(), answer.text.as_str()), (304, ""), "{path} {tags}");
            assert_eq!(answer.header("etag"), tag);
        }
        assert_eq!(api.send(known("W/\"other\"")).await.status, 200);
    }
    let tags = ["/v1/servers/a", "/v1/servers", "/v1/stats"];
    let mut before = Vec::new();
    for path in tags {
        before.push(api.get(path).await.header("etag").to_owned());
    }
    api.register(&json!({"id": "a", "name": "other", "transport": "stdio", "command": ["x"]})).await;
    for (path, before) in tags.into_iter().zip(before) {
        assert_ne!(api.get(path).await.header("etag"), before, "{path}");
    }
}

#[tokio::test]
async fn unknown_routes_and_methods_are_rejected() {
    let api = Api::new().await;
    for path in ["/nothing", "/v1", "/v1/servers/", "/v1/servers/a/b", "/v2/servers"] {
        let answer = api.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (404, "not_found"), "{path}");
    }
    for (method, path, allow) in [
        (Method::PATCH, "/v1/servers", "GET,HEAD,POST"),
        (Method::POST, "/v1/servers/a", "DELETE,GET,HEAD"),
        (Method::GET, "/v1/refresh", "POST"),
        (Method::DELETE, "/v1/stats", "GET,HEAD"),
    ] {
        let answer = api.send(api.request(method, path)).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (405, "method_not_allowed"), "{path}");
        let mut methods: Vec<&str> = answer.header("allow").split(',').collect();
        methods.sort_unstable();
        assert_eq!(methods.join(","), allow);
    }
}

#[tokio::test]
async fn every_response_has_a_request_id() {
    let api = Api::new().await;
    let with = |id: &str| api.request(Method::GET, "/healthz").header("x-request-id", id.to_owned());
    assert_eq!(api.send(with("mine-1")).await.header("x-request-id"), "mine-1");
    let long = "x".repeat(200);
    for invalid in ["has space", "", &long] {
        let answer = api.send(with(invalid)).await;
        assert_eq!(answer.header("x-request-id").len(), 36, "a new one for {invalid:?}");
    }
}

#[tokio::test]
async fn unknown_hosts_and_origins_are_rejected() {
    let api = Api::with(paulina::http::Limits::default(), &["registry.example"]).await;
    let with = |name: &'static str, value: &str| {
        api.request(Method::GET, "/v1/servers").header(name, value.to_owned())
    };
    assert_eq!(api.send(with("host", "evil.example")).await.code(), "host_not_allowed");
    assert_eq!(api.send(with("host", "registry.example:80")).await.status, 200);
    assert_eq!(api.send(with("origin", "http://evil.example")).await.code(), "origin_not_allowed");
    assert_eq!(api.send(with("origin", &format!("http://{}", api.address))).await.status, 200);
}

#[tokio::test]
async fn responses_are_compressed_for_clients_that_accept_gzip() {
    let api = Api::new().await;
    let plain = api.get("/openapi.json").await;
    assert_eq!(plain.header("content-encoding"), "");
    let request = api.request(Method::GET, "/openapi.json").header("accept-encoding", "gzip");
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert!(response.bytes().await.unwrap().starts_with(&[0x1f, 0x8b]));
    let body = json!({"name": "n", "transport": "stdio", "command": ["x"]});
    let refusing =
        api.request(Method::POST, "/v1/servers").header("accept-encoding", "identity;q=0").json(&body);
    assert_eq!(api.send(refusing).await.status, 201, "a committed write is not answered with an error");
}

#[tokio::test]
async fn the_router_can_be_nested_in_an_application() {
    let registry = paulina::Registry::in_memory().await.unwrap();
    let app = Router::new()
        .route("/", axum::routing::get(|| async { "the orchestrator" }))
        .nest("/registry", paulina::http::router(registry));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let client = crate::support::http_client();
    let body = json!({"id": "a", "name": "n", "transport": "stdio", "command": ["x"]});
    let created = client.post(format!("{url}/registry/v1/servers")).json(&body).send().await.unwrap();
    assert_eq!(created.headers()["location"], "/registry/v1/servers/a");
    assert!(created.headers().contains_key("x-request-id"));
    let missing = client.get(format!("{url}/registry/nothing")).send().await.unwrap();
    assert_eq!(missing.headers()["content-type"], "application/problem+json");
    let own = client.get(&url).send().await.unwrap();
    assert_eq!(own.text().await.unwrap(), "the orchestrator");
    let metrics = client.get(format!("{url}/registry/metrics")).send().await.unwrap().text().await.unwrap();
    for counted in [r#"{route="/v1/servers",status="201"} 1"#, r#"{route="other",status="404"} 1"#] {
        assert!(metrics.contains(&format!("paulina_requests_total{counted}")), "{metrics}");
    }
}

#[tokio::test]
async fn stats_count_servers_and_definitions() {
    let api = Api::new().await;
    for (id, name, tags) in [("a", "one", json!(["x", "y"])), ("b", "two", json!(["y"]))] {
        let capabilities = json!({"tools": ["t", "u"], "prompts": ["p"], "resources": ["r:*"], "sampling": {}, "logging": false});
        let body = json!({"id": id, "name": name, "transport": "http", "url": "http://x", "tags": tags, "capabilities": capabilities});
        api.register(&body).await;
    }
    let stats = api.get("/v1/stats").await.json();
    let expected = json!({
        "servers": {
            "total": 2, "by_health": {"healthy": 2, "unhealthy": 0}, "by_transport": {"streamable-http": 2},
            "by_name": {"one": 1, "two": 1}, "by_tag": {"x": 1, "y": 2},
            "by_capability": {"tools": 2, "prompts": 2, "resources": 2, "sampling": 2}
        },
        "tools": 4, "resources": 2, "prompts": 2, "revision": stats["revision"]
    });
    assert_eq!(stats, expected);
    assert!(stats["revision"].as_str().unwrap().ends_with("-2"));
}
