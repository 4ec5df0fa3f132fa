//! A standby, which serves reads from copies of the primary's database, and its promotion.

use std::path::{Path, PathBuf};
use std::time::Duration;

use paulina::{
    ChangeKind, Error, Filter, Health, OpenError, Options, Registration, Registry, Standby, Watch, WatchEvent,
};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use crate::support::older::downgrade;
use crate::support::{Fixture, NEVER};

/// Copies a database that is in use, like a replica does.
async fn copy(from: &Path, to: PathBuf) -> PathBuf {
    let _ = std::fs::remove_file(&to);
    let mut connection = SqliteConnectOptions::new().filename(from).read_only(true).connect().await.unwrap();
    sqlx::query("VACUUM INTO ?").bind(to.to_str()).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    to
}

struct Pair {
    primary: Fixture,
    standby: Standby,
    registry: Registry,
}

impl Pair {
    async fn new() -> Self {
        let primary = Fixture::new().await;
        primary.registry.register(server("files").tool("read_file")).await.unwrap();
        let first = copy(&primary.path(), primary.folder.path().join("copy")).await;
        let options = Options::new().clock(primary.clock.clone()).prune_interval(NEVER);
        let standby = options.primary("http://primary:7285").standby(first).await.unwrap();
        let registry = standby.registry();
        Self { primary, standby, registry }
    }

    fn file_path(&self, name: &str) -> PathBuf {
        self.primary.folder.path().join(name)
    }

    async fn copy_primary(&self) -> PathBuf {
        copy(&self.primary.path(), self.file_path("copy")).await
    }

    async fn follow(&self) {
        self.standby.follow(self.copy_primary().await).await.unwrap();
    }

    async fn promote(&self) {
        self.standby.promote(self.copy_primary().await, self.file_path("promoted.db")).await.unwrap();
    }
}

fn server(id: &str) -> Registration {
    Registration::stdio(id, ["x"]).id(id)
}

async fn ids(registry: &Registry, filter: Filter) -> Vec<String> {
    registry.find(filter).await.unwrap().servers.into_iter().map(|server| server.id.clone()).collect()
}

async fn next_change(watch: &mut Watch) -> (ChangeKind, String, u64) {
    match watch.next().await.unwrap() {
        WatchEvent::Change(change) => (change.kind, change.server.id.clone(), change.revision.number),
        WatchEvent::Snapshot(snapshot) => panic!("a snapshot: {snapshot:?}"),
    }
}

#[tokio::test]
async fn a_standby_serves_reads_from_its_copy_and_rejects_writes() {
    let pair = Pair::new().await;
    assert!(pair.registry.is_standby() && !pair.primary.registry.is_standby());
    assert_eq!(ids(&pair.registry, Filter::new().tool("read_file")).await, ["files"]);
    assert_eq!(pair.registry.health("files").unwrap().unwrap().health, Health::Healthy);
    assert_eq!(pair.registry.stats().await.unwrap(), pair.primary.registry.stats().await.unwrap());
    let refusals = [
        pair.registry.register(server("a")).await.map(|_| ()),
        pair.registry.refresh("files").await.map(|_| ()),
        pair.registry.deregister("files").await,
        pair.registry.check_writable().await,
    ];
    for refused in refusals {
        let error = refused.unwrap_err();
        assert!(
            matches!(&error, Error::Standby { primary: Some(url) } if url == "http://primary:7285"),
            "{error:?}"
        );
    }
    pair.primary.registry.register(server("b").tool("read_file")).await.unwrap();
    assert_eq!(ids(&pair.registry, Filter::new().tool("read_file")).await, ["files"], "not copied yet");
    pair.follow().await;
    assert_eq!(ids(&pair.registry, Filter::new().tool("read_file")).await, ["files", "b"]);
    pair.registry.close().await;
    assert!(matches!(pair.registry.get("b").await, Err(Error::Closed)));
}

