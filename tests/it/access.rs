//! Who gets in: tokens and their roles, whose server it is, pages of other origins.

use paulina::Role;
use paulina::http::Limits;
use reqwest::Method;
use serde_json::{Value, json};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Answer, Api};

fn body(id: &str) -> Value {
    json!({"id": id, "name": "n", "transport": "stdio", "command": ["x"], "ttl": 3600})
}

/// A request with a token.
async fn ask(api: &Api, token: &str, method: Method, path: &str, body: Option<&Value>) -> Answer {
    let mut request = api.request(method, path);
    if !token.is_empty() {
        request = request.header("authorization", token);
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    api.send(request).await
}

/// Every operation of the document that is about what is registered.
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
async fn once_there_is_a_token_every_operation_asks_for_one() {
    let api = Api::new().await;
    api.register(&body("a")).await;
    let admin = api.token("root", Role::Admin).await;
    let reader = api.token("eye", Role::Read).await;
    for (method, path, body) in operations() {
        for wrong in ["", "Bearer", "Bearer x", "Basic eDp5", &admin.replace("Bearer ", ""), &admin[..20]] {
            let answer = ask(&api, wrong, method.clone(), &path, body.as_ref()).await;
            assert_eq!(
                (answer.status.as_u16(), answer.code().as_str()),
                (401, "unauthorized"),
                "{method} {path} {wrong}"
            );
            assert!(answer.header("www-authenticate").starts_with("Bearer"));
        }
        let answer = ask(&api, &reader, method.clone(), &path, body.as_ref()).await;
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
            let answer = ask(&api, &admin, method.clone(), &path, body.as_ref()).await;
            assert!(answer.status.is_success(), "{method} {path} {answer:?}");
        }
    }
    assert_eq!(ask(&api, &admin, Method::DELETE, "/v1/servers/a", None).await.status, 204);
    for open in ["/healthz", "/readyz", "/metrics", "/openapi.json"] {
        assert_eq!(api.get(open).await.status, 200, "{open}");
    }
    for other in ["/nothing", "/v1", "/v1/", "/V1/servers", "//v1/servers", "/v1/servers/a/b"] {
        assert_eq!(api.get(other).await.status, 401, "{other}");
        assert_eq!(ask(&api, &admin, Method::GET, other, None).await.code(), "not_found", "{other}");
    }
    let scheme = admin.replace("Bearer", "bearer");
    assert_eq!(ask(&api, &scheme, Method::GET, "/v1/stats", None).await.status, 200);
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
        async |token: &str, body: &Value| ask(&api, token, Method::POST, "/v1/servers", Some(body)).await;
    let created = register(&one, &body("mine")).await;
    assert_eq!((created.status.as_u16(), created.json()["owner"].as_str()), (201, Some("one")));
    assert_eq!(register(&one, &body("mine")).await.status, 200);

    for (method, path, body) in [
        (Method::POST, "/v1/servers", Some(body("mine"))),
        (Method::PUT, "/v1/servers/mine/refresh", None),
        (Method::DELETE, "/v1/servers/mine", None),
    ] {
        let answer = ask(&api, &two, method.clone(), path, body.as_ref()).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "forbidden"), "{method} {path}");
        assert!(answer.json()["detail"].as_str().unwrap().contains("another token"), "{answer:?}");
    }
    assert_eq!(ask(&api, &two, Method::GET, "/v1/servers/mine", None).await.json()["owner"], "one");

    // An admin mends it, and it stays its owner's.
    let mut mended = body("mine");
    mended["version"] = json!("2");
    let answer = register(&admin, &mended).await;
    assert_eq!((answer.status.as_u16(), answer.json()["owner"].as_str()), (200, Some("one")));
    assert_eq!(ask(&api, &one, Method::PUT, "/v1/servers/mine/refresh", None).await.status, 200);

    // What was there before the tokens is anybody's who may register.
    let taken = register(&two, &body("old")).await;
    assert_eq!((taken.status.as_u16(), taken.json()["owner"].as_str()), (200, Some("two")));
    assert_eq!(register(&one, &body("old")).await.code(), "forbidden");
    let found = ask(&api, &one, Method::GET, "/v1/servers?owner=two", None).await.json();
    assert_eq!(found["servers"][0]["id"], "old");

    let many = json!({"ids": ["mine", "old", "gone"]});
    let answer = ask(&api, &one, Method::POST, "/v1/refresh", Some(&many)).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "forbidden"));
    assert_eq!(
        answer.json()["errors"],
        json!([
            {"pointer": "/ids/1", "detail": "belongs to another token"},
            {"pointer": "/ids/2", "detail": "is not registered; register it again"}
        ])
    );
    assert_eq!(ask(&api, &admin, Method::POST, "/v1/refresh", Some(&many)).await.status, 200);

    // A restart forgets none of it, and a new token of the same name has what the old one had.
    api.registry.revoke_token(&"one".parse().unwrap()).await.unwrap();
    assert_eq!(ask(&api, &one, Method::PUT, "/v1/servers/mine/refresh", None).await.status, 401);
    let again = api.token("one", Role::Register).await;
    assert_eq!(ask(&api, &again, Method::DELETE, "/v1/servers/mine", None).await.status, 204);
    assert_eq!(ask(&api, &again, Method::DELETE, "/v1/servers/old", None).await.status, 403);
}

