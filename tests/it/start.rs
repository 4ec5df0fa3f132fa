//! Starting: what is not ours is refused with a way out, and left as it was.

use std::path::Path;

use paulina::{OpenError, Registration, Registry};
use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};

use crate::support::binary::Binary;
use crate::support::{binary, edit};

/// Opens, in process and by the binary, and sees that both refuse with this message and touch nothing.
async fn refused(path: &Path, message: &str) -> OpenError {
    let before = std::fs::read(path).unwrap();
    let error = Registry::open(path).await.unwrap_err();
    assert!(error.to_string().contains(message), "{error}");
    let output = binary::command(path, &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains(message) && text.contains(&path.display().to_string()), "{text}");
    assert_eq!(std::fs::read(path).unwrap(), before, "the file is untouched");
    assert!(!path.with_extension("db-lease").exists(), "nothing is left behind");
    error
}

#[tokio::test]
async fn a_file_that_is_no_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.db");
    std::fs::write(&path, "these are my notes, and they are precious").unwrap();
    let error = refused(&path, "is not a SQLite database. Name another file").await;
    assert!(matches!(error, OpenError::NotADatabase { .. }));
}

#[tokio::test]
async fn a_database_of_another_program() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.db");
    edit(&path, "CREATE TABLE notes (text TEXT)").await;
    let error = refused(&path, "not Paulina's. Name another file").await;
    assert!(matches!(error, OpenError::ForeignDatabase { .. }));
}

#[tokio::test]
async fn a_database_of_a_newer_paulina() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("newer.db");
    Registry::open(&path).await.unwrap().close().await;
    std::fs::remove_file(path.with_extension("db-lease")).unwrap();
    let later = "INSERT INTO refinery_schema_history VALUES (99, 'later', '2030-01-01T00:00:00Z', '1')";
    edit(&path, later).await;
    let error = refused(&path, "was written by a newer Paulina (schema 99").await;
    assert!(matches!(error, OpenError::NewerDatabase { found: 99, .. }));
}

#[tokio::test]
async fn a_damaged_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.db");
    let mut bytes = b"SQLite format 3\0".to_vec();
    bytes.extend(vec![0xAA; 8_000]);
    std::fs::write(&path, bytes).unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = Registry::open(&path).await.unwrap_err();
    assert!(matches!(error, OpenError::NotADatabase { .. } | OpenError::Damaged { .. }), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_file_that_another_process_serves() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("served.db");
    let serving = binary::Binary::start(&path);
    let error = Registry::open(&path).await.unwrap_err();
    assert!(matches!(error, OpenError::Served { process: Some(_), .. }), "{error}");
    assert!(error.to_string().contains("is served by another process (process id"), "{error}");
    let output = binary::command(&path, &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8(output.stderr).unwrap().contains("Ask that one, stop it, or name another file")
    );
    serving.kill();
    Registry::open(&path).await.unwrap().close().await;
}

/// To look at a file and close it would end the locks that SQLite holds on it in this process (POSIX), and the next sqlite3 that
/// comes and goes would take the log away from under the registry.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_second_start_in_one_process_leaves_the_first_its_locks() {
    use std::os::unix::fs::MetadataExt;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("paulina.db");
    let registry = Registry::open(&path).await.unwrap();
    let held = || {
        let file = format!(":{} ", std::fs::metadata(&path).unwrap().ino());
        let locks = std::fs::read_to_string("/proc/locks").unwrap();
        locks.lines().any(|lock| lock.contains("POSIX") && lock.contains(&file))
    };
    assert!(held());
    let refused = Registry::open(&path).await.unwrap_err();
    assert!(matches!(refused, OpenError::Served { .. }), "{refused}");
    assert!(held(), "the locks are the registry's still");
    registry.close().await;
}

/// Its disk may stall, or another program hold its database: that is when somebody is tempted to start another one.
#[tokio::test]
async fn a_peer_that_is_ill_is_a_primary_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("first.db");
    let first = Binary::start(&path);
    let mut other = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let second = folder.path().join("second.db");
    std::fs::write(&second, "").unwrap();
    let refused = binary::command(&second, &["--peer", &first.url]).output().unwrap();
    let text = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(6), "{text}");
    assert!(text.contains("serves as a primary"), "{text}");
    assert!(folder.path().join("second.db-superseded").exists(), "it is remembered");
}

#[tokio::test]
async fn a_folder_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let error = Registry::open(folder.path().join("missing/paulina.db")).await.unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }));
    assert!(error.to_string().contains("Check that its folder exists"), "{error}");
}

#[tokio::test]
async fn an_address_that_others_can_reach_is_refused_while_the_registry_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("paulina.db");
    let output = binary::command(&path, &["--help"]).output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains("--insecure-open"));
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_paulina"));
    let output = command.args(["serve", "--listen", "0.0.0.0:0", "--database"]).arg(&path).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("is not a loopback address") && text.contains("--insecure-open"), "{text}");
    assert!(!path.exists());
}

