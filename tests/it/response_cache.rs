//! The response cache: two registries, one with a cache and one without, run the same random history, and must return the
//! same responses after every step.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use http_body_util::BodyExt;
use paulina::clock::ManualClock;
use paulina::{Filter, Options, Registration, Registry};
use proptest::prelude::*;
use serde_json::{Value, json};
use tower::Service;

use crate::support::{NEVER, edit};

const IDS: [&str; 4] = ["a", "b", "c", "d"];
const TOOLS: [&str; 3] = ["read_file", "writeFile", "log"];

const QUERIES: [&str; 26] = [
    "/servers",
    "/servers?healthy=any",
    "/servers?healthy=false",
    "/servers?limit=1",
    "/servers?limit=2&healthy=any",
    "/servers?tool=read_file",
    "/servers?tool=read_file&tool=log&healthy=any",
    "/servers?tool=writeFile&view=full",
    "/servers?tag=local",
    "/servers?tag=local&tool=log",
    "/servers?name=files&version=1",
    "/servers?capability=tools",
    "/servers?capability=sampling&healthy=any",
    "/servers?resource=file:///x&healthy=any",
    "/servers?metadata=zone:x",
    "/servers?transport=stdio",
    "/servers?q=read",
    "/servers?q=edited&healthy=any",
    "/tools",
    "/tools?limit=1",
    "/tools?limit=1&q=file",
    "/tools?tag=local&healthy=any",
    "/tools?q=file",
    "/servers/a",
    "/servers/b",
    "/stats",
];

#[derive(Debug, Clone)]
enum Step {
    Register { id: usize, name: usize, tools: Vec<bool>, tagged: bool, variant: usize, ttl: u32 },
    Refresh(usize),
    RefreshAll,
    Deregister(usize),
    RunFor(u64),
    Prune,
    Edit(usize, u32),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let id = || 0..IDS.len();
    let tools = prop::collection::vec(any::<bool>(), TOOLS.len());
    let ttl = prop_oneof![Just(1), Just(5), Just(30)];
    let register = (id(), 0..2usize, tools, any::<bool>(), 0..4usize, ttl).prop_map(
        |(id, name, tools, tagged, variant, ttl)| Step::Register { id, name, tools, tagged, variant, ttl },
    );
    prop_oneof![
        4 => register,
        3 => id().prop_map(Step::Refresh),
        1 => Just(Step::RefreshAll),
        1 => id().prop_map(Step::Deregister),
        4 => (1..8u64).prop_map(Step::RunFor),
        2 => Just(Step::Prune),
        1 => (id(), any::<u32>()).prop_map(|(id, text)| Step::Edit(id, text)),
        1 => Just(Step::Reopen),
    ]
}

fn registration(step: &Step) -> Option<Registration> {
    let Step::Register { id, name, tools, tagged, variant, ttl } = step else { return None };
    let mut registration = Registration::stdio(["files", "git"][*name], ["/x"]).id(IDS[*id]).ttl(*ttl);
    for (tool, _) in TOOLS.iter().zip(tools).filter(|(_, chosen)| **chosen) {
        registration = registration.tool(*tool);
    }
    if *tagged {
        registration = registration.tag("local").metadata("zone", "x");
    }
    Some(match variant {
        1 => registration.version("1").capability("sampling"),
        2 => registration.resource("file:///{path}").prompt("p"),
        3 => registration.capability_options("sampling", Value::Bool(false)),
        _ => registration,
    })
}

/// A registry with its API and its clock.
struct Subject {
    path: PathBuf,
    clock: ManualClock,
    cache_bytes: u64,
    registry: Registry,
    router: Router,
}

impl Subject {
    async fn new(path: PathBuf, cache_bytes: u64) -> Self {
        let clock = ManualClock::new();
        let (registry, router) = Self::open(&path, &clock, cache_bytes).await;
        Self { path, clock, cache_bytes, registry, router }
    }

    async fn open(path: &PathBuf, clock: &ManualClock, cache_bytes: u64) -> (Registry, Router) {
        let options = Options::new().clock(clock.clone()).prune_interval(NEVER).cache_bytes(cache_bytes);
        let registry = options.retention(Duration::from_secs(10)).open(path).await.unwrap();
        (registry.clone(), paulina::http::router(registry))
    }

    async fn apply(&mut self, step: &Step) {
        match step {
            Step::Register { .. } => {
                self.registry.register(registration(step).unwrap()).await.unwrap();
            }
            // Other tests check the result.
            Step::Refresh(id) => drop(self.registry.refresh(IDS[*id]).await),
            Step::RefreshAll => drop(self.registry.refresh_many(IDS).await.unwrap()),
            Step::Deregister(id) => drop(self.registry.deregister(IDS[*id]).await),
            Step::RunFor(steps) => {
                for _ in 0..*steps {
                    self.clock.advance(Duration::from_millis(250));
                    self.registry.check_writable().await.unwrap();
                }
            }
            Step::Prune => self.registry.prune().await.unwrap(),
            Step::Edit(id, text) => {
                let server = format!("(SELECT number FROM servers WHERE id = '{}')", IDS[*id]);
                let change = match text % 5 {
                    0 => format!("UPDATE servers SET description = 'edited {text}' WHERE number = {server}"),
                    1 => format!("UPDATE tools SET description = 'edited {text}' WHERE server = {server}"),
                    2 => format!("DELETE FROM tags WHERE server = {server}"),
                    3 => format!("INSERT OR IGNORE INTO tags SELECT {server}, 'local' WHERE {server} > 0"),
                    _ => format!("DELETE FROM servers WHERE number = {server}"),
                };
                edit(&self.path, &change).await;
                self.clock.advance(Duration::from_millis(250));
                self.registry.check_writable().await.unwrap();
            }
            Step::Reopen => {
                self.registry.close().await;
                self.clock.advance(Duration::from_secs(100));
                (self.registry, self.router) = Self::open(&self.path, &self.clock, self.cache_bytes).await;
            }
        }
    }

