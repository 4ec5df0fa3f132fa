//! `kill -9`: every acknowledged registration survives, and none is stored in part.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use paulina::{Filter, HealthFilter, Registry, View};
use serde_json::json;
use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};

use crate::support::binary::Binary;

const REGISTRATIONS: usize = 1_000;
const TOOLS: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_registration_is_lost() {
    // The process is killed after at least this many acknowledged registrations.
    for minimum in [1, 150, 600] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("paulina.db");
        let mut binary = Binary::start(&path);
        binary.drain();
        let url = format!("{}/v1/servers", binary.url);
        let client = crate::support::http_client();
        let acknowledged = Arc::new(Mutex::new(HashSet::new()));
        let count = Arc::new(AtomicUsize::new(0));
        let minimum_reached = Arc::new(tokio::sync::Notify::new());
        let tasks: Vec<_> = (0..REGISTRATIONS)
            .map(|number| {
                let (client, url, acknowledged) = (client.clone(), url.clone(), Arc::clone(&acknowledged));
                let (count, minimum_reached) = (Arc::clone(&count), Arc::clone(&minimum_reached));
                tokio::spawn(async move {
                    let id = format!("s{number}");
                    let tools: Vec<String> = (0..TOOLS).map(|tool| format!("tool_{tool}")).collect();
                    let body = json!({"id": id, "name": "s", "transport": "stdio", "command": ["x"],
                        "capabilities": {"tools": tools}, "tags": ["t"], "ttl": 3600});
                    if client.post(url).json(&body).send().await.is_ok_and(|answer| answer.status() == 201) {
                        acknowledged.lock().unwrap().insert(id);
                        if count.fetch_add(1, Ordering::SeqCst) + 1 == minimum {
                            minimum_reached.notify_one();
                        }
                    }
                })
            })
            .collect();
        minimum_reached.notified().await;
        binary.kill();
        for task in tasks {
            task.await.unwrap();
        }

        let registry = Registry::open(&path).await.unwrap();
        let mut found = HashSet::new();
        let mut filter = Filter::new().tag("t").health(HealthFilter::Any).limit(1_000).view(View::Full);
        loop {
            let page = registry.find(filter.clone()).await.unwrap();
            for server in page.servers {
                assert_eq!(server.capabilities.tools.len(), TOOLS, "{} is stored in part", server.id);
                found.insert(server.id.clone());
            }
            let Some(cursor) = page.next_cursor else { break };
            filter = filter.after(&cursor);
        }
        let acknowledged = acknowledged.lock().unwrap().clone();
        assert!(acknowledged.len() >= minimum);
        let lost: Vec<_> = acknowledged.difference(&found).collect();
        assert!(
            lost.is_empty(),
            "{} of {} acknowledged registrations are lost",
            lost.len(),
            acknowledged.len()
        );
        let stats = registry.stats().await.unwrap();
        assert_eq!(
            stats.revision.number,
            found.len() as u64,
            "one change per server, without gaps or duplicates"
        );
        registry.close().await;

        let mut connection = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
        let integrity: String =
            sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut connection).await.unwrap();
        assert_eq!(integrity, "ok");
    }
}
