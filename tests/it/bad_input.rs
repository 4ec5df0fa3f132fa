//! Bad input, field by field and parameter by parameter: each gives its documented problem, never a 500, and nothing of
//! it is registered.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::Api;

fn good() -> Value {
    json!({
        "id": "good", "name": "good", "title": "Good", "version": "1", "description": "d", "transport": "stdio",
        "command": ["x"], "environment": [{"name": "A"}],
        "capabilities": {"tools": ["t"], "resources": ["r:*"], "prompts": ["p"], "sampling": true},
        "tags": ["a"], "metadata": {"k": "v"}, "ttl": 30
    })
}

fn remote() -> Value {
    json!({"name": "remote", "transport": "http", "url": "https://x/mcp", "headers": [{"name": "X-Key"}]})
}

/// The body with one place set to another value; `None` takes it out.
fn with(mut body: Value, pointer: &str, value: Option<Value>) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = body.pointer_mut(parent).unwrap();
    match (parent, value) {
        (Value::Object(members), Some(value)) => {
            members.insert(key.to_owned(), value);
        }
        (Value::Object(members), None) => {
            members.remove(key);
        }
        (Value::Array(items), Some(value)) => items[key.parse::<usize>().unwrap()] = value,
        (other, value) => panic!("{pointer}: {other} {value:?}"),
    }
    body
}

