//! Startup: files that are not a usable database are refused with a way out, and left unchanged.

use std::path::Path;

use paulina::{OpenError, Registration, Registry};
use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};

use crate::support::binary::Binary;
use crate::support::{binary, edit};

/// Opens a file in process and with the binary; asserts that both refuse it with this message and leave it unchanged.
async fn assert_refused(path: &Path, message: &str) -> OpenError {
    let before = std::fs::read(path).unwrap();
    let error = Registry::open(path).await.unwrap_err();
    assert!(error.to_string().contains(message), "{error}");
    let output = binary::command(path, &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains(message) && text.contains(&path.display().to_string()), "{text}");
    assert_eq!(std::fs::read(path).unwrap(), before, "the file is unchanged");
    assert!(!path.with_extension("db-lease").exists(), "no lease file is left");
    error
}

#[tokio::test]
async fn a_file_that_is_not_a_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.db");
    std::fs::write(&path, "these are my notes, and they are precious").unwrap();
    let error = assert_refused(&path, "is not a SQLite database. Name another file").await;
    assert!(matches!(error, OpenError::NotADatabase { .. }));
}

#[tokio::test]
async fn a_database_of_another_program_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.db");
    edit(&path, "CREATE TABLE notes (text TEXT)").await;
    let error = assert_refused(&path, "not Paulina's. Name another file").await;
    assert!(matches!(error, OpenError::ForeignDatabase { .. }));
}

#[tokio::test]
async fn a_database_with_a_newer_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("newer.db");
    Registry::open(&path).await.unwrap().close().await;
    std::fs::remove_file(path.with_extension("db-lease")).unwrap();
    let later = "INSERT INTO refinery_schema_history VALUES (99, 'later', '2030-01-01T00:00:00Z', '1')";
    edit(&path, later).await;
    let error = assert_refused(&path, "was written by a newer Paulina (schema 99").await;
    assert!(matches!(error, OpenError::NewerDatabase { found: 99, .. }));
}

#[tokio::test]
async fn a_damaged_database_is_refused() {
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
async fn a_database_that_another_process_serves_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("served.db");
    let serving = binary::Binary::start(&path);
    let error = Registry::open(&path).await.unwrap_err();
    assert!(matches!(error, OpenError::Served { process: Some(_), .. }), "{error}");
    assert!(error.to_string().contains("is served by another process (process id"), "{error}");
    let output = binary::command(&path, &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8(output.stderr).unwrap().contains("Use that process, stop it, or name another file")
    );
    serving.kill();
    Registry::open(&path).await.unwrap().close().await;
}

/// Closing any file descriptor of a file releases all POSIX locks of the process on it. Without them, the next `sqlite3` shell
/// that exits would delete the WAL that the registry is using.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn opening_a_database_twice_in_one_process_keeps_its_locks() {
    use std::os::unix::fs::MetadataExt;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("paulina.db");
    let registry = Registry::open(&path).await.unwrap();
    let has_posix_lock = || {
        let file = format!(":{} ", std::fs::metadata(&path).unwrap().ino());
        let locks = std::fs::read_to_string("/proc/locks").unwrap();
        locks.lines().any(|lock| lock.contains("POSIX") && lock.contains(&file))
    };
    assert!(has_posix_lock());
    let refused = Registry::open(&path).await.unwrap_err();
    assert!(matches!(refused, OpenError::Served { .. }), "{refused}");
    assert!(has_posix_lock(), "the registry still holds its locks");
    registry.close().await;
}

/// Its disk can stall, or another program can lock its database: then an operator is tempted to start a second primary.
#[tokio::test]
async fn a_peer_that_cannot_write_still_counts_as_a_primary() {
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
    assert!(folder.path().join("second.db-superseded").exists(), "the peer is remembered");
}

#[tokio::test]
async fn a_missing_folder_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let error = Registry::open(folder.path().join("missing/paulina.db")).await.unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }));
    assert!(error.to_string().contains("Check that its folder exists"), "{error}");
}

