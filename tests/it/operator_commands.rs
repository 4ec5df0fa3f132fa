//! Commands of operators: backup, health, promotion, `--peer`, `--standby`, and notifications to the service manager.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use paulina::{Filter, Registration, Registry};

use crate::support::binary::{self, Binary};

fn paulina(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paulina"));
    command.args(arguments).stdin(Stdio::null()).env_remove("PAULINA_TOKEN").output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn register(path: &Path, ids: &[&str]) {
    let registry = Registry::open(path).await.unwrap();
    for id in ids {
        registry.register(Registration::stdio(*id, ["x"]).id(*id).ttl(3_600).tool("t")).await.unwrap();
    }
    registry.close().await;
}

#[tokio::test]
async fn a_backup_is_complete_and_starts_a_new_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let file_path = |name: &str| folder.path().join(name);
    register(&file_path("paulina.db"), &["a", "b"]).await;
    let served = Binary::start(&file_path("paulina.db"));
    let (database, file) = (file_path("paulina.db"), file_path("backup.db"));
    let arguments = ["backup", file.to_str().unwrap(), "--database", database.to_str().unwrap()];
    let done = paulina(&arguments);
    assert!(done.status.success(), "{}", stderr(&done));
    let text = String::from_utf8(done.stdout.clone()).unwrap();
    assert!(
        text.contains("backup.db: 2 servers, 0 tokens, ") && text.ends_with(" bytes, checked\n"),
        "{text}"
    );
    let again = paulina(&arguments);
    assert_eq!(again.status.code(), Some(1));
    assert!(stderr(&again).contains("the file exists already"), "{}", stderr(&again));
    assert!(!file_path("backup.db-unfinished").exists());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    served.kill();
    let (before, after) = (Registry::open(&database).await.unwrap(), Registry::open(&file).await.unwrap());
    let (before_stats, after_stats) = (before.stats().await.unwrap(), after.stats().await.unwrap());
    assert_eq!(before_stats.servers, after_stats.servers);
    assert_ne!(before_stats.revision.epoch, after_stats.revision.epoch);
    assert_eq!(
        after.find(Filter::new().search("t")).await.unwrap().servers.len(),
        2,
        "the backup can be searched"
    );
    before.close().await;
    after.close().await;
}

#[tokio::test]
async fn a_damaged_database_is_not_backed_up() {
    let folder = tempfile::tempdir().unwrap();
    let (database, file) = (folder.path().join("paulina.db"), folder.path().join("backup.db"));
    register(&database, &["a"]).await;
    let orphan = "PRAGMA foreign_keys = OFF; INSERT INTO tags (server, tag) VALUES (4711, 'orphan')";
    crate::support::edit(&database, orphan).await;
    let failed = paulina(&["backup", file.to_str().unwrap(), "--database", database.to_str().unwrap()]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(stderr(&failed).contains("1 rows refer to servers that do not exist"), "{}", stderr(&failed));
    assert!(!file.exists() && !folder.path().join("backup.db-unfinished").exists());
    let missing = paulina(&["backup", file.to_str().unwrap(), "--database", "/nowhere/paulina.db"]);
    assert!(stderr(&missing).contains("database /nowhere/paulina.db does not exist"), "{}", stderr(&missing));
}

#[test]
fn health_reports_readiness_and_role() {
    let folder = tempfile::tempdir().unwrap();
    let served = Binary::start(&folder.path().join("paulina.db"));
    let ready = paulina(&["health", "--registry", &served.url]);
    assert_eq!((ready.status.code(), ready.stdout.as_slice()), (Some(0), b"ready: primary\n".as_slice()));
    let promoted = paulina(&["promote", "--registry", &served.url]);
    assert!(promoted.status.success(), "promoting a primary succeeds: {}", stderr(&promoted));
    let url = served.url.clone();
    served.kill();
    assert_eq!(paulina(&["health", "--registry", &url]).status.code(), Some(4), "nothing listens there");
    let two_addresses = paulina(&["promote", "--registry", "http://127.0.0.1:1,http://127.0.0.1:2"]);
    assert!(stderr(&two_addresses).contains("this command takes exactly one"), "{}", stderr(&two_addresses));
}

#[test]
fn a_peer_that_is_a_primary_prevents_startup() {
    let folder = tempfile::tempdir().unwrap();
    let first = Binary::start(&folder.path().join("first.db"));
    let second = folder.path().join("second.db");
    let refused = binary::command(&second, &["--peer", &first.url]).output().unwrap();
    assert_eq!(refused.status.code(), Some(6));
    assert!(stderr(&refused).contains("serves as a primary. If it was promoted"), "{}", stderr(&refused));
    assert!(!second.exists());
    let url = first.url.clone();
    // A registry with a database remembers the other primary: it must not take over by itself when that one is down.
    Binary::start(&second).kill();
    let refused = binary::command(&second, &["--peer", &url]).output().unwrap();
    assert!(stderr(&refused).contains("serves as a primary"), "{}", stderr(&refused));
    first.kill();
    let refused = binary::command(&second, &["--peer", &url]).output().unwrap();
    assert!(stderr(&refused).contains("has served as a primary"), "{}", stderr(&refused));
    Binary::start(&second).kill();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.starts_with("second.db") {
            std::fs::remove_file(folder.path().join(name)).unwrap();
        }
    }
    Binary::with(&second, &["--peer", &url]).kill();
}

#[test]
fn a_standby_requires_a_replica_and_litestream() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("paulina.db");
    let without_replica = binary::command(&database, &["--standby"]).output().unwrap();
    assert_eq!(without_replica.status.code(), Some(2), "{}", stderr(&without_replica));
    let replica = ["--restore-from", "file:///nowhere", "--litestream-bin", "/nowhere/litestream"];
    for arguments in [&replica[..], &[&["--standby"], &replica[..]].concat()] {
        let without = binary::command(&database, arguments).output().unwrap();
        assert_eq!(without.status.code(), Some(1));
        let text = stderr(&without);
        assert!(text.contains("cannot start /nowhere/litestream; install Litestream"), "{text}");
    }
    assert!(!database.exists());
}

#[cfg(unix)]
#[test]
fn the_service_manager_is_notified() {
    let folder = tempfile::tempdir().unwrap();
    let socket_path = folder.path().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&socket_path).unwrap();
    let mut command = binary::command(&folder.path().join("paulina.db"), &[]);
    let mut child = command.env("NOTIFY_SOCKET", &socket_path).stderr(Stdio::null()).spawn().unwrap();
    let next_message = || {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    };
    assert_eq!(next_message().trim(), "READY=1");
    // Promoting a primary changes nothing.
    let id = child.id().to_string();
    for signal in ["-USR1", "-TERM"] {
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }
    assert_eq!(next_message().trim(), "STOPPING=1");
    assert!(child.wait().unwrap().success());
}
