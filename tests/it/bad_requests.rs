//! Invalid bodies, queries and paths: each is rejected with its documented problem, never with a 500.

use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::bad_registrations::valid_registration;
use crate::support::{Api, pretty_bodies};

#[tokio::test]
async fn bodies_that_are_not_json_or_not_a_registration_are_rejected() {
    let api = Api::new().await;
    let deep = |levels: usize| {
        let nested = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        format!(
            r#"{{"name":"n","transport":"stdio","command":["x"],"capabilities":{{"tools":[{{"name":"t","x":{nested}}}]}}}}"#
        )
    };
    let surrogate = r#"{"name":"n","transport":"stdio","command":["x"],"title":"\ud800"}"#;
    let twice = r#"{"name":"n","name":"m","transport":"stdio","command":["x"]}"#;
    let mut non_utf8 = valid_registration().to_string().into_bytes();
    non_utf8[8] = 0xff;
    let cases: [(&str, Vec<u8>, u16, &str); 17] = [
        ("empty", Vec::new(), 400, "malformed_json"),
        ("spaces", b"  ".to_vec(), 400, "malformed_json"),
        ("half", br#"{"name": "n""#.to_vec(), 400, "malformed_json"),
        ("two", b"{}{}".to_vec(), 400, "malformed_json"),
        ("comment", b"{} // x".to_vec(), 400, "malformed_json"),
        ("NaN", br#"{"ttl": NaN}"#.to_vec(), 400, "malformed_json"),
        ("non-UTF-8", non_utf8, 400, "malformed_json"),
        ("byte order mark", b"\xef\xbb\xbf{}".to_vec(), 400, "malformed_json"),
        ("array", b"[]".to_vec(), 422, "invalid_registration"),
        ("null", b"null".to_vec(), 422, "invalid_registration"),
        ("string", b"\"x\"".to_vec(), 422, "invalid_registration"),
        ("object", b"{}".to_vec(), 422, "invalid_registration"),
        ("deep", deep(200).into_bytes(), 422, "invalid_registration"),
        ("very deep", deep(500_000).into_bytes(), 422, "invalid_registration"),
        ("half a surrogate pair", surrogate.as_bytes().to_vec(), 422, "invalid_registration"),
        ("a member twice", twice.as_bytes().to_vec(), 422, "invalid_registration"),
        ("5 MiB", vec![b' '; 5 * 1024 * 1024], 413, "payload_too_large"),
    ];
    for (name, body, status, code) in cases {
        let request =
            api.request(Method::POST, "/v1/servers").header("content-type", "application/json").body(body);
        let answer = api.send(request).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{name}");
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""] {
        let request = api
            .request(Method::POST, "/v1/servers")
            .header("content-type", kind)
            .body(valid_registration().to_string());
        let answer = api.send(request).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (415, "unsupported_media_type"),
            "{kind}"
        );
    }
    let charset = api
        .request(Method::POST, "/v1/servers")
        .header("content-type", "Application/JSON; charset=utf-8")
        .body(deep(100));
    assert_eq!(api.send(charset).await.status, 201);
    assert_eq!(api.get("/v1/stats").await.json()["servers"]["total"], 1);
}

#[tokio::test]
async fn a_chunked_body_over_the_limit_is_rejected() {
    let api = Api::new().await;
    let mut stream = TcpStream::connect(api.address).await.unwrap();
    let head = format!(
        "POST /v1/servers HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
        api.address
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("100000\r\n{}\r\n", " ".repeat(0x10_0000));
    for _ in 0..5 {
        if stream.write_all(chunk.as_bytes()).await.is_err() {
            break;
        }
    }
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 413");
}

#[tokio::test]
async fn a_truncated_body_registers_nothing() {
    let api = Api::new().await;
    let body = valid_registration().to_string();
    let head = format!(
        "POST /v1/servers HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        api.address,
        body.len()
    );
    let mut stream = TcpStream::connect(api.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body.as_bytes()[..body.len() / 2]).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(api.get("/v1/stats").await.json()["servers"]["total"], 0);
}

#[tokio::test]
async fn invalid_batch_refreshes_are_rejected() {
    let api = Api::new().await;
    let many: Vec<String> = (0..10_001).map(|n| n.to_string()).collect();
    let cases = [
        json!({}),
        json!({"ids": "a"}),
        json!({"ids": [1]}),
        json!({"ids": [], "x": 1}),
        json!([]),
        json!({"ids": many}),
    ];
    for body in cases {
        let answer = api.post("/v1/refresh", &body).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (422, "invalid_registration"));
    }
    assert_eq!(api.post("/v1/refresh", &json!({"ids": []})).await.status, 200);
    let odd = api.post("/v1/refresh", &json!({"ids": ["", "a b", "\u{0}", "é"]})).await.json();
    assert_eq!(odd["not_registered"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn invalid_query_parameters_are_rejected() {
    let api = Api::new().await;
    let texts = ["name", "tool", "prompt", "resource", "capability", "tag", "version", "owner"];
    let mut paths: Vec<String> = texts.iter().map(|name| format!("/v1/servers?{name}=")).collect();
    paths.extend(texts.iter().map(|name| format!("/v1/servers?{name}=%ff")));
    for query in [
        "color=red",
        "=",
        "x",
        "tags=",
        "tags=a,",
        "transport=",
        "transport=tcp",
        "metadata=",
        "metadata=k",
        "metadata=:v",
        "q=",
        "q=%20",
        "q=***",
        "match=all",
        "q=a&match=",
        "q=a&match=some",
        "q=a&match=all&match=all",
        "healthy=",
        "healthy=yes",
        "healthy=true&healthy=true",
        "limit=",
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=ten",
        "limit=1.5",
        "limit=1&limit=1",
        "view=",
        "view=all",
        "view=full&view=full",
        "cursor=",
        "cursor=%00",
        "cursor=e30",
    ] {
        paths.push(format!("/v1/servers?{query}"));
        paths.push(format!("/v1/tools?{query}"));
    }
    paths.push(format!("/v1/servers?{}", vec!["tag=a"; 33].join("&")));
    paths.push(format!("/v1/servers?match=all&q={}", vec!["a"; 33].join("+")));
    paths.push(format!("/v1/tools?q={}", "a".repeat(2_001)));
    for path in ["/v1/servers/a", "/v1/servers/a/health", "/v1/stats", "/healthz", "/readyz", "/openapi.json"]
    {
        paths.push(format!("{path}?x=1"));
    }
    for path in paths {
        let answer = api.get(&path).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "invalid_query"), "{path}");
    }
    for path in ["lease=", "lease=x", "x=1", "lease=0f9f3d2e-6f3c-4c86-9a5e-3b8a54b1f1aa&lease=x"] {
        assert_eq!(api.put(&format!("/v1/servers/a/refresh?{path}")).await.code(), "invalid_query", "{path}");
        assert_eq!(api.delete(&format!("/v1/servers/a?{path}")).await.code(), "invalid_query", "{path}");
    }
    // Long texts are allowed; nothing matches them.
    assert_eq!(api.ids(&format!("name={}", "x".repeat(5_000))).await, Vec::<String>::new());
    assert_eq!(api.ids(&format!("resource={}", "x".repeat(5_000))).await, Vec::<String>::new());
    assert_eq!(api.ids(&vec!["tag=a"; 32].join("&")).await, Vec::<String>::new());
}

#[tokio::test]
async fn invalid_ids_in_paths_are_not_found() {
    let api = Api::new().await;
    for id in ["%ff", "a%20b", "%00", "a%2Fb", &"x".repeat(5_000)] {
        for answer in [
            api.get(&format!("/v1/servers/{id}")).await,
            api.get(&format!("/v1/servers/{id}/health")).await,
            api.put(&format!("/v1/servers/{id}/refresh")).await,
            api.delete(&format!("/v1/servers/{id}")).await,
        ] {
            assert_eq!(answer.status, 404, "{id}");
            assert!(["not_registered", "not_found"].contains(&answer.code().as_str()));
        }
    }
}

#[tokio::test]
async fn problems_of_bodies() {
    let api = Api::new().await;
    let post = |kind: &'static str, body: Vec<u8>| {
        api.send(api.request(Method::POST, "/v1/servers").header("content-type", kind).body(body))
    };
    let responses = [
        post("application/json", br#"{"name": "n""#.to_vec()).await,
        post("text/plain", valid_registration().to_string().into_bytes()).await,
        post("application/json", vec![b' '; 5 * 1024 * 1024]).await,
    ];
    insta::assert_snapshot!(pretty_bodies(&responses), @r#"
    {
      "type": "urn:paulina:problem:malformed_json",
      "title": "The body is not JSON",
      "status": 400,
      "detail": "the body is not JSON: EOF while parsing an object at line 1 column 12",
      "code": "malformed_json",
      "errors": []
    }
    {
      "type": "urn:paulina:problem:unsupported_media_type",
      "title": "The body is not application/json",
      "status": 415,
      "detail": "send the body with content-type: application/json",
      "code": "unsupported_media_type",
      "errors": []
    }
    {
      "type": "urn:paulina:problem:payload_too_large",
      "title": "The body is too large",
      "status": 413,
      "detail": "the body exceeds the limit of 4194304 bytes",
      "code": "payload_too_large",
      "errors": []
    }
    "#);
}

#[tokio::test]
async fn problems_of_queries() {
    let api = Api::new().await;
    let responses = [
        api.get("/v1/servers?color=red").await,
        api.get("/v1/tools?limit=0").await,
        api.get("/v1/servers?tool=").await,
        api.delete("/v1/servers/a?lease=x").await,
    ];
    insta::assert_snapshot!(pretty_bodies(&responses), @r#"
    {
      "type": "urn:paulina:problem:invalid_query",
      "title": "The query is invalid",
      "status": 400,
      "detail": "query parameter \"color\" is not known here",
      "code": "invalid_query",
      "errors": []
    }
    {
      "type": "urn:paulina:problem:invalid_query",
      "title": "The query is invalid",
      "status": 400,
      "detail": "query parameter \"limit\" must be a whole number between 1 and 1000",
      "code": "invalid_query",
      "errors": []
    }
    {
      "type": "urn:paulina:problem:invalid_query",
      "title": "The query is invalid",
      "status": 400,
      "detail": "query parameter \"tool\" must not be empty",
      "code": "invalid_query",
      "errors": []
    }
    {
      "type": "urn:paulina:problem:invalid_query",
      "title": "The query is invalid",
      "status": 400,
      "detail": "query parameter \"lease\" must be a UUID",
      "code": "invalid_query",
      "errors": []
    }
    "#);
}

#[tokio::test]
async fn problems_of_paths_and_methods() {
    let api = Api::new().await;
    let responses = [
        api.get("/v1/servers/gone").await,
        api.get("/v1/servers/gone/health").await,
        api.get("/nothing").await,
        api.send(api.request(Method::PATCH, "/v1/servers")).await,
    ];
    insta::assert_snapshot!(pretty_bodies(&responses), @r#"
    {
      "type": "urn:paulina:problem:not_registered",
      "title": "The server is not registered",
      "status": 404,
      "detail": "no server with id \"gone\" is registered; register it again",
      "code": "not_registered",
      "errors": []
    }
    {
      "type": "urn:paulina:problem:not_registered",
      "title": "The server is not registered",
      "status": 404,
      "detail": "no server with id \"gone\" is registered; register it again",
      "code": "not_registered",
      "errors": [],
      "health": "unhealthy"
    }
    {
      "type": "urn:paulina:problem:not_found",
      "title": "No such route",
      "status": 404,
      "detail": "no route \"/nothing\"; see /openapi.json",
      "code": "not_found",
      "errors": []
    }
    {
      "type": "urn:paulina:problem:method_not_allowed",
      "title": "The method is not allowed",
      "status": 405,
      "detail": "PATCH is not allowed for \"/v1/servers\"; see Allow",
      "code": "method_not_allowed",
      "errors": []
    }
    "#);
}

#[tokio::test]
async fn problems_of_conflicts() {
    let api = Api::new().await;
    let lease = api.register(&valid_registration()).await["lease"].as_str().unwrap().to_owned();
    api.register(&valid_registration()).await;
    let new_only = api.request(Method::POST, "/v1/servers").header("if-none-match", "*");
    let responses = [
        api.send(new_only.json(&valid_registration())).await,
        api.put(&format!("/v1/servers/good/refresh?lease={lease}")).await,
    ];
    insta::assert_snapshot!(pretty_bodies(&responses), @r#"
    {
      "type": "urn:paulina:problem:already_registered",
      "title": "The id is already registered",
      "status": 412,
      "detail": "the id \"good\" is registered already",
      "code": "already_registered",
      "errors": []
    }
    {
      "type": "urn:paulina:problem:lease_replaced",
      "title": "The lease was replaced",
      "status": 409,
      "detail": "the lease of \"good\" was replaced: another process has registered this id",
      "code": "lease_replaced",
      "errors": []
    }
    "#);
}
