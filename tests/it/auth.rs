//! Access over HTTP: tokens and roles, ownership of servers, CORS and content security headers.

use paulina::Role;
use paulina::http::Limits;
use reqwest::Method;
use serde_json::{Value, json};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Api, Response, pretty_bodies};

fn body(id: &str) -> Value {
    json!({"id": id, "name": "n", "transport": "stdio", "command": ["x"], "ttl": 3600})
}

/// Sends a request with a token, or without one if it is empty.
async fn send(api: &Api, token: &str, method: Method, path: &str, body: Option<&Value>) -> Response {
    let mut request = api.request(method, path);
    if !token.is_empty() {
        request = request.header("authorization", token);
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    api.send(request).await
}

/// Returns every `/v1` operation of the OpenAPI document.
fn operations() -> Vec<(Method, String, Option<Value>)> {
    let document: Value = serde_json::from_str(&paulina::http::document()).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            if path.starts_with("/v1") {
                let body = match path.as_str() {
                    "/v1/servers" if method == "post" => Some(body("new")),
                    "/v1/refresh" => Some(json!({"ids": ["a"]})),
                    _ => None,
                };
                let method = method.to_uppercase().parse().unwrap();
                operations.push((method, path.replace("{id}", "a"), body));
            }
        }
    }
    assert!(operations.len() >= 9, "{operations:?}");
    operations
}

#[tokio::test]
async fn every_operation_requires_a_token_once_one_exists() {
    let api = Api::new().await;
    api.register(&body("a")).await;
    let admin = api.token("root", Role::Admin).await;
    let reader = api.token("eye", Role::Read).await;
    for (method, path, body) in operations() {
        for wrong in ["", "Bearer", "Bearer x", "Basic eDp5", &admin.replace("Bearer ", ""), &admin[..20]] {
            let answer = send(&api, wrong, method.clone(), &path, body.as_ref()).await;
            assert_eq!(
                (answer.status.as_u16(), answer.code().as_str()),
                (401, "unauthorized"),
                "{method} {path} {wrong}"
            );
            assert!(answer.header("www-authenticate").starts_with("Bearer"));
        }
        let answer = send(&api, &reader, method.clone(), &path, body.as_ref()).await;
        if method == Method::GET {
            assert_eq!(answer.status, 200, "{path}");
        } else {
            assert_eq!(
                (answer.status.as_u16(), answer.code().as_str()),
                (403, "forbidden"),
                "{method} {path}"
            );
        }
    }
    for (method, path, body) in operations() {
        if method != Method::DELETE {
            let answer = send(&api, &admin, method.clone(), &path, body.as_ref()).await;
            assert!(answer.status.is_success(), "{method} {path} {answer:?}");
        }
    }
    assert_eq!(send(&api, &admin, Method::DELETE, "/v1/servers/a", None).await.status, 204);
    for open in ["/healthz", "/readyz", "/metrics", "/openapi.json"] {
        assert_eq!(api.get(open).await.status, 200, "{open}");
    }
    for other in ["/nothing", "/v1", "/v1/", "/V1/servers", "//v1/servers", "/v1/servers/a/b"] {
        assert_eq!(api.get(other).await.status, 401, "{other}");
        assert_eq!(send(&api, &admin, Method::GET, other, None).await.code(), "not_found", "{other}");
    }
    let scheme = admin.replace("Bearer", "bearer");
    assert_eq!(send(&api, &scheme, Method::GET, "/v1/stats", None).await.status, 200);
    let twice =
        api.request(Method::GET, "/v1/stats").header("authorization", &admin).header("authorization", &admin);
    assert_eq!(api.send(twice).await.status, 401);
}