#[tokio::test]
async fn several_processes_that_begin_one_file_at_once_migrate_it_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("paulina.db");
    let children: Vec<_> = (0..6).map(|_| binary::command(&path, &[]).spawn().unwrap()).collect();
    let mut serving = Vec::new();
    let mut refused = 0;
    for mut child in children {
        use std::io::{BufRead, BufReader};
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        if line.contains("serving") {
            serving.push(child);
        } else {
            assert!(line.contains("is served by another process"), "{line}");
            assert_eq!(child.wait().unwrap().code(), Some(1));
            refused += 1;
        }
    }
    assert_eq!((serving.len(), refused), (1, 5));
    for mut child in serving {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let registry = Registry::open(&path).await.unwrap();
    registry.register(Registration::stdio("s", ["x"])).await.unwrap();
    registry.close().await;
}

/// Before 3.51.3, SQLite can corrupt a WAL database that two connections write and checkpoint at once.
#[tokio::test]
async fn the_sqlite_inside_has_the_wal_fix() {
    let mut connection = SqliteConnectOptions::new().in_memory(true).connect().await.unwrap();
    let version: String =
        sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&mut connection).await.unwrap();
    let parts: Vec<u32> = version.split('.').map(|part| part.parse().unwrap()).collect();
    assert!(parts >= vec![3, 51, 3], "{version}");
}

/// A database is made under another name and gets its own when it is whole.
#[tokio::test]
async fn what_a_start_that_was_killed_has_left_is_cleared_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("paulina.db");
    for left in ["paulina.db-new", "paulina.db-new-journal", "paulina.db-new-wal"] {
        std::fs::write(folder.path().join(left), "half a database").unwrap();
    }
    let registry = Registry::open(&path).await.unwrap();
    registry.register(Registration::stdio("s", ["x"])).await.unwrap();
    registry.close().await;
    let mut files: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, ["paulina.db", "paulina.db-lease"]);
}

/// A database of ours with a transaction that was cut off, as a killed sqlite3 leaves it in rollback mode.
#[tokio::test]
async fn a_transaction_that_was_cut_off_is_rolled_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("paulina.db");
    let registry = Registry::open(&path).await.unwrap();
    registry.register(Registration::stdio("s", ["x"]).id("s")).await.unwrap();
    registry.close().await;
    let left = tempfile::tempdir().unwrap();
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut connection =
        options.pragma("cache_spill", "1").pragma("cache_size", "2").connect().await.unwrap();
    let cut_off = "PRAGMA journal_mode = DELETE; BEGIN; UPDATE servers SET title = 'half';
        CREATE TABLE filler AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2000)
        SELECT i, randomblob(500) AS b FROM n";
    sqlx::raw_sql(cut_off).execute(&mut connection).await.unwrap();
    for file in ["paulina.db", "paulina.db-journal", "paulina.db-lease"] {
        std::fs::copy(folder.path().join(file), left.path().join(file)).unwrap();
    }
    drop(connection);
    let registry = Registry::open(left.path().join("paulina.db")).await.unwrap();
    assert_eq!(registry.get("s").await.unwrap().unwrap().title, None);
    registry.close().await;
}

/// The log of a database that was moved away is not taken for the new one's, and not thrown away either.
#[tokio::test]
async fn a_log_that_was_left_behind_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("paulina.db");
    let registry = Registry::open(&path).await.unwrap();
    registry.register(Registration::stdio("s", ["x"]).id("old")).await.unwrap();
    let log = std::fs::read(folder.path().join("paulina.db-wal")).unwrap();
    registry.close().await;
    for file in ["paulina.db", "paulina.db-lease"] {
        std::fs::remove_file(folder.path().join(file)).unwrap();
    }
    std::fs::write(folder.path().join("paulina.db-wal"), &log).unwrap();
    let registry = Registry::open(&path).await.unwrap();
    assert_eq!(registry.stats().await.unwrap().servers.total, 0);
    registry.close().await;
    assert_eq!(std::fs::read(folder.path().join("paulina.db-wal-left")).unwrap(), log);
}

/// SQLite names its log after the file that a link leads to; so do the lock and the lease clock.
#[cfg(unix)]
#[tokio::test]
async fn a_link_is_the_file_that_it_leads_to() {
    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (folder.path().join("real.db"), folder.path().join("link.db"));
    std::os::unix::fs::symlink("real.db", &link).unwrap();
    let registry = Registry::open(&link).await.unwrap();
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink() && path.exists());
    let error = Registry::open(&path).await.unwrap_err();
    assert!(matches!(error, OpenError::Served { .. }), "one file is not served under two names: {error}");
    registry.close().await;
    let mut files: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, ["link.db", "real.db", "real.db-lease"]);
}
