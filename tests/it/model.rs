//! Random histories against a plain model in memory: every answer is compared after every step.

use std::collections::BTreeMap;
use std::time::Duration;

use paulina::{Error, Filter, Health, HealthFilter, Registration, Server, View};
use proptest::prelude::*;

use crate::support::Fixture;

const IDS: [&str; 4] = ["a", "b", "c", "d"];
const NAMES: [&str; 2] = ["files", "git"];
const TOOLS: [&str; 3] = ["read_file", "writeFile", "log"];
const TAGS: [&str; 2] = ["local", "production"];
const RETENTION: i64 = 10_000;

#[derive(Debug, Clone, PartialEq)]
struct Content {
    name: usize,
    tools: Vec<bool>,
    tags: Vec<bool>,
    sampling: Option<bool>,
    resources: usize,
    ttl: u32,
}

impl Content {
    fn registration(&self, id: usize) -> Registration {
        let mut registration = Registration::stdio(NAMES[self.name], ["/x"])
            .id(IDS[id])
            .ttl(self.ttl)
            .version(format!("{}", self.name));
        registration = chosen(&TOOLS, &self.tools).fold(registration, Registration::tool);
        registration = chosen(&TAGS, &self.tags).fold(registration, Registration::tag);
        registration = match self.resources {
            1 => registration.resource("file:///etc/hosts"),
            2 => registration.resource("file:///{path}").resource("db:*").metadata("zone", "x"),
            _ => registration,
        };
        match self.sampling {
            Some(true) => registration.capability("sampling"),
            Some(false) => registration.capability_options("sampling", serde_json::Value::Bool(false)),
            None => registration,
        }
    }

    fn has_tool(&self, tool: &str) -> bool {
        chosen(&TOOLS, &self.tools).any(|own| own == tool)
    }

    fn serves(&self, uri: &str) -> bool {
        match self.resources {
            1 => uri == "file:///etc/hosts",
            2 => uri.starts_with("file:///") || uri.starts_with("db:"),
            _ => false,
        }
    }

    /// The words that full text finds it by.
    fn words(&self) -> Vec<&'static str> {
        let tools = chosen(&TOOLS, &self.tools).flat_map(|tool| match tool {
            "read_file" => vec!["read", "file"],
            "writeFile" => vec!["write", "file", "writefile"],
            other => vec![other],
        });
        tools.chain(chosen(&TAGS, &self.tags)).chain([NAMES[self.name]]).collect()
    }
}

fn chosen<'a>(all: &'a [&'static str], flags: &'a [bool]) -> impl Iterator<Item = &'static str> + 'a {
    all.iter().zip(flags).filter(|(_, chosen)| **chosen).map(|(text, _)| *text)
}

#[derive(Debug, Clone)]
enum Step {
    Register(usize, Content, bool),
    Refresh(usize, bool),
    RefreshMany(Vec<usize>),
    Deregister(usize, bool),
    Pass(u64),
    Prune,
    Reopen,
}