#[tokio::test]
async fn leases_do_not_age_between_copies() {
    let pair = Pair::new().await;
    pair.primary.clock.advance(Duration::from_hours(1));
    assert_eq!(ids(&pair.registry, Filter::new()).await, ["files"], "healthy, as in the copy");
    pair.primary.run_for(Duration::from_secs(40)).await;
    pair.primary.registry.prune().await.unwrap();
    pair.follow().await;
    assert!(ids(&pair.registry, Filter::new()).await.is_empty());
}

#[tokio::test]
async fn watchers_receive_the_changes_of_each_copy() {
    let pair = Pair::new().await;
    let mut watch = pair.registry.watch(Filter::new()).unwrap();
    let WatchEvent::Snapshot(snapshot) = watch.next().await.unwrap() else { panic!("no snapshot") };
    assert_eq!(snapshot.servers.len(), 1);
    pair.primary.registry.register(server("a")).await.unwrap();
    pair.primary.registry.deregister("files").await.unwrap();
    pair.follow().await;
    let number = snapshot.revision.number;
    assert_eq!(next_change(&mut watch).await, (ChangeKind::Registered, "a".into(), number + 1));
    assert_eq!(next_change(&mut watch).await, (ChangeKind::Deregistered, "files".into(), number + 2));

    // A copy of an older state undoes changes, so watchers get a new snapshot.
    let older = pair.copy_primary().await;
    std::fs::rename(older, pair.file_path("older")).unwrap();
    pair.primary.registry.register(server("b")).await.unwrap();
    pair.follow().await;
    assert_eq!(next_change(&mut watch).await.1, "b");
    pair.standby.follow(pair.file_path("older")).await.unwrap();
    let WatchEvent::Snapshot(snapshot) = watch.next().await.unwrap() else { panic!("no snapshot") };
    assert_eq!(snapshot.servers.len(), 1);
}

#[tokio::test]
async fn a_promoted_standby_starts_a_new_epoch_without_expiring_servers() {
    let pair = Pair::new().await;
    let mut watch = pair.registry.watch(Filter::new()).unwrap();
    let WatchEvent::Snapshot(before) = watch.next().await.unwrap() else { panic!("no snapshot") };
    pair.primary.registry.register(server("a")).await.unwrap();
    // The primary fails, and the standby is promoted an hour later.
    let final_copy = pair.copy_primary().await;
    pair.primary.registry.register(server("lost")).await.unwrap();
    pair.primary.registry.close().await;
    pair.primary.clock.advance(Duration::from_hours(1));
    pair.standby.promote(final_copy, pair.file_path("promoted.db")).await.unwrap();

    assert!(!pair.registry.is_standby());
    let WatchEvent::Snapshot(after) = watch.next().await.unwrap() else { panic!("no snapshot") };
    assert_ne!(after.revision.epoch, before.revision.epoch);
    assert_eq!(ids(&pair.registry, Filter::new()).await, ["files", "a"]);
    let remaining = pair.registry.health("a").unwrap().unwrap().expires_in_ms;
    assert!((29_000..=30_000).contains(&remaining), "{remaining} ms remain");
    // A server missing from the copy registers again; the others refresh.
    assert!(matches!(pair.registry.refresh("lost").await, Err(Error::NotRegistered(_))));
    let lost = pair.registry.register(server("lost")).await.unwrap();
    assert!(lost.created);
    let WatchEvent::Change(change) = watch.next().await.unwrap() else { panic!("no change") };
    assert_eq!((change.revision.epoch, change.server.id.as_str()), (after.revision.epoch, "lost"));
    pair.registry.refresh("files").await.unwrap();
    // After a grace period of five seconds leases age again.
    for _ in 0..4 * 36 {
        pair.primary.clock.advance(Duration::from_millis(250));
        pair.registry.check_writable().await.unwrap();
    }
    assert!(ids(&pair.registry, Filter::new()).await.is_empty());
    // The promoted database can be opened like any other.
    pair.registry.close().await;
    let reopened = Registry::open(pair.file_path("promoted.db")).await.unwrap();
    assert_eq!(reopened.stats().await.unwrap().servers.total, 3);
    reopened.close().await;
}

