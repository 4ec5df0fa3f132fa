//! A registry that answers from copies of another one's database, and its promotion.

use std::path::{Path, PathBuf};
use std::time::Duration;

use paulina::{
    ChangeKind, Error, Filter, Health, OpenError, Options, Registration, Registry, Standby, Watch, Watched,
};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use crate::support::{BACK_TO_3, Fixture, NEVER};

/// A whole copy of a database that is in use, as a replica brings one.
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

    fn at(&self, name: &str) -> PathBuf {
        self.primary.folder.path().join(name)
    }

    async fn copied(&self) -> PathBuf {
        copy(&self.primary.path(), self.at("copy")).await
    }

    async fn follow(&self) {
        self.standby.follow(self.copied().await).await.unwrap();
    }

    async fn promote(&self) {
        self.standby.promote(self.copied().await, self.at("promoted.db")).await.unwrap();
    }
}

fn server(id: &str) -> Registration {
    Registration::stdio(id, ["x"]).id(id)
}

async fn ids(registry: &Registry, filter: Filter) -> Vec<String> {
    registry.find(filter).await.unwrap().servers.into_iter().map(|server| server.id.clone()).collect()
}

async fn told(watch: &mut Watch) -> (ChangeKind, String, u64) {
    match watch.next().await.unwrap() {
        Watched::Change(change) => (change.kind, change.server.id.clone(), change.revision.number),
        Watched::Snapshot(snapshot) => panic!("a snapshot: {snapshot:?}"),
    }
}

