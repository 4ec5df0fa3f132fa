//! Checks of the database: its file, folder, content and write-ahead log.

use std::path::Path;
use std::time::Duration;

use semver::Version;

use super::Report;
use crate::clock::{Clock, SystemClock};
use crate::store::{Companion, IntegrityReport, check_integrity, sqlite_version};

/// Older versions of SQLite can corrupt a WAL database that two processes write and checkpoint at once.
const MIN_SAFE_VERSION: Version = Version::new(3, 51, 3);
/// Free disk space below which the database may soon be unable to grow.
const LOW_DISK_SPACE: u64 = 64 * 1024 * 1024;
/// Twice the size that checkpoints truncate the write-ahead log to.
const LARGE_WAL: u64 = 128 * 1024 * 1024;
const MAX_CLOCK_AHEAD: Duration = Duration::from_mins(1);

pub(super) async fn check(report: &mut Report, path: &Path) {
    match sqlite_version().await {
        Ok(version) => report.ok(format!("SQLite {version} is built in")),
        Err(error) => report.error(error.to_string()),
    }
    if !path.exists() {
        report.warn(format!(
            "database {} does not exist: `paulina serve` creates it, or name another with --database",
            path.display()
        ));
        return;
    }
    files(report, path);
    disk_space(report, path);
    match check_integrity(path).await {
        Ok(integrity) => content(report, path, &integrity),
        Err(error) => report.error(error.to_string()),
    }
    sqlite_command(report);
}

/// Checks the permissions, and that the folder is writable: SQLite creates files next to the database.
fn files(report: &mut Report, path: &Path) {
    #[cfg(unix)]
    let companions = [Companion::Wal, Companion::SharedMemory, Companion::Lease];
    #[cfg(unix)]
    for file in std::iter::once(path.to_owned()).chain(companions.map(|companion| companion.path(path))) {
        use std::os::unix::fs::PermissionsExt;
        let Ok(metadata) = std::fs::metadata(&file) else { continue };
        let mode = metadata.permissions().mode() & 0o777;
        let name = file.display();
        if mode & 0o077 != 0 {
            report.warn(format!(
                "other users of this machine can access {name} (mode {mode:03o}): chmod 600 {name}"
            ));
        } else if file == path {
            report.ok(format!("only its owner can access {name} (mode {mode:03o})"));
        }
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match tempfile::Builder::new().prefix(".paulina-").tempfile_in(folder) {
        Ok(_) => report.ok(format!("the folder {} is writable", folder.display())),
        Err(error) => report.error(format!(
            "the folder {} is not writable: {error}. SQLite stores its log there: make it writable for the user of the registry",
            folder.display()
        )),
    }
}

#[cfg(unix)]
fn disk_space(report: &mut Report, path: &Path) {
    let Ok(disk) = rustix::fs::statvfs(path) else { return };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let mebibytes = free / (1024 * 1024);
    if free < LOW_DISK_SPACE {
        report.error(format!(
            "{mebibytes} MiB of disk space are free: free more, or writes will fail with storage_full"
        ));
    } else {
        report.ok(format!("{mebibytes} MiB of disk space are free"));
    }
}

#[cfg(not(unix))]
fn disk_space(_: &mut Report, _: &Path) {}

fn content(report: &mut Report, path: &Path, integrity: &IntegrityReport) {
    let IntegrityReport { served, schema, faults, journal, servers, tokens, committed_at } = integrity;
    if faults.is_empty() {
        report.ok("the database is intact (integrity_check, foreign_key_check)");
    }
    for fault in faults.iter().take(10) {
        report.error(format!(
            "the database is damaged: {fault}. Stop the registry, keep the file, and restore a backup"
        ));
    }
    match schema {
        (Some(found), known) if found == known => {
            report.ok(format!("schema {found}: {servers} servers, {tokens} tokens"));
        }
        (Some(found), known) => {
            report.warn(format!(
                "schema {found}, from an older version of Paulina: the next start migrates it to {known}; back it up first"
            ));
        }
        (None, _) => report.warn("the database is empty: `paulina serve` initializes it"),
    }
    match served {
        Some(_) => report.ok("a process serves the database"),
        None => report.warn("no process serves the database: start one with `paulina serve`"),
    }
    if journal != "wal" && schema.0.is_some() {
        report.error(format!("the journal mode is {journal} instead of wal, so another program has changed it: start the registry, which resets it"));
    }
    let wal = crate::registry::wal_bytes(path);
    let mebibytes = wal / (1024 * 1024);
    if wal > LARGE_WAL {
        report.warn(format!(
            "the write-ahead log has {mebibytes} MiB: another program holds a read transaction open (sqlite3, a backup, \
             Litestream); find it with `lsof {}`",
            path.display()
        ));
    } else {
        report.ok(format!("the write-ahead log has {mebibytes} MiB"));
    }
    let now = SystemClock::new().wall().timestamp_millis();
    let ahead = committed_at.saturating_sub(now);
    if ahead > i64::try_from(MAX_CLOCK_AHEAD.as_millis()).unwrap_or(i64::MAX) {
        report.warn(format!(
            "the last commit is {} s ahead of this machine's clock: the clock was set back or is wrong; leases are not affected",
            ahead / 1_000
        ));
    }
}

/// Checks the version of the `sqlite3` command, which may be used to open the database.
fn sqlite_command(report: &mut Report) {
    let Ok(output) = std::process::Command::new("sqlite3").arg("--version").output() else { return };
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.split_ascii_whitespace().next().unwrap_or_default();
    if Version::parse(version).is_ok_and(|version| version < MIN_SAFE_VERSION) {
        report.warn(format!(
            "the command sqlite3 has version {version}, and versions before {MIN_SAFE_VERSION} can damage a database that \
             another process writes: open the file with sqlite3 -readonly"
        ));
    }
}