#[tokio::test]
async fn a_server_belongs_to_the_token_that_registered_it() {
    let api = Api::new().await;
    api.register(&body("old")).await;
    let (one, two, admin) = (
        api.token("one", Role::Register).await,
        api.token("two", Role::Register).await,
        api.token("root", Role::Admin).await,
    );
    let register =
        async |token: &str, body: &Value| send(&api, token, Method::POST, "/v1/servers", Some(body)).await;
    let created = register(&one, &body("mine")).await;
    assert_eq!((created.status.as_u16(), created.json()["owner"].as_str()), (201, Some("one")));
    assert_eq!(register(&one, &body("mine")).await.status, 200);

    for (method, path, body) in [
        (Method::POST, "/v1/servers", Some(body("mine"))),
        (Method::PUT, "/v1/servers/mine/refresh", None),
        (Method::DELETE, "/v1/servers/mine", None),
    ] {
        let answer = send(&api, &two, method.clone(), path, body.as_ref()).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "forbidden"), "{method} {path}");
        assert!(answer.json()["detail"].as_str().unwrap().contains("another token"), "{answer:?}");
    }
    assert_eq!(send(&api, &two, Method::GET, "/v1/servers/mine", None).await.json()["owner"], "one");

    // An admin replaces it, and the owner stays the same.
    let mut replacement = body("mine");
    replacement["version"] = json!("2");
    let answer = register(&admin, &replacement).await;
    assert_eq!((answer.status.as_u16(), answer.json()["owner"].as_str()), (200, Some("one")));
    assert_eq!(send(&api, &one, Method::PUT, "/v1/servers/mine/refresh", None).await.status, 200);

    // A server from before the first token has no owner: any token with the role `register` can take it over.
    let takeover = register(&two, &body("old")).await;
    assert_eq!((takeover.status.as_u16(), takeover.json()["owner"].as_str()), (200, Some("two")));
    assert_eq!(register(&one, &body("old")).await.code(), "forbidden");
    let found = send(&api, &one, Method::GET, "/v1/servers?owner=two", None).await.json();
    assert_eq!(found["servers"][0]["id"], "old");

    let many = json!({"ids": ["mine", "old", "gone"]});
    let answer = send(&api, &one, Method::POST, "/v1/refresh", Some(&many)).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "forbidden"));
    assert_eq!(
        answer.json()["errors"],
        json!([
            {"pointer": "/ids/1", "detail": "belongs to another token"},
            {"pointer": "/ids/2", "detail": "is not registered; register it again"}
        ])
    );
    assert_eq!(send(&api, &admin, Method::POST, "/v1/refresh", Some(&many)).await.status, 200);

    // A new token with the name of a revoked one inherits its servers.
    api.registry.revoke_token(&"one".parse().unwrap()).await.unwrap();
    assert_eq!(send(&api, &one, Method::PUT, "/v1/servers/mine/refresh", None).await.status, 401);
    let again = api.token("one", Role::Register).await;
    assert_eq!(send(&api, &again, Method::DELETE, "/v1/servers/mine", None).await.status, 204);
    assert_eq!(send(&api, &again, Method::DELETE, "/v1/servers/old", None).await.status, 403);
}

#[tokio::test]
async fn anonymous_read_allows_only_reads() {
    let api = Api::serving(Limits::default(), |server| server.anonymous_read(true)).await;
    api.register(&body("a")).await;
    let token = api.token("one", Role::Register).await;
    for (method, path, body) in operations() {
        let answer = send(&api, "", method.clone(), &path, body.as_ref()).await;
        assert_eq!(answer.status, if method == Method::GET { 200 } else { 401 }, "{method} {path}");
    }
    let wrong = send(&api, "Bearer x", Method::GET, "/v1/servers", None).await;
    assert_eq!(wrong.status, 401, "an invalid token is rejected, not ignored");
    assert_eq!(send(&api, &token, Method::GET, "/v1/servers", None).await.status, 200);
}