#[tokio::test]
async fn answers_from_its_copy_and_refuses_writes() {
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
async fn leases_stand_still_between_copies() {
    let pair = Pair::new().await;
    pair.primary.clock.advance(Duration::from_hours(1));
    assert_eq!(ids(&pair.registry, Filter::new()).await, ["files"], "as alive as its copy says");
    pair.primary.pass(Duration::from_secs(40)).await;
    pair.primary.registry.prune().await.unwrap();
    pair.follow().await;
    assert!(ids(&pair.registry, Filter::new()).await.is_empty());
}

#[tokio::test]
async fn watchers_are_told_what_each_copy_brings() {
    let pair = Pair::new().await;
    let mut watch = pair.registry.watch(Filter::new()).unwrap();
    let Watched::Snapshot(snapshot) = watch.next().await.unwrap() else { panic!("no snapshot") };
    assert_eq!(snapshot.servers.len(), 1);
    pair.primary.registry.register(server("a")).await.unwrap();
    pair.primary.registry.deregister("files").await.unwrap();
    pair.follow().await;
    let number = snapshot.revision.number;
    assert_eq!(told(&mut watch).await, (ChangeKind::Registered, "a".into(), number + 1));
    assert_eq!(told(&mut watch).await, (ChangeKind::Deregistered, "files".into(), number + 2));

    // A copy of an older state takes back what was told.
    let older = pair.copied().await;
    std::fs::rename(older, pair.at("older")).unwrap();
    pair.primary.registry.register(server("b")).await.unwrap();
    pair.follow().await;
    assert_eq!(told(&mut watch).await.1, "b");
    pair.standby.follow(pair.at("older")).await.unwrap();
    let Watched::Snapshot(snapshot) = watch.next().await.unwrap() else { panic!("no snapshot") };
    assert_eq!(snapshot.servers.len(), 1);
}

#[tokio::test]
async fn a_promoted_one_goes_on_in_a_new_epoch_and_nobody_expires_for_it() {
    let pair = Pair::new().await;
    let mut watch = pair.registry.watch(Filter::new()).unwrap();
    let Watched::Snapshot(before) = watch.next().await.unwrap() else { panic!("no snapshot") };
    pair.primary.registry.register(server("a")).await.unwrap();
    // The primary is lost, and it takes an hour until somebody comes.
    let final_copy = pair.copied().await;
    pair.primary.registry.register(server("lost")).await.unwrap();
    pair.primary.registry.close().await;
    pair.primary.clock.advance(Duration::from_hours(1));
    pair.standby.promote(final_copy, pair.at("promoted.db")).await.unwrap();

    assert!(!pair.registry.is_standby());
    let Watched::Snapshot(after) = watch.next().await.unwrap() else { panic!("no snapshot") };
    assert_ne!(after.revision.epoch, before.revision.epoch);
    assert_eq!(ids(&pair.registry, Filter::new()).await, ["files", "a"]);
    let left = pair.registry.health("a").unwrap().unwrap().expires_in_ms;
    assert!((29_000..=30_000).contains(&left), "{left} ms are left");
    // What was lost registers again, and what is alive refreshes.
    assert!(matches!(pair.registry.refresh("lost").await, Err(Error::NotRegistered(_))));
    let lost = pair.registry.register(server("lost")).await.unwrap();
    assert!(lost.created);
    let Watched::Change(change) = watch.next().await.unwrap() else { panic!("no change") };
    assert_eq!((change.revision.epoch, change.server.id.as_str()), (after.revision.epoch, "lost"));
    pair.registry.refresh("files").await.unwrap();
    // Leases stand still for five seconds, and run out then.
    for _ in 0..4 * 36 {
        pair.primary.clock.advance(Duration::from_millis(250));
        pair.registry.check_writable().await.unwrap();
    }
    assert!(ids(&pair.registry, Filter::new()).await.is_empty());
    // It is an ordinary database.
    pair.registry.close().await;
    let again = Registry::open(pair.at("promoted.db")).await.unwrap();
    assert_eq!(again.stats().await.unwrap().servers.total, 3);
    again.close().await;
}

#[tokio::test]
async fn a_promotion_that_fails_leaves_a_standby() {
    let pair = Pair::new().await;
    std::fs::write(pair.at("promoted.db"), "somebody's").unwrap();
    let refused = pair.standby.promote(pair.copied().await, pair.at("promoted.db")).await.unwrap_err();
    assert!(matches!(refused, OpenError::Io { .. }), "{refused}");
    assert_eq!(std::fs::read(pair.at("promoted.db")).unwrap(), b"somebody's");
    std::fs::write(pair.at("rubbish"), "no database, but long enough to be read as the header of one")
        .unwrap();
    let refused = pair.standby.promote(pair.at("rubbish"), pair.at("other.db")).await.unwrap_err();
    assert!(matches!(refused, OpenError::NotADatabase { .. }), "{refused}");
    let refused = pair.standby.follow(pair.at("rubbish")).await.unwrap_err();
    assert!(matches!(refused, OpenError::NotADatabase { .. }), "{refused}");
    let refused = pair.standby.follow(pair.at("nothing")).await.unwrap_err();
    assert!(matches!(refused, OpenError::Io { .. }), "{refused}");
    assert!(pair.registry.is_standby());
    pair.primary.registry.register(server("a")).await.unwrap();
    pair.follow().await;
    assert_eq!(ids(&pair.registry, Filter::new()).await, ["files", "a"]);
    std::fs::remove_file(pair.at("promoted.db")).unwrap();
    pair.promote().await;
    pair.registry.refresh("a").await.unwrap();
    pair.promote().await;
    pair.registry.close().await;

    let pair = Pair::new().await;
    pair.registry.close().await;
    let refused = pair.standby.promote(pair.copied().await, pair.at("promoted.db")).await.unwrap_err();
    assert!(refused.to_string().contains("was closed"), "{refused}");
    assert!(!pair.at("promoted.db").exists());
}

#[tokio::test]
async fn what_was_remembered_of_an_earlier_database_is_forgotten() {
    let pair = Pair::new().await;
    // This machine was the primary of the same history, and its database was moved away; not so the file beside it.
    std::fs::copy(pair.at("paulina.db-lease"), pair.at("promoted.db-lease")).unwrap();
    let before = pair.registry.stats().await.unwrap().revision;
    pair.promote().await;
    let after = pair.registry.stats().await.unwrap().revision;
    assert_ne!(after.epoch, before.epoch);
    assert_eq!(after.number, before.number);
    pair.registry.close().await;
}

#[tokio::test]
async fn a_copy_of_an_older_paulina_is_brought_up_to_date() {
    let pair = Pair::new().await;
    let older = pair.copied().await;
    let back = "DROP TABLE tokens; ALTER TABLE settings DROP COLUMN tokens; DELETE FROM refinery_schema_history WHERE version = 3";
    crate::support::edit(&older, &[BACK_TO_3, back].concat()).await;
    pair.standby.follow(older).await.unwrap();
    assert_eq!(ids(&pair.registry, Filter::new()).await, ["files"]);
}

#[tokio::test]
async fn readers_are_never_in_the_way_of_the_next_copy() {
    let pair = Pair::new().await;
    let registry = pair.registry.clone();
    let reading = tokio::spawn(async move {
        let mut seen = 0;
        while let Ok(page) = registry.find(Filter::new().words("s")).await {
            assert!(page.servers.len() >= seen, "a state was taken back");
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
    let page = pair.registry.find(Filter::new().words("s")).await.unwrap();
    pair.registry.close().await;
    assert!(reading.await.unwrap() <= page.servers.len());
}
