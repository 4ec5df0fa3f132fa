//! Observability: metrics and logs.

use std::process::Command;

use paulina::client::ClientOptions;
use paulina::{Filter, Registration};
use serde_json::{Value, json};

use crate::support::Api;
use crate::support::binary::Binary;

/// Returns the value of a metric, named with its labels.
fn metric_value(text: &str, metric: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
    line.map(|metric_value| metric_value.parse().unwrap())
}

#[tokio::test]
async fn metrics_count_operations() {
    let api = Api::new().await;
    let client = ClientOptions::new().address(format!("http://{}", api.address)).build().unwrap();
    for number in 0..3 {
        client.register(Registration::stdio("s", ["x"]).id(format!("s{number}")).ttl(600)).await.unwrap();
    }
    client.register(Registration::sse("web", "http://x/sse").id("web")).await.unwrap();
    client.refresh_many(&["s0".to_owned(), "s1".to_owned(), "gone".to_owned()]).await.unwrap();
    client.deregister("s2").await.unwrap();
    client.get("nope").await.unwrap();
    for _ in 0..3 {
        client.find(Filter::new()).await.unwrap();
    }
    let answer = api.get("/metrics").await;
    let text = &answer.text;
    for (metric, expected) in [
        ("paulina_registrations_total", 4.0),
        ("paulina_refreshes_total", 2.0),
        ("paulina_deregistrations_total", 1.0),
        ("paulina_expirations_total", 0.0),
        ("paulina_servers", 3.0),
        ("paulina_servers_by_transport{transport=\"stdio\"}", 2.0),
        ("paulina_servers_by_transport{transport=\"sse\"}", 1.0),
        ("paulina_servers_by_health{health=\"healthy\"}", 3.0),
        ("paulina_queue_length", 0.0),
        ("paulina_requests_total{route=\"/v1/servers\",status=\"201\"}", 4.0),
        ("paulina_requests_total{route=\"/v1/servers\",status=\"200\"}", 3.0),
        ("paulina_requests_total{route=\"/v1/servers/{id}\",status=\"204\"}", 1.0),
        ("paulina_requests_total{route=\"/v1/servers/{id}\",status=\"404\"}", 1.0),
        ("paulina_request_duration_seconds_count{route=\"/v1/servers\"}", 7.0),
        ("paulina_cache_hits_total", 2.0),
    ] {
        assert_eq!(metric_value(text, metric), Some(expected), "{metric} in {text}");
    }
    assert!(metric_value(text, "paulina_last_commit_timestamp_seconds").unwrap() > 1_700_000_000.0);
    let commits = metric_value(text, "paulina_commit_duration_seconds_count").unwrap();
    assert!(commits >= 6.0 && metric_value(text, "paulina_commit_batch_size_sum").unwrap() >= commits);
    assert!(metric_value(text, "paulina_commit_duration_seconds_bucket{le=\"+Inf\"}").unwrap() >= 6.0);
    assert!(text.ends_with("# EOF\n"), "OpenMetrics requires this last line");
}

#[tokio::test]
async fn requests_are_logged_with_a_span_and_reads_and_refreshes_only_at_debug() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("paulina.db");
    let mut create = Command::new(env!("CARGO_BIN_EXE_paulina"));
    create.args(["token", "create", "--name", "ci", "--role", "register", "--database"]).arg(&path);
    let secret = String::from_utf8(create.output().unwrap().stdout).unwrap().trim().to_owned();
    for (level, expected_quiet) in [("info", 0), ("debug", 2)] {
        let binary = Binary::with(&path, &["--log-level", &format!("paulina={level}")]);
        let client = ClientOptions::new().address(&binary.url).token(&secret).build().unwrap();
        client.register(Registration::stdio("s", ["x"]).id("s")).await.unwrap();
        client.refresh("s").await.unwrap();
        client.get("s").await.unwrap();
        binary.signal("-TERM");
        let lines = binary.wait().1;
        let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let completed_requests = |route: &str| -> Vec<&Value> {
            let matches = |line: &&Value| {
                line["fields"]["message"] == "request completed" && line["span"]["route"] == route
            };
            lines.iter().filter(matches).collect()
        };
        let [registration] = completed_requests("/v1/servers")[..] else { panic!("{lines:#?}") };
        let (span, fields) = (&registration["span"], &registration["fields"]);
        assert_eq!((span["method"].as_str(), span["token"].as_str()), (Some("POST"), Some("ci")));
        let status = if level == "info" { 201 } else { 200 };
        assert_eq!(fields["status"], status, "the second registration replaces the first");
        assert!(fields["duration_ms"].as_f64().unwrap() > 0.0);
        assert_eq!(span["id"].as_str().unwrap().len(), 36);
        let quiet = completed_requests("/v1/servers/{id}/refresh").len()
            + completed_requests("/v1/servers/{id}").len();
        assert_eq!(quiet, expected_quiet, "at {level}");
    }
}

#[tokio::test]
async fn log_lines_of_requests_are_json() {
    let folder = tempfile::tempdir().unwrap();
    let binary = Binary::start(&folder.path().join("paulina.db"));
    let client = ClientOptions::new().address(&binary.url).build().unwrap();
    client.register(Registration::stdio("s", ["x"]).id("s")).await.unwrap();
    binary.signal("-TERM");
    let log = binary.wait().1;
    let mut lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut line = lines.find(|line| line["fields"]["message"] == "request completed").unwrap();
    line["timestamp"] = json!("[time]");
    line["fields"]["duration_ms"] = json!("[duration]");
    line["target"] = json!("[module]");
    line["span"]["id"] = json!("[id]");
    line["spans"][0]["id"] = json!("[id]");
    insta::assert_snapshot!(serde_json::to_string_pretty(&line).unwrap(), @r#"
    {
      "timestamp": "[time]",
      "level": "INFO",
      "fields": {
        "message": "request completed",
        "status": 201,
        "duration_ms": "[duration]"
      },
      "target": "[module]",
      "span": {
        "id": "[id]",
        "method": "POST",
        "path": "/v1/servers",
        "route": "/v1/servers",
        "name": "request"
      },
      "spans": [
        {
          "id": "[id]",
          "method": "POST",
          "path": "/v1/servers",
          "route": "/v1/servers",
          "name": "request"
        }
      ]
    }
    "#);
}
