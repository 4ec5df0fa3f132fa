//! Compares the results of every kind of query with the reference model.

use paulina::{Filter, Health, HealthFilter, Match, Server, View};

use super::History;
use super::reference::{IDS, NAMES, TAGS, TOOLS};

impl History {
    /// Runs every kind of query, lists in pages of two, and compares the results.
    pub(super) async fn compare(&self) {
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
        for owner in ["one", "root"] {
            let mut expected = model.find(any, |_| true);
            expected.retain(|id| {
                let id = IDS.iter().position(|own| own == id);
                id.is_some_and(|id| model.entries[&id].owner == Some(owner))
            });
            self.check(Filter::new().owner(owner).health(any), &expected).await;
        }
        for uri in uris {
            self.check(Filter::new().resource(uri).health(any), &model.find(any, |own| own.serves(uri)))
                .await;
        }
        for words in ["read", "fil", "write file", "writefile lo", "git prod"] {
            let mut expected = model.find(any, |own| {
                words.split(' ').all(|word| own.words().iter().any(|own| own.starts_with(word)))
            });
            expected.sort();
            let mut found: Vec<_> =
                self.pages(Filter::new().search(words).matching(Match::All).health(any)).await;
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
            assert_eq!((record.ttl, record.owner.as_deref()), (entry.content.ttl, entry.owner));
        }
    }
}