#[tokio::test]
async fn require_token_rejects_requests_even_before_a_token_exists() {
    let api = Api::serving(Limits::default(), |server| server.require_token(true)).await;
    assert_eq!(api.get("/v1/servers").await.code(), "unauthorized");
    let token = api.token("one", Role::Read).await;
    assert_eq!(send(&api, &token, Method::GET, "/v1/servers", None).await.status, 200);
    api.registry.revoke_token(&"one".parse().unwrap()).await.unwrap();
    assert_eq!(
        api.get("/v1/servers").await.code(),
        "unauthorized",
        "revoking the last token does not open the registry"
    );
    assert_eq!(api.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn errors_never_contain_a_token() {
    let api = Api::new().await;
    let token = api.token("one", Role::Admin).await;
    let secret = token.replace("Bearer ", "");
    let registration = body(&secret[..40]);
    let mut tagged = body("a");
    tagged["tags"] = json!([format!("{secret},")]);
    tagged["metadata"] = json!({"k": {"v": secret}});
    tagged[secret.as_str()] = json!(1);
    for answer in [
        send(&api, &token, Method::GET, &format!("/v1/servers/{secret}"), None).await,
        send(&api, &token, Method::GET, &format!("/v1/{secret}"), None).await,
        send(&api, &token, Method::GET, &format!("/v1/servers?{secret}=1"), None).await,
        send(&api, &token, Method::POST, "/v1/servers", Some(&tagged)).await,
        send(&api, &format!("{token}x"), Method::POST, "/v1/servers", Some(&registration)).await,
    ] {
        answer.code();
        assert!(!answer.text.contains(&secret), "{answer:?}");
    }
}

#[tokio::test]
async fn only_allowed_origins_get_cors_headers() {
    let app = "https://app.example";
    let api = Api::serving(Limits::default(), |server| server.allowed_origins(vec![app.to_owned()])).await;
    let token = api.token("one", Role::Register).await;
    let from = |method: Method, origin: &str| api.request(method, "/v1/servers").header("origin", origin);
    let preflight = from(Method::OPTIONS, app)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization, content-type");
    let answer = api.send(preflight).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), app);
    assert!(answer.header("access-control-allow-methods").contains("PUT"));
    assert!(answer.header("access-control-allow-headers").contains("authorization"));
    let answer = api.send(from(Method::GET, app).header("authorization", &token)).await;
    assert_eq!((answer.status.as_u16(), answer.header("access-control-allow-origin")), (200, app));
    assert!(answer.header("vary").contains("origin"), "{answer:?}");
    let refused = api.send(from(Method::GET, app)).await;
    assert_eq!(
        refused.header("access-control-allow-origin"),
        app,
        "the page can read that a token is required"
    );
    assert_eq!(refused.code(), "unauthorized");

    for other in ["https://evil.example", "https://app.example.evil.example", "http://app.example", "null"] {
        for method in [Method::GET, Method::OPTIONS] {
            let answer = api.send(from(method, other).header("authorization", &token)).await;
            assert_eq!(answer.code(), "origin_not_allowed", "{other}");
            assert_eq!(answer.header("access-control-allow-origin"), "");
        }
    }
    let own = format!("http://{}", api.address);
    let answer = api.send(from(Method::GET, &own).header("authorization", &token)).await;
    assert_eq!((answer.status.as_u16(), answer.header("access-control-allow-origin")), (200, ""));
}

#[tokio::test]
async fn api_responses_forbid_scripts_and_content_sniffing() {
    let api = Api::new().await;
    for path in ["/v1/servers", "/healthz", "/nothing", "/metrics"] {
        let answer = api.get(path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(
            answer.header("content-security-policy"),
            "default-src 'none'; frame-ancestors 'none'",
            "{path}"
        );
    }
}

/// The dashboard, the API documentation and their assets need no token.
#[tokio::test]
async fn the_ui_loads_only_its_own_assets() {
    let api = Api::new().await;
    api.token("one", Role::Read).await;
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/docs", "text/html; charset=utf-8"),
        ("/assets/dashboard.js", "text/javascript; charset=utf-8"),
        ("/assets/base.css", "text/css; charset=utf-8"),
        ("/assets/icon.svg", "image/svg+xml"),
    ] {
        let answer = api.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, kind), "{path}");
        let policy = answer.header("content-security-policy");
        for part in
            ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "require-trusted-types-for"]
        {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert!(
            !answer.text.contains("<script>") && !answer.text.contains(" style="),
            "{path} contains inline scripts or styles"
        );
        let again = api.request(reqwest::Method::GET, path).header("if-none-match", answer.header("etag"));
        assert_eq!(api.send(again).await.status, 304, "{path}");
    }
    for path in ["/assets/", "/assets/x", "/assets/..%2fpages.rs"] {
        assert_eq!(api.get(path).await.status, 404, "{path}");
    }
}