    /// Returns the body, with the random epoch replaced by a constant.
    async fn get(&mut self, query: &str) -> String {
        let request = Request::builder().method(Method::GET).uri(format!("/v1{query}"));
        let response = self.router.call(request.body(Body::empty()).unwrap()).await.unwrap();
        assert!(matches!(response.status().as_u16(), 200 | 404), "{query}: {}", response.status());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let epoch = self.registry.stats().await.unwrap().revision.epoch;
        String::from_utf8(body.to_vec()).unwrap().replace(&epoch, "epoch")
    }

    async fn find(&self, query: &str) -> Vec<Value> {
        let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let mut filter = Filter::new();
        for (key, value) in pairs {
            filter = match key.as_str() {
                "tool" => filter.tool(value),
                "tag" => filter.tag(value),
                _ => filter,
            };
        }
        let page = self.registry.find(filter).await.unwrap();
        page.servers.iter().map(|server| json!(server)).collect()
    }
}

async fn compare_after_each_step(steps: Vec<Step>) {
    let folder = tempfile::tempdir().unwrap();
    let mut cached = Subject::new(folder.path().join("cached.db"), 1 << 20).await;
    let mut uncached = Subject::new(folder.path().join("uncached.db"), 0).await;
    for step in steps {
        cached.apply(&step).await;
        uncached.apply(&step).await;
        for query in QUERIES {
            let expected = uncached.get(query).await;
            assert_eq!(cached.get(query).await, expected, "{query} after {step:?}");
            assert_eq!(cached.get(query).await, expected, "{query}, from the cache");
        }
        for query in ["tool=log", "tag=local&tool=read_file"] {
            assert_eq!(cached.find(query).await, uncached.find(query).await, "{query} after {step:?}");
        }
    }
    cached.registry.close().await;
    uncached.registry.close().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cached_responses_equal_uncached_ones(steps in prop::collection::vec(step(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(compare_after_each_step(steps));
    }
}

/// Expiry is not a write, so the cache has to check the leases, also that of the first server on the next page.
#[tokio::test]
async fn a_cursor_disappears_when_the_next_server_expires() {
    let folder = tempfile::tempdir().unwrap();
    let mut subject = Subject::new(folder.path().join("cached.db"), 1 << 20).await;
    for (id, ttl) in [("a", 30), ("b", 1)] {
        let own = Registration::stdio("s", ["x"]).id(id).ttl(ttl).tool(format!("tool_{id}"));
        subject.registry.register(own).await.unwrap();
    }
    for query in ["/servers?limit=1", "/tools?limit=1"] {
        assert!(!subject.get(query).await.contains("\"next_cursor\":null"));
    }
    subject.apply(&Step::RunFor(6)).await;
    for query in ["/servers?limit=1", "/tools?limit=1"] {
        assert!(subject.get(query).await.contains("\"next_cursor\":null"), "{query}");
    }
    subject.registry.close().await;
}

/// With concurrent writers and readers, a caller finds what it has written once the write has returned.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_caller_reads_its_own_writes() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Arc::new(Registry::open(folder.path().join("paulina.db")).await.unwrap());
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let registry = Arc::clone(&registry);
            tokio::spawn(async move {
                let id = format!("server-{task}");
                for round in 0..40 {
                    let version = round.to_string();
                    let own = Registration::stdio("s", ["x"]).id(&id).version(&version).tool("shared");
                    registry.register(own.tag(if round % 2 == 0 { "even" } else { "odd" })).await.unwrap();
                    for filter in
                        [Filter::new().tool("shared"), Filter::new().health(paulina::HealthFilter::Any)]
                    {
                        let page = registry.find(filter).await.unwrap();
                        let found = page.servers.iter().find(|server| server.id == id).unwrap();
                        assert_eq!(found.version.as_deref(), Some(version.as_str()));
                    }
                    let even = registry.find(Filter::new().tag("even")).await.unwrap();
                    assert_eq!(even.servers.iter().any(|server| server.id == id), round % 2 == 0);
                    assert_eq!(registry.get(&id).await.unwrap().unwrap().version, Some(version));
                    if round % 5 == 4 {
                        registry.deregister(id.as_str()).await.unwrap();
                        assert_eq!(registry.get(&id).await.unwrap(), None);
                        let page = registry.find(Filter::new().tool("shared")).await.unwrap();
                        assert!(page.servers.iter().all(|server| server.id != id));
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    registry.close().await;
}
