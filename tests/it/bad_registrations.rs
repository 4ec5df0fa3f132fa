//! Invalid registrations, field by field: each is rejected with its documented problem, and nothing is registered.

use serde_json::{Value, json};

use crate::support::Api;

pub(crate) fn valid_registration() -> Value {
    json!({
        "id": "good", "name": "good", "title": "Good", "version": "1", "description": "d", "transport": "stdio",
        "command": ["x"], "environment": [{"name": "A"}],
        "capabilities": {"tools": ["t"], "resources": ["r:*"], "prompts": ["p"], "sampling": true},
        "tags": ["a"], "metadata": {"k": "v"}, "ttl": 30
    })
}

fn valid_remote_registration() -> Value {
    json!({"name": "remote", "transport": "http", "url": "https://x/mcp", "headers": [{"name": "X-Key"}]})
}

/// Returns the body with another value at one place; `None` removes the member.
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

/// A place in the body, the value to set there, and the pointers of the expected violations.
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
    // For each member, a value of each invalid type.
    let values_of_each_type = [json!(null), json!(true), json!(1), json!("text"), json!([]), json!({})];
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
    for (member, valid) in members {
        for value in &values_of_each_type {
            let absent = value.is_null()
                && !["/tags/0", "/metadata/k", "/command/0", "/environment/0", "/environment/0/name"]
                    .contains(&member);
            let required = ["/name", "/transport", "/command"].contains(&member);
            let is_valid = valid.contains(&value.as_str().map_or(value.to_string(), str::to_owned).as_str());
            if is_valid || (absent && !required) {
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
        case("/environment/0/color", json!("red"), &["/environment/0/color"]),
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
        case("/color", json!("red"), &["/color"]),
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
async fn each_invalid_field_is_reported() {
    let api = Api::new().await;
    assert_eq!(api.post("/v1/servers", &valid_registration()).await.status, 201);
    assert_eq!(api.post("/v1/servers", &valid_remote_registration()).await.status, 201);
    let before = api.get("/v1/servers?view=full").await.json();
    let bodies = cases().into_iter().map(|case| (valid_registration(), case));
    let remotes = remote_cases().into_iter().map(|case| (valid_remote_registration(), case));
    for (body, (set, value, expected)) in bodies.chain(remotes) {
        let label = format!("{set} = {}", value.as_ref().map_or("nothing".into(), ToString::to_string));
        let label: String = label.chars().take(120).collect();
        let answer = api.post("/v1/servers", &with(body, set, value)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (422, "invalid_registration"),
            "{label}"
        );
        let problem = answer.json();
        let errors = problem["errors"].as_array().unwrap();
        let pointers: Vec<&str> = errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect();
        assert_eq!(pointers, expected, "{label}: {problem}");
    }
    let after = api.get("/v1/servers?view=full").await.json();
    assert_eq!(after["revision"], before["revision"], "nothing was registered");
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
async fn the_problem_of_an_invalid_registration_names_each_violation() {
    let api = Api::new().await;
    let body =
        json!({"id": "a b", "name": "n", "transport": "stdio", "tags": ["a,b"], "ttl": 0, "color": "red"});
    insta::assert_snapshot!(api.post("/v1/servers", &body).await.pretty_json(), @r#"
    {
      "type": "urn:paulina:problem:invalid_registration",
      "title": "The registration is invalid",
      "status": 422,
      "detail": "the registration has 5 errors; see errors",
      "code": "invalid_registration",
      "errors": [
        {
          "pointer": "/color",
          "detail": "is not a member of a registration"
        },
        {
          "pointer": "/command",
          "detail": "is required by this transport"
        },
        {
          "pointer": "/id",
          "detail": "must be 1–128 characters of [A-Za-z0-9._-]"
        },
        {
          "pointer": "/ttl",
          "detail": "must be between 1 and 86400 (seconds)"
        },
        {
          "pointer": "/tags/0",
          "detail": "must be 1–100 characters without comma or control characters"
        }
      ]
    }
    "#);
}
