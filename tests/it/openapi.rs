//! The OpenAPI document: up to date, complete, and equal to what the API returns.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::standby_http::StandbyApi;
use crate::support::Api;

fn document() -> Value {
    serde_json::from_str(&paulina::http::document()).unwrap()
}

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

#[test]
fn docs_openapi_json_is_up_to_date() {
    let file = include_str!("../../docs/openapi.json");
    assert!(file == paulina::http::document(), "run `cargo xtask docs`");
}

#[test]
fn every_reference_can_be_resolved() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
                members.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 10);
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} cannot be resolved");
    }
}

#[test]
fn every_operation_documents_its_parameters_responses_problems_and_examples() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let mut operations = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = format!("{method} {path}");
            operations.insert(name.clone());
            for member in ["summary", "operationId"] {
                assert!(operation[member].is_string(), "{name} has no {member}");
            }
            for parameter in operation["parameters"].as_array().unwrap_or(&Vec::new()) {
                assert!(parameter["description"].is_string(), "{name}: {parameter}");
                assert!(parameter["schema"].is_object(), "{name}: {parameter}");
            }
            let path_parameters = path.matches('{').count();
            let declared = operation["parameters"].as_array().map_or(0, |parameters| {
                parameters.iter().filter(|parameter| parameter["in"] == "path").count()
            });
            assert_eq!(declared, path_parameters, "{name}");
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.keys().any(|status| status.starts_with('2')), "{name}");
            for status in ["400", "403", "500", "503"] {
                assert!(responses.contains_key(status), "{name} has no {status}");
            }
            for (status, response) in responses {
                assert!(!response["description"].as_str().unwrap().is_empty(), "{name} {status}");
                if let Some(content) = response["content"]["application/json"].as_object() {
                    assert!(content.contains_key("example"), "{name} {status} has no example");
                }
                if status.as_str() >= "400" {
                    let problem = &response["content"]["application/problem+json"];
                    assert_eq!(problem["schema"]["$ref"], "#/components/schemas/Problem", "{name} {status}");
                    for (code, example) in problem["examples"].as_object().unwrap() {
                        assert_eq!(example["value"]["code"], *code);
                        assert_eq!(example["value"]["status"].to_string(), *status);
                    }
                }
            }
        }
    }
    let expected = [
        "delete /v1/servers/{id}",
        "get /healthz",
        "get /metrics",
        "get /openapi.json",
        "get /readyz",
        "get /v1/servers",
        "get /v1/servers/{id}",
        "get /v1/servers/{id}/health",
        "get /v1/stats",
        "get /v1/tools",
        "get /v1/watch",
        "post /v1/promote",
        "post /v1/refresh",
        "post /v1/servers",
        "put /v1/servers/{id}/refresh",
    ];
    assert_eq!(operations, expected.map(String::from).into());
}

/// Returns the problem with which a standby rejects a write.
async fn problem_of_a_standby() -> Value {
    let standby = StandbyApi::new(|server, _| server).await;
    standby.api.put("/v1/servers/files/refresh").await.json()
}

/// The document declares exactly the members that the API returns and accepts.
#[tokio::test]
async fn the_schemas_match_the_api() {
    let api = Api::new().await;
    let document = document();
    let schema = |name: &str| document["components"]["schemas"][name].clone();
    let example = schema("RegistrationBody")["example"].clone();
    let registered = api.register(&example).await;
    let lists = [
        ("RegisteredRecord", registered),
        ("ServerRecord", api.get("/v1/servers/filesystem-abc123").await.json()),
        ("ServerPage", api.get("/v1/servers").await.json()),
        ("FoundRecord", api.get("/v1/servers?q=file").await.json()["servers"][0].clone()),
        ("ToolPage", api.get("/v1/tools?q=file").await.json()),
        ("ToolEntry", api.get("/v1/tools?q=file").await.json()["tools"][0].clone()),
        ("ToolServer", api.get("/v1/tools").await.json()["tools"][0]["servers"][0].clone()),
        ("Stats", api.get("/v1/stats").await.json()),
        ("ServerStats", api.get("/v1/stats").await.json()["servers"].clone()),
        ("Refreshed", api.put("/v1/servers/filesystem-abc123/refresh").await.json()),
        ("RefreshedMany", api.post("/v1/refresh", &json!({"ids": []})).await.json()),
        ("LeaseState", api.get("/v1/servers/filesystem-abc123/health").await.json()),
        ("Status", api.get("/healthz").await.json()),
        ("Ready", api.get("/readyz").await.json()),
        ("Problem", {
            let mut problem = api.get("/v1/servers/gone/health").await.json();
            problem["primary"] = problem_of_a_standby().await["primary"].clone();
            problem
        }),
    ];
    for (name, answer) in lists {
        assert_eq!(keys(&answer), keys(&schema(name)["properties"]), "{name}");
        let required: BTreeSet<String> = schema(name)["required"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key.as_str().unwrap().to_owned())
            .collect();
        assert!(required.is_subset(&keys(&answer)), "{name}");
    }
    // The examples have the members that their schemas declare.
    for (path, item) in document["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            for response in operation["responses"].as_object().unwrap().values() {
                let content = &response["content"]["application/json"];
                if let Some(reference) = content["schema"]["$ref"].as_str() {
                    let name = reference.rsplit('/').next().unwrap();
                    assert_eq!(keys(&content["example"]), keys(&schema(name)["properties"]), "{path}");
                }
            }
        }
    }
    // The parser knows each declared member of a registration.
    for member in keys(&schema("RegistrationBody")["properties"]) {
        let body = json!({member.clone(): {"odd": 1}});
        let problem = api.post("/v1/servers", &body).await.json();
        let errors = problem["errors"].to_string();
        assert!(!errors.contains("is not a member"), "{member}: {errors}");
    }
    for path in ["/v1/servers", "/v1/tools"] {
        for parameter in document["paths"][path]["get"]["parameters"].as_array().unwrap() {
            let name = parameter["name"].as_str().unwrap();
            if parameter["in"] == "query" {
                let answer = api.get(&format!("{path}?{name}=")).await;
                assert!(!answer.text.contains("is not known here"), "{path} {name}");
            }
        }
    }
}