/// Where the value is set, the value, and the pointers of the violations.
type Case = (&'static str, Option<Value>, Vec<String>);

fn case(set: &'static str, value: Value, pointers: &[&str]) -> Case {
    (set, Some(value), pointers.iter().map(ToString::to_string).collect())
}

#[expect(clippy::too_many_lines, reason = "one table")]
fn cases() -> Vec<Case> {
    let mut cases = vec![
        ("/name", None, vec!["/name".to_owned()]),
        ("/transport", None, vec!["/transport".to_owned()]),
        ("/command", None, vec!["/command".to_owned()]),
    ];
    // A value of each wrong type, for each member.
    let kinds = [json!(null), json!(true), json!(1), json!("text"), json!([]), json!({})];
    let members = [
        ("/id", &["text"][..]),
        ("/name", &["text"]),
        ("/title", &["text"]),
        ("/version", &["text"]),
        ("/description", &["text"]),
        ("/transport", &[]),
        ("/command", &[]),
        ("/environment", &["[]"]),
        ("/capabilities", &["{}"]),
        ("/capabilities/tools", &["[]"]),
        ("/capabilities/resources", &["[]"]),
        ("/capabilities/prompts", &["[]"]),
        ("/capabilities/sampling", &["true", "{}"]),
        ("/tags", &["[]"]),
        ("/metadata", &["{}"]),
        ("/ttl", &["1"]),
        ("/tags/0", &["text"]),
        ("/metadata/k", &["text"]),
        ("/command/0", &["text"]),
        ("/environment/0", &[]),
        ("/environment/0/name", &["text"]),
    ];
    for (member, right) in members {
        for value in &kinds {
            let absent = value.is_null()
                && !["/tags/0", "/metadata/k", "/command/0", "/environment/0", "/environment/0/name"]
                    .contains(&member);
            let required = ["/name", "/transport", "/command"].contains(&member);
            let fits = right.contains(&value.as_str().map_or(value.to_string(), str::to_owned).as_str());
            if fits || (absent && !required) {
                continue;
            }
            let pointer = if member == "/environment/0" && *value == json!({}) {
                "/environment/0/name"
            } else {
                member
            };
            cases.push((member, Some(value.clone()), vec![pointer.to_owned()]));
        }
    }
    let long = |length: usize| Value::String("x".repeat(length));
    let many = |length: usize| -> Value { (0..length).map(|index| json!(format!("n{index}"))).collect() };
    cases.extend([
        case("/id", json!(""), &["/id"]),
        case("/id", json!("a b"), &["/id"]),
        case("/id", json!("é"), &["/id"]),
        case("/id", long(129), &["/id"]),
        case("/name", json!(""), &["/name"]),
        case("/name", json!("tab\there"), &["/name"]),
        case("/name", long(201), &["/name"]),
        case("/title", json!(""), &["/title"]),
        case("/title", long(201), &["/title"]),
        case("/title", json!("\u{1b}[31m"), &["/title"]),
        case("/version", json!(""), &["/version"]),
        case("/version", long(101), &["/version"]),
        case("/description", json!(""), &["/description"]),
        case("/description", long(10_001), &["/description"]),
        case("/transport", json!("tcp"), &["/transport"]),
        case("/command", json!([""]), &["/command/0"]),
        case("/command", json!(["x", "nul\0"]), &["/command/1"]),
        case("/command", json!(["x", "y".repeat(8_193)]), &["/command/1"]),
        case("/command", many(257), &["/command"]),
        case("/url", json!("http://x"), &["/url"]),
        case("/headers", json!([{"name": "A"}]), &["/headers"]),
        case("/environment", json!([{"name": "A"}, {"name": "A"}]), &["/environment/1/name"]),
        case("/environment/0/name", json!("A=B"), &["/environment/0/name"]),
        case("/environment/0/name", json!(""), &["/environment/0/name"]),
        case("/environment/0/value", json!("secret"), &["/environment/0/value"]),
        case("/environment/0/colour", json!("red"), &["/environment/0/colour"]),
        case("/environment/0/required", json!("yes"), &["/environment/0/required"]),
        case("/capabilities/tools", json!(["a", "a"]), &["/capabilities/tools/1/name"]),
        case("/capabilities/tools", json!(["a", {"name": "a"}]), &["/capabilities/tools/1/name"]),
        case("/capabilities/tools", json!([""]), &["/capabilities/tools/0/name"]),
        case("/capabilities/tools", json!([1, null]), &["/capabilities/tools/0", "/capabilities/tools/1"]),
        case("/capabilities/tools", json!([{}]), &["/capabilities/tools/0/name"]),
        case("/capabilities/tools", json!([{"name": 1}]), &["/capabilities/tools/0/name"]),
        case("/capabilities/tools", json!([{"name": "a", "title": 1}]), &["/capabilities/tools/0/title"]),
        case("/capabilities/tools", many(2_001), &["/capabilities/tools"]),
        case("/capabilities/tools", json!(["x".repeat(257)]), &["/capabilities/tools/0/name"]),
        case("/capabilities/prompts", json!(["a", "a"]), &["/capabilities/prompts/1/name"]),
        case("/capabilities/resources", json!(["a:b", "a:b"]), &["/capabilities/resources/1"]),
        case(
            "/capabilities/resources",
            json!(["a:*", {"uri_template": "a:*"}]),
            &["/capabilities/resources/1"],
        ),
        case("/capabilities/resources", json!([""]), &["/capabilities/resources/0"]),
        case("/capabilities/resources", json!(["a:{b"]), &["/capabilities/resources/0"]),
        case("/capabilities/resources", json!(["x".repeat(2_001)]), &["/capabilities/resources/0"]),
        case("/capabilities/resources", json!([{"name": "a"}]), &["/capabilities/resources/0"]),
        case(
            "/capabilities/resources",
            json!([{"uri": "a:b", "uri_template": "a:*"}]),
            &["/capabilities/resources/0"],
        ),
        case(
            "/capabilities/resources",
            json!([{"uriTemplate": "a:*", "uri_template": "a:*"}]),
            &["/capabilities/resources/0"],
        ),
        case("/capabilities/sampling", json!("yes"), &["/capabilities/sampling"]),
        case("/tags", json!(["a,b", ""]), &["/tags/0", "/tags/1"]),
        case("/tags", json!(["x".repeat(101)]), &["/tags/0"]),
        case("/tags", many(65), &["/tags"]),
        case("/metadata", json!({"": "v"}), &["/metadata/"]),
        case("/metadata", json!({"a/b~c": "v"}), &["/metadata/a~1b~0c"]),
        case("/metadata", json!({"k": "x".repeat(1_001)}), &["/metadata/k"]),
        case("/metadata", (0..65).map(|n| (format!("k{n}"), json!("v"))).collect(), &["/metadata"]),
        case("/ttl", json!(0), &["/ttl"]),
        case("/ttl", json!(86_401), &["/ttl"]),
        case("/ttl", json!(1.5), &["/ttl"]),
        case("/ttl", json!(-1), &["/ttl"]),
        case("/colour", json!("red"), &["/colour"]),
    ]);
    cases
}

fn remote_cases() -> Vec<Case> {
    vec![
        ("/url", None, vec!["/url".to_owned()]),
        case("/url", json!("ftp://x"), &["/url"]),
        case("/url", json!("/mcp"), &["/url"]),
        case("/url", json!(""), &["/url"]),
        case("/url", json!("http://"), &["/url"]),
        case("/url", json!("http://user:secret@x/"), &["/url"]),
        case("/url", json!(format!("http://x/{}", "y".repeat(2_000))), &["/url"]),
        case("/url", json!(7), &["/url"]),
        case("/command", json!(["x"]), &["/command"]),
        case("/environment", json!([{"name": "A"}]), &["/environment"]),
        case("/headers/0/name", json!("not a token"), &["/headers/0/name"]),
        case("/headers/0/value", json!("secret"), &["/headers/0/value"]),
    ]
}

#[tokio::test]
async fn each_field_that_is_wrong_is_named() {
    let api = Api::new().await;
    assert_eq!(api.post("/v1/servers", &good()).await.status, 201);
    assert_eq!(api.post("/v1/servers", &remote()).await.status, 201);
    let before = api.get("/v1/servers?view=full").await.json();
    let bodies = cases().into_iter().map(|case| (good(), case));
    let remotes = remote_cases().into_iter().map(|case| (remote(), case));
    for (body, (set, value, expected)) in bodies.chain(remotes) {
        let shown = format!("{set} = {}", value.as_ref().map_or("nothing".into(), ToString::to_string));
        let shown: String = shown.chars().take(120).collect();
        let answer = api.post("/v1/servers", &with(body, set, value)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (422, "invalid_registration"),
            "{shown}"
        );
        let problem = answer.json();
        let errors = problem["errors"].as_array().unwrap();
        let pointers: Vec<&str> = errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect();
        assert_eq!(pointers, expected, "{shown}: {problem}");
    }
    let after = api.get("/v1/servers?view=full").await.json();
    assert_eq!(after["revision"], before["revision"], "nothing of it is registered");
    assert_eq!(after["servers"], before["servers"]);
}

#[tokio::test]
async fn all_violations_are_listed_at_once() {
    let api = Api::new().await;
    let body = json!({"id": "", "name": 7, "transport": "stdio", "tags": [1, "a,b"], "ttl": 0, "x": 1});
    let problem = api.post("/v1/servers", &body).await.json();
    let mut pointers: Vec<&str> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["pointer"].as_str().unwrap())
        .collect();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/command", "/id", "/name", "/tags/0", "/tags/1", "/ttl", "/x"]);

    let many: serde_json::Map<String, Value> = (0..5_000).map(|n| (format!("x{n}"), json!(1))).collect();
    let problem = api.post("/v1/servers", &Value::Object(many)).await.json();
    let errors = problem["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1_001);
    assert!(errors[1_000]["detail"].as_str().unwrap().contains("more violations"));
}

#[tokio::test]
async fn bodies_that_are_no_json_or_not_ours() {
    let api = Api::new().await;
    let deep = |levels: usize| {
        let nested = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        format!(
            r#"{{"name":"n","transport":"stdio","command":["x"],"capabilities":{{"tools":[{{"name":"t","x":{nested}}}]}}}}"#
        )
    };
    let surrogate = r#"{"name":"n","transport":"stdio","command":["x"],"title":"\ud800"}"#;
    let twice = r#"{"name":"n","name":"m","transport":"stdio","command":["x"]}"#;
    let mut non_utf8 = good().to_string().into_bytes();
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
        let request =
            api.request(Method::POST, "/v1/servers").header("content-type", kind).body(good().to_string());
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
async fn a_body_of_unknown_length_over_the_limit() {
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
async fn a_body_cut_off_half_way_registers_nothing() {
    let api = Api::new().await;
    let body = good().to_string();
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
async fn batch_refreshes() {
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
async fn each_query_parameter() {
    let api = Api::new().await;
    let texts = ["name", "tool", "prompt", "resource", "capability", "tag", "version", "owner"];
    let mut paths: Vec<String> = texts.iter().map(|name| format!("/v1/servers?{name}=")).collect();
    paths.extend(texts.iter().map(|name| format!("/v1/servers?{name}=%ff")));
    for query in [
        "colour=red",
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
    paths.push(format!("/v1/servers?q={}", vec!["a"; 33].join("+")));
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
    // Long texts are no error: nothing matches them.
    assert_eq!(api.ids(&format!("name={}", "x".repeat(5_000))).await, Vec::<String>::new());
    assert_eq!(api.ids(&format!("resource={}", "x".repeat(5_000))).await, Vec::<String>::new());
    assert_eq!(api.ids(&vec!["tag=a"; 32].join("&")).await, Vec::<String>::new());
}

#[tokio::test]
async fn ids_in_paths_that_nobody_can_have() {
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