#[tokio::test]
async fn a_public_address_is_refused_without_authentication() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("paulina.db");
    let output = binary::command(&path, &["--help"]).output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains("--allow-unauthenticated"));
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_paulina"));
    let output = command.args(["serve", "--listen", "0.0.0.0:0", "--database"]).arg(&path).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("is not a loopback address") && text.contains("--allow-unauthenticated"), "{text}");
    assert!(!path.exists());
}

#[tokio::test]
async fn only_one_of_several_processes_creates_and_serves_a_database() {
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
async fn the_bundled_sqlite_has_the_wal_fix() {
    let mut connection = SqliteConnectOptions::new().in_memory(true).connect().await.unwrap();
    let version: String =
        sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&mut connection).await.unwrap();
    let parts: Vec<u32> = version.split('.').map(|part| part.parse().unwrap()).collect();
    assert!(parts >= vec![3, 51, 3], "{version}");
}

/// A database is created under a temporary name, and renamed when it is complete.
#[tokio::test]
async fn files_of_a_killed_start_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("paulina.db");
    for file in ["paulina.db-new", "paulina.db-new-journal", "paulina.db-new-wal"] {
        std::fs::write(folder.path().join(file), "half a database").unwrap();
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

/// A database with an unfinished transaction in rollback mode, as a killed `sqlite3` leaves it.
#[tokio::test]
async fn an_interrupted_transaction_is_rolled_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("paulina.db");
    let registry = Registry::open(&path).await.unwrap();
    registry.register(Registration::stdio("s", ["x"]).id("s")).await.unwrap();
    registry.close().await;
    let copy = tempfile::tempdir().unwrap();
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut connection =
        options.pragma("cache_spill", "1").pragma("cache_size", "2").connect().await.unwrap();
    let unfinished = "PRAGMA journal_mode = DELETE; BEGIN; UPDATE servers SET title = 'half';
        CREATE TABLE filler AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2000)
        SELECT i, randomblob(500) AS b FROM n";
    sqlx::raw_sql(unfinished).execute(&mut connection).await.unwrap();
    for file in ["paulina.db", "paulina.db-journal", "paulina.db-lease"] {
        std::fs::copy(folder.path().join(file), copy.path().join(file)).unwrap();
    }
    drop(connection);
    let registry = Registry::open(copy.path().join("paulina.db")).await.unwrap();
    assert_eq!(registry.get("s").await.unwrap().unwrap().title, None);
    registry.close().await;
}

/// The WAL of a database that was moved away is not applied to the new database, and not deleted.
#[tokio::test]
async fn the_wal_of_a_moved_database_is_kept_but_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("paulina.db");
    let registry = Registry::open(&path).await.unwrap();
    registry.register(Registration::stdio("s", ["x"]).id("old")).await.unwrap();
    let wal = std::fs::read(folder.path().join("paulina.db-wal")).unwrap();
    registry.close().await;
    for file in ["paulina.db", "paulina.db-lease"] {
        std::fs::remove_file(folder.path().join(file)).unwrap();
    }
    std::fs::write(folder.path().join("paulina.db-wal"), &wal).unwrap();
    let registry = Registry::open(&path).await.unwrap();
    assert_eq!(registry.stats().await.unwrap().servers.total, 0);
    registry.close().await;
    assert_eq!(std::fs::read(folder.path().join("paulina.db-wal-left")).unwrap(), wal);
}

/// SQLite names the WAL after the target of the link, and so do the lock and the lease clock.
#[cfg(unix)]
#[tokio::test]
async fn a_symbolic_link_and_its_target_are_one_database() {
    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (folder.path().join("real.db"), folder.path().join("link.db"));
    std::os::unix::fs::symlink("real.db", &link).unwrap();
    let registry = Registry::open(&link).await.unwrap();
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink() && path.exists());
    let error = Registry::open(&path).await.unwrap_err();
    assert!(
        matches!(error, OpenError::Served { .. }),
        "one database cannot be served under two names: {error}"
    );
    registry.close().await;
    let mut files: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, ["link.db", "real.db", "real.db-lease"]);
}