fn content() -> impl Strategy<Value = Content> {
    let flags = |count| prop::collection::vec(any::<bool>(), count);
    let ttl = prop_oneof![Just(1), Just(5), Just(30)];
    (0..NAMES.len(), flags(TOOLS.len()), flags(TAGS.len()), any::<Option<bool>>(), 0..3usize, ttl).prop_map(
        |(name, tools, tags, sampling, resources, ttl)| Content {
            name,
            tools,
            tags,
            sampling,
            resources,
            ttl,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let id = || 0..IDS.len();
    prop_oneof![
        4 => (id(), content(), any::<bool>()).prop_map(|(id, content, again)| Step::Register(id, content, again)),
        3 => (id(), any::<bool>()).prop_map(|(id, named)| Step::Refresh(id, named)),
        1 => prop::collection::vec(id(), 0..4).prop_map(Step::RefreshMany),
        1 => (id(), any::<bool>()).prop_map(|(id, named)| Step::Deregister(id, named)),
        4 => (1..40u64).prop_map(|quarters| Step::Pass(quarters * 250)),
        2 => Just(Step::Prune),
        1 => Just(Step::Reopen),
    ]
}

#[derive(Debug, Clone)]
struct Entry {
    content: Content,
    number: u64,
    expires: i64,
    told: bool,
    lease: Option<paulina::LeaseId>,
}

/// What a registry is, without SQL, files and tasks.
#[derive(Debug, Default)]
struct Model {
    entries: BTreeMap<usize, Entry>,
    next: u64,
    now: i64,
    standstill: i64,
    revision: u64,
}

impl Model {
    fn pass(&mut self, milliseconds: i64) {
        let stood = milliseconds.min(self.standstill);
        self.standstill -= stood;
        self.now += milliseconds - stood;
    }

    fn refresh(&mut self, id: usize) -> bool {
        let Some(entry) = self.entries.get_mut(&id) else { return false };
        entry.expires = self.now + i64::from(entry.content.ttl) * 1_000;
        self.revision += u64::from(std::mem::take(&mut entry.told));
        true
    }

    fn prune(&mut self) {
        for entry in self.entries.values_mut().filter(|entry| entry.expires <= self.now) {
            self.revision += u64::from(!entry.told);
            entry.told = true;
        }
        let now = self.now;
        self.entries.retain(|_, entry| entry.expires > now - RETENTION);
    }

    fn healthy(&self, entry: &Entry) -> bool {
        entry.expires > self.now
    }

    /// The ids that match, in the order of their registration.
    fn find(&self, health: HealthFilter, matches: impl Fn(&Content) -> bool) -> Vec<String> {
        let wanted = |entry: &&Entry| match health {
            HealthFilter::Any => true,
            HealthFilter::Healthy => self.healthy(entry),
            HealthFilter::Unhealthy => !self.healthy(entry),
        };
        let mut found: Vec<_> = self
            .entries
            .iter()
            .filter(|(_, entry)| wanted(entry) && matches(&entry.content))
            .map(|(id, entry)| (entry.number, IDS[*id].to_owned()))
            .collect();
        found.sort();
        found.into_iter().map(|(_, id)| id).collect()
    }
}

struct History {
    fixture: Fixture,
    model: Model,
}

impl History {
    async fn run(steps: Vec<Step>) {
        let fixture = Fixture::with_retention(Duration::from_millis(RETENTION.unsigned_abs())).await;
        let mut history = Self { fixture, model: Model::default() };
        for step in steps {
            history.step(step).await;
            history.compare().await;
        }
        history.fixture.registry.close().await;
    }

    fn reference(&self, id: usize, named: bool) -> paulina::LeaseRef {
        let lease = self.model.entries.get(&id).and_then(|entry| entry.lease).filter(|_| named);
        paulina::LeaseRef::new(IDS[id], lease)
    }

    async fn step(&mut self, step: Step) {
        let registry = &self.fixture.registry;
        match step {
            Step::Register(id, content, again) => {
                let known = self.model.entries.get(&id).cloned();
                let content = known.as_ref().filter(|_| again).map_or(content, |known| known.content.clone());
                let registered = registry.register(content.registration(id)).await.unwrap();
                assert_eq!(registered.created, known.is_none());
                assert_eq!(registry.get(IDS[id]).await.unwrap().as_ref(), Some(&registered.server));
                if let Some(old) = known.as_ref().and_then(|known| known.lease) {
                    let stale = paulina::LeaseRef::new(IDS[id], Some(old));
                    assert!(matches!(registry.refresh(stale).await, Err(Error::LeaseReplaced(_))));
                }
                let model = &mut self.model;
                let changed = known.as_ref().is_none_or(|known| known.told || known.content != content);
                model.revision += u64::from(changed);
                let number = known.map_or(model.next, |known| known.number);
                model.next += 1;
                let expires = model.now + i64::from(content.ttl) * 1_000;
                let lease = Some(registered.lease);
                model.entries.insert(id, Entry { content, number, expires, told: false, lease });
            }
            Step::Refresh(id, named) => {
                let result = registry.refresh(self.reference(id, named)).await;
                assert_eq!(result.is_ok(), self.model.refresh(id), "{result:?}");
            }
            Step::RefreshMany(ids) => {
                let answer = registry.refresh_many(ids.iter().map(|id| IDS[*id])).await.unwrap();
                let (known, unknown): (Vec<_>, Vec<_>) =
                    ids.into_iter().partition(|id| self.model.refresh(*id));
                let refreshed: Vec<_> =
                    answer.refreshed.iter().map(|refreshed| refreshed.id.as_str()).collect();
                assert_eq!(refreshed, known.iter().map(|id| IDS[*id]).collect::<Vec<_>>());
                assert_eq!(answer.not_registered, unknown.iter().map(|id| IDS[*id]).collect::<Vec<_>>());
            }
            Step::Deregister(id, named) => {
                let result = registry.deregister(self.reference(id, named)).await;
                let gone = self.model.entries.remove(&id);
                assert_eq!(result.is_ok(), gone.is_some());
                self.model.revision += u64::from(gone.is_some_and(|gone| !gone.told));
            }
            Step::Pass(milliseconds) => {
                self.fixture.pass(Duration::from_millis(milliseconds)).await;
                self.model.pass(i64::try_from(milliseconds).unwrap());
            }
            Step::Prune => {
                registry.prune().await.unwrap();
                self.model.prune();
            }
            Step::Reopen => {
                self.fixture.reopen_after(Duration::from_secs(100)).await;
                self.model.standstill = if self.model.entries.is_empty() { 0 } else { 5_000 };
            }
        }
    }

    /// Asks everything, each list in pages of two, and compares.
    async fn compare(&self) {
        let Self { model, .. } = self;
        let any = HealthFilter::Any;
        let uris = ["file:///etc/hosts", "file:///x", "db:1", "other:x"];
        for health in [HealthFilter::Healthy, HealthFilter::Unhealthy, any] {
            self.check(Filter::new().health(health), &model.find(health, |_| true)).await;
        }
        for tool in TOOLS {
            self.check(
                Filter::new().tool(tool),
                &model.find(HealthFilter::Healthy, |own| own.has_tool(tool)),
            )
            .await;
        }
        for (index, name) in NAMES.iter().enumerate() {
            let expected = model.find(any, |own| own.name == index);
            self.check(Filter::new().name(*name).version(index.to_string()).health(any), &expected).await;
        }
        let expected = model.find(any, |own| own.tags == [true, true]);
        self.check(Filter::new().tags(TAGS).health(any), &expected).await;
        let expected = model.find(any, |own| own.sampling == Some(true) && own.has_tool("log"));
        self.check(Filter::new().capability("sampling").tool("log").health(any), &expected).await;
        let expected = model.find(any, |own| own.resources > 0);
        self.check(Filter::new().capability("resources").health(any), &expected).await;
        self.check(
            Filter::new().metadata("zone", "x").health(any),
            &model.find(any, |own| own.resources == 2),
        )
        .await;
        for uri in uris {
            self.check(Filter::new().resource(uri).health(any), &model.find(any, |own| own.serves(uri)))
                .await;
        }
        for words in ["read", "fil", "write file", "writefile lo", "git prod"] {
            let mut expected = model.find(any, |own| {
                words.split(' ').all(|word| own.words().iter().any(|own| own.starts_with(word)))
            });
            expected.sort();
            let mut found: Vec<_> = self.pages(Filter::new().words(words).health(any)).await;
            found.sort_by(|one, other| one.id.cmp(&other.id));
            assert_eq!(
                found.iter().map(|server| &server.id).collect::<Vec<_>>(),
                expected.iter().collect::<Vec<_>>()
            );
        }
        self.compare_tools().await;
        self.compare_leases().await;
    }

    async fn check(&self, filter: Filter, expected: &[String]) {
        let found = self.pages(filter.clone()).await;
        let ids: Vec<&str> = found.iter().map(|server| server.id.as_str()).collect();
        assert_eq!(ids, expected, "{filter:?}");
    }

    async fn pages(&self, filter: Filter) -> Vec<Server> {
        let mut filter = filter.limit(2).view(View::Full);
        let mut found = Vec::new();
        loop {
            let page = self.fixture.registry.find(filter.clone()).await.unwrap();
            assert_eq!(page.revision.number, self.model.revision);
            found.extend(page.servers);
            let Some(cursor) = page.next_cursor else { return found };
            filter = filter.after(&cursor);
        }
    }

    async fn compare_tools(&self) {
        let page = self.fixture.registry.tools(Filter::new()).await.unwrap();
        let found: Vec<(String, Vec<String>)> = page
            .tools
            .iter()
            .map(|tool| (tool.name.clone(), tool.servers.iter().map(|server| server.id.clone()).collect()))
            .collect();
        let mut expected: Vec<(String, Vec<String>)> = TOOLS
            .iter()
            .map(|tool| {
                ((*tool).to_owned(), self.model.find(HealthFilter::Healthy, |own| own.has_tool(tool)))
            })
            .filter(|(_, servers)| !servers.is_empty())
            .collect();
        expected.sort();
        assert_eq!(found, expected);
    }

    async fn compare_leases(&self) {
        let stats = self.fixture.registry.stats().await.unwrap();
        assert_eq!(stats.servers.total, self.model.entries.len() as u64);
        assert_eq!(stats.revision.number, self.model.revision);
        for (id, name) in IDS.iter().enumerate() {
            let lease = self.fixture.registry.health(name).unwrap();
            let record = self.fixture.registry.get(name).await.unwrap();
            let Some(entry) = self.model.entries.get(&id) else {
                assert_eq!((lease, record), (None, None));
                continue;
            };
            let (lease, record) = (lease.unwrap(), record.unwrap());
            let left = u64::try_from(entry.expires - self.model.now).unwrap_or_default();
            assert_eq!(lease.expires_in_ms, left);
            assert_eq!(lease.health == Health::Healthy, self.model.healthy(entry));
            assert_eq!((record.health, record.expires_at), (lease.health, lease.expires_at));
            assert_eq!(record.ttl, entry.content.ttl);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_answer_is_that_of_a_plain_model(steps in prop::collection::vec(step(), 1..30)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(History::run(steps));
    }
}