/// The header passes authentication; then the token is revoked, or the first token is created, before the body arrives.
#[tokio::test]
async fn the_right_to_write_is_checked_again_after_the_body_arrived() {
    let api = Api::new().await;
    let text = body("late").to_string();
    for with_token in [false, true] {
        let token =
            if with_token { api.token("one", Role::Register).await } else { "Bearer none".to_owned() };
        let mut stream = TcpStream::connect(api.address).await.unwrap();
        let header = format!(
            "POST /v1/servers HTTP/1.1\r\nhost: {}\r\nconnection: close\r\nexpect: 100-continue\r\nauthorization: {token}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            api.address,
            text.len()
        );
        stream.write_all(header.as_bytes()).await.unwrap();
        let mut interim = [0; 25];
        stream.read_exact(&mut interim).await.unwrap();
        assert!(interim.starts_with(b"HTTP/1.1 100"), "{interim:?}");
        if with_token {
            api.registry.revoke_token(&"one".parse().unwrap()).await.unwrap();
        } else {
            api.token("first", Role::Read).await;
        }
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
        assert_eq!(api.registry.get("late").await.unwrap(), None);
    }
}

#[tokio::test]
async fn problems_of_access() {
    let api = Api::new().await;
    let (reader, one, two) = (
        api.token("reader", Role::Read).await,
        api.token("one", Role::Register).await,
        api.token("two", Role::Register).await,
    );
    assert_eq!(send(&api, &one, Method::POST, "/v1/servers", Some(&body("a"))).await.status, 201);
    let with = |name: &'static str, value: &'static str| {
        api.send(api.request(Method::GET, "/v1/servers").header(name, value))
    };
    let responses = [
        api.get("/v1/servers").await,
        send(&api, "Bearer x", Method::GET, "/v1/servers", None).await,
        send(&api, &reader, Method::DELETE, "/v1/servers/a", None).await,
        send(&api, &two, Method::DELETE, "/v1/servers/a", None).await,
        with("host", "evil.example").await,
        with("origin", "https://evil.example").await,
    ];
    insta::assert_snapshot!(pretty_bodies(&responses), @r#"
    {
      "type": "urn:paulina:problem:unauthorized",
      "title": "A valid token is required",
      "status": 401,
      "detail": "this registry requires a token: create one with `paulina token create`, and send it as `Authorization: Bearer …`",
      "code": "unauthorized",
      "errors": []
    }
    {
      "type": "urn:paulina:problem:unauthorized",
      "title": "A valid token is required",
      "status": 401,
      "detail": "unknown token; it may have been revoked",
      "code": "unauthorized",
      "errors": []
    }
    {
      "type": "urn:paulina:problem:forbidden",
      "title": "The token does not permit this",
      "status": 403,
      "detail": "the token \"reader\" has the role read; this request requires register",
      "code": "forbidden",
      "errors": []
    }
    {
      "type": "urn:paulina:problem:forbidden",
      "title": "The token does not permit this",
      "status": 403,
      "detail": "the server \"a\" belongs to another token, or yours was revoked; use the owner's token, or one with the role admin",
      "code": "forbidden",
      "errors": []
    }
    {
      "type": "urn:paulina:problem:host_not_allowed",
      "title": "The host is not allowed",
      "status": 403,
      "detail": "the Host of the request is not allowed; allow it with --allowed-host",
      "code": "host_not_allowed",
      "errors": []
    }
    {
      "type": "urn:paulina:problem:origin_not_allowed",
      "title": "The origin is not allowed",
      "status": 403,
      "detail": "the Origin of the request is not allowed; allow it with --allowed-origin",
      "code": "origin_not_allowed",
      "errors": []
    }
    "#);
}