#[tokio::test]
async fn anonymous_reading_opens_reads_alone() {
    let api = Api::serving(Limits::default(), |server| server.anonymous_read(true)).await;
    api.register(&body("a")).await;
    let token = api.token("one", Role::Register).await;
    for (method, path, body) in operations() {
        let answer = ask(&api, "", method.clone(), &path, body.as_ref()).await;
        assert_eq!(answer.status, if method == Method::GET { 200 } else { 401 }, "{method} {path}");
    }
    let wrong = ask(&api, "Bearer x", Method::GET, "/v1/servers", None).await;
    assert_eq!(wrong.status, 401, "a wrong token is told so");
    assert_eq!(ask(&api, &token, Method::GET, "/v1/servers", None).await.status, 200);
}

#[tokio::test]
async fn a_server_that_takes_tokens_alone_stays_closed_without_any() {
    let api = Api::serving(Limits::default(), |server| server.tokens_required(true)).await;
    assert_eq!(api.get("/v1/servers").await.code(), "unauthorized");
    let token = api.token("one", Role::Read).await;
    assert_eq!(ask(&api, &token, Method::GET, "/v1/servers", None).await.status, 200);
    api.registry.revoke_token(&"one".parse().unwrap()).await.unwrap();
    assert_eq!(api.get("/v1/servers").await.code(), "unauthorized", "the last token revoked opens nothing");
    assert_eq!(api.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_token_is_shown_in_no_error() {
    let api = Api::new().await;
    let token = api.token("one", Role::Admin).await;
    let secret = token.replace("Bearer ", "");
    let stray = body(&secret[..40]);
    let mut tagged = body("a");
    tagged["tags"] = json!([format!("{secret},")]);
    tagged["metadata"] = json!({"k": {"v": secret}});
    tagged[secret.as_str()] = json!(1);
    for answer in [
        ask(&api, &token, Method::GET, &format!("/v1/servers/{secret}"), None).await,
        ask(&api, &token, Method::GET, &format!("/v1/{secret}"), None).await,
        ask(&api, &token, Method::GET, &format!("/v1/servers?{secret}=1"), None).await,
        ask(&api, &token, Method::POST, "/v1/servers", Some(&tagged)).await,
        ask(&api, &format!("{token}x"), Method::POST, "/v1/servers", Some(&stray)).await,
    ] {
        answer.code();
        assert!(!answer.text.contains(&secret), "{answer:?}");
    }
}

#[tokio::test]
async fn an_origin_that_is_allowed_by_name_gets_cors_headers_and_no_other_does() {
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
    assert_eq!(refused.header("access-control-allow-origin"), app, "a page can read that it needs a token");
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
async fn no_answer_is_a_page_or_may_run_anything() {
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

/// The pages, and what they are made of: open to everybody, and bound to what is served with them.
#[tokio::test]
async fn pages_run_nothing_but_what_is_served_with_them() {
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
            "{path} has nothing inline"
        );
        let again = api.request(reqwest::Method::GET, path).header("if-none-match", answer.header("etag"));
        assert_eq!(api.send(again).await.status, 304, "{path}");
    }
    for path in ["/assets/", "/assets/x", "/assets/..%2fpages.rs"] {
        assert_eq!(api.get(path).await.status, 404, "{path}");
    }
}

/// A request whose header has passed, and whose body comes when its right is gone.
#[tokio::test]
async fn who_may_no_longer_write_does_not_though_the_header_came_in_time() {
    let api = Api::new().await;
    let text = body("late").to_string();
    for named in [false, true] {
        let token = if named { api.token("one", Role::Register).await } else { "Bearer none".to_owned() };
        let mut stream = TcpStream::connect(api.address).await.unwrap();
        let header = format!(
            "POST /v1/servers HTTP/1.1\r\nhost: {}\r\nconnection: close\r\nexpect: 100-continue\r\nauthorization: {token}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            api.address,
            text.len()
        );
        stream.write_all(header.as_bytes()).await.unwrap();
        let mut go_on = [0; 25];
        stream.read_exact(&mut go_on).await.unwrap();
        assert!(go_on.starts_with(b"HTTP/1.1 100"), "{go_on:?}");
        if named {
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