#[tokio::test]
async fn a_failed_promotion_leaves_a_standby() {
    let pair = Pair::new().await;
    std::fs::write(pair.file_path("promoted.db"), "another file").unwrap();
    let refused =
        pair.standby.promote(pair.copy_primary().await, pair.file_path("promoted.db")).await.unwrap_err();
    assert!(matches!(refused, OpenError::Io { .. }), "{refused}");
    assert_eq!(std::fs::read(pair.file_path("promoted.db")).unwrap(), b"another file");
    std::fs::write(
        pair.file_path("not_a_database"),
        "not a database, but long enough to be read as the header of one",
    )
    .unwrap();
    let refused =
        pair.standby.promote(pair.file_path("not_a_database"), pair.file_path("other.db")).await.unwrap_err();
    assert!(matches!(refused, OpenError::NotADatabase { .. }), "{refused}");
    let refused = pair.standby.follow(pair.file_path("not_a_database")).await.unwrap_err();
    assert!(matches!(refused, OpenError::NotADatabase { .. }), "{refused}");
    let refused = pair.standby.follow(pair.file_path("nothing")).await.unwrap_err();
    assert!(matches!(refused, OpenError::Io { .. }), "{refused}");
    assert!(pair.registry.is_standby());
    pair.primary.registry.register(server("a")).await.unwrap();
    pair.follow().await;
    assert_eq!(ids(&pair.registry, Filter::new()).await, ["files", "a"]);
    std::fs::remove_file(pair.file_path("promoted.db")).unwrap();
    pair.promote().await;
    pair.registry.refresh("a").await.unwrap();
    pair.promote().await;
    pair.registry.close().await;

    let pair = Pair::new().await;
    pair.registry.close().await;
    let refused =
        pair.standby.promote(pair.copy_primary().await, pair.file_path("promoted.db")).await.unwrap_err();
    assert!(refused.to_string().contains("was closed"), "{refused}");
    assert!(!pair.file_path("promoted.db").exists());
}

#[tokio::test]
async fn promotion_ignores_the_lease_file_of_an_earlier_database() {
    let pair = Pair::new().await;
    // This machine was the primary before. Its database was moved away, but its lease file was left.
    std::fs::copy(pair.file_path("paulina.db-lease"), pair.file_path("promoted.db-lease")).unwrap();
    let before = pair.registry.stats().await.unwrap().revision;
    pair.promote().await;
    let after = pair.registry.stats().await.unwrap().revision;
    assert_ne!(after.epoch, before.epoch);
    assert_eq!(after.number, before.number);
    pair.registry.close().await;
}

#[tokio::test]
async fn a_copy_with_an_older_schema_is_migrated() {
    let pair = Pair::new().await;
    let older = pair.copy_primary().await;
    downgrade(&older, 2).await;
    pair.standby.follow(older).await.unwrap();
    assert_eq!(ids(&pair.registry, Filter::new()).await, ["files"]);
}

#[tokio::test]
async fn concurrent_readers_do_not_block_the_next_copy() {
    let pair = Pair::new().await;
    let registry = pair.registry.clone();
    let reader = tokio::spawn(async move {
        let mut seen = 0;
        while let Ok(page) = registry.find(Filter::new().search("s")).await {
            assert!(page.servers.len() >= seen, "a reader saw an older state");
            seen = page.servers.len();
            let _ = registry.tools(Filter::new()).await;
            tokio::task::yield_now().await;
        }
        seen
    });
    for number in 0..30 {
        pair.primary.registry.register(server(&format!("s{number}"))).await.unwrap();
        pair.follow().await;
    }
    pair.promote().await;
    assert_eq!(ids(&pair.registry, Filter::new()).await.len(), 31);
    let page = pair.registry.find(Filter::new().search("s")).await.unwrap();
    pair.registry.close().await;
    assert!(reader.await.unwrap() <= page.servers.len());
}
