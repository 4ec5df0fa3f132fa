//! What operators do from the command line: backups, roles, and being told that it is ready.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use paulina::{Filter, Registration, Registry};

use crate::support::binary::{self, Binary};

fn paulina(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paulina"));
    command.args(arguments).stdin(Stdio::null()).env_remove("PAULINA_TOKEN").output().unwrap()
}

fn said(output: &Output) -> String {
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
async fn a_backup_is_whole_and_begins_an_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    register(&at("paulina.db"), &["a", "b"]).await;
    let served = Binary::start(&at("paulina.db"));
    let (database, file) = (at("paulina.db"), at("backup.db"));
    let arguments = ["backup", file.to_str().unwrap(), "--database", database.to_str().unwrap()];
    let done = paulina(&arguments);
    assert!(done.status.success(), "{}", said(&done));
    let text = String::from_utf8(done.stdout.clone()).unwrap();
    assert!(
        text.contains("backup.db: 2 servers, 0 tokens, ") && text.ends_with(" bytes, checked\n"),
        "{text}"
    );
    let again = paulina(&arguments);
    assert_eq!(again.status.code(), Some(1));
    assert!(said(&again).contains("there is a file already"), "{}", said(&again));
    assert!(!at("backup.db-unfinished").exists());
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
    assert_eq!(after.find(Filter::new().words("t")).await.unwrap().servers.len(), 2, "searched, too");
    before.close().await;
    after.close().await;
}

#[tokio::test]
async fn a_damaged_database_gives_no_backup() {
    let folder = tempfile::tempdir().unwrap();
    let (database, file) = (folder.path().join("paulina.db"), folder.path().join("backup.db"));
    register(&database, &["a"]).await;
    let orphan = "PRAGMA foreign_keys = OFF; INSERT INTO tags (server, tag) VALUES (4711, 'nobody')";
    crate::support::edit(&database, orphan).await;
    let failed = paulina(&["backup", file.to_str().unwrap(), "--database", database.to_str().unwrap()]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(said(&failed).contains("1 rows belong to servers that are not there"), "{}", said(&failed));
    assert!(!file.exists() && !folder.path().join("backup.db-unfinished").exists());
    let missing = paulina(&["backup", file.to_str().unwrap(), "--database", "/nowhere/paulina.db"]);
    assert!(said(&missing).contains("there is no database /nowhere/paulina.db"), "{}", said(&missing));
}

#[test]
fn a_registry_says_whether_it_is_ready_and_as_what() {
    let folder = tempfile::tempdir().unwrap();
    let served = Binary::start(&folder.path().join("paulina.db"));
    let ready = paulina(&["health", "--registry", &served.url]);
    assert_eq!((ready.status.code(), ready.stdout.as_slice()), (Some(0), b"ready: primary\n".as_slice()));
    let promoted = paulina(&["promote", "--registry", &served.url]);
    assert!(promoted.status.success(), "a primary stays one: {}", said(&promoted));
    let url = served.url.clone();
    served.kill();
    assert_eq!(paulina(&["health", "--registry", &url]).status.code(), Some(4), "nobody answers");
    let several = paulina(&["promote", "--registry", "http://127.0.0.1:1,http://127.0.0.1:2"]);
    assert!(said(&several).contains("this is for one"), "{}", said(&several));
}

#[test]
fn two_primaries_keep_out_of_each_other_s_way() {
    let folder = tempfile::tempdir().unwrap();
    let first = Binary::start(&folder.path().join("first.db"));
    let second = folder.path().join("second.db");
    let refused = binary::command(&second, &["--peer", &first.url]).output().unwrap();
    assert_eq!(refused.status.code(), Some(6));
    assert!(said(&refused).contains("serves as a primary. If it was promoted"), "{}", said(&refused));
    assert!(!second.exists());
    let url = first.url.clone();
    // One that has a database remembers it: it must not take over by itself when the other one is down.
    Binary::start(&second).kill();
    let refused = binary::command(&second, &["--peer", &url]).output().unwrap();
    assert!(said(&refused).contains("serves as a primary"), "{}", said(&refused));
    first.kill();
    let refused = binary::command(&second, &["--peer", &url]).output().unwrap();
    assert!(said(&refused).contains("was seen to serve as a primary"), "{}", said(&refused));
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
fn a_standby_needs_a_replica_and_litestream() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("paulina.db");
    let lonely = binary::command(&database, &["--standby"]).output().unwrap();
    assert_eq!(lonely.status.code(), Some(2), "{}", said(&lonely));
    let replica = ["--restore-from", "file:///nowhere", "--litestream", "/nowhere/litestream"];
    for arguments in [&replica[..], &[&["--standby"], &replica[..]].concat()] {
        let without = binary::command(&database, arguments).output().unwrap();
        assert_eq!(without.status.code(), Some(1));
        let text = said(&without);
        assert!(text.contains("cannot start /nowhere/litestream; install Litestream"), "{text}");
    }
    assert!(!database.exists());
}

#[cfg(unix)]
#[test]
fn the_service_manager_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&at).unwrap();
    let mut command = binary::command(&folder.path().join("paulina.db"), &[]);
    let mut child = command.env("NOTIFY_SOCKET", &at).stderr(Stdio::null()).spawn().unwrap();
    let told = || {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    };
    assert_eq!(told().trim(), "READY=1");
    // Who is a primary is none the less for being promoted.
    let id = child.id().to_string();
    for signal in ["-USR1", "-TERM"] {
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }
    assert_eq!(told().trim(), "STOPPING=1");
    assert!(child.wait().unwrap().success());
}
