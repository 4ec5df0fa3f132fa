//! The database: its file, its folder, its content, its log.

use std::path::Path;
use std::time::Duration;

use super::Report;
use crate::clock::{Clock, SystemClock};
use crate::store::{Examination, beside, examine, sqlite_version};

/// SQLite before this can corrupt a WAL database that two programs write and checkpoint at once.
const SOUND: [u32; 3] = [3, 51, 3];
/// Less than this is little for a database that grows and folds its log.
const LITTLE_ROOM: u64 = 64 * 1024 * 1024;
/// What the log is cut back to twice over.
const LARGE_LOG: u64 = 128 * 1024 * 1024;
const AHEAD: Duration = Duration::from_mins(1);

pub(super) async fn check(report: &mut Report, path: &Path) {
    match sqlite_version().await {
        Ok(version) => report.fine(format!("SQLite {version} is built in")),
        Err(error) => report.wrong(error.to_string()),
    }
    if !path.exists() {
        report.warn(format!(
            "there is no database {}: `paulina serve` makes it, or name it with --database",
            path.display()
        ));
        return;
    }
    files(report, path);
    room(report, path);
    match examine(path).await {
        Ok(examination) => content(report, path, &examination),
        Err(error) => report.wrong(error.to_string()),
    }
    command(report);
}

/// Permissions, and that the folder can be written: SQLite makes files beside the database.
fn files(report: &mut Report, path: &Path) {
    #[cfg(unix)]
    for ending in ["", "-wal", "-shm", "-lease"] {
        use std::os::unix::fs::PermissionsExt;
        let file = beside(path, ending);
        let Ok(there) = std::fs::metadata(&file) else { continue };
        let mode = there.permissions().mode() & 0o777;
        let name = file.display();
        if mode & 0o077 != 0 {
            report.warn(format!("others on this machine may use {name} (mode {mode:03o}): chmod 600 {name}"));
        } else if ending.is_empty() {
            report.fine(format!("{name} is its owner's alone (mode {mode:03o})"));
        }
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match tempfile::Builder::new().prefix(".paulina-").tempfile_in(folder) {
        Ok(_) => report.fine(format!("the folder {} can be written", folder.display())),
        Err(error) => report.wrong(format!(
            "the folder {} cannot be written: {error}. SQLite keeps its log there: let the registry's user write it",
            folder.display()
        )),
    }
}

#[cfg(unix)]
fn room(report: &mut Report, path: &Path) {
    let Ok(disk) = rustix::fs::statvfs(path) else { return };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let mebibytes = free / (1024 * 1024);
    if free < LITTLE_ROOM {
        report.wrong(format!(
            "{mebibytes} MiB are left on the disk: make room, or writing ends with storage_full"
        ));
    } else {
        report.fine(format!("{mebibytes} MiB are left on the disk"));
    }
}

#[cfg(not(unix))]
fn room(_: &mut Report, _: &Path) {}

fn content(report: &mut Report, path: &Path, examination: &Examination) {
    let Examination { served, schema, faults, journal, servers, tokens, committed_at } = examination;
    if faults.is_empty() {
        report.fine("the database is whole (integrity_check, foreign_key_check)");
    }
    for fault in faults.iter().take(10) {
        report.wrong(format!(
            "the database is damaged: {fault}. Stop the registry, keep the file, restore a backup"
        ));
    }
    match schema {
        (Some(found), known) if found == known => {
            report.fine(format!("schema {found}: {servers} servers, {tokens} tokens"));
        }
        (Some(found), known) => {
            report.warn(format!(
                "schema {found}, of an older Paulina: the next start brings it to {known}; back it up first"
            ));
        }
        (None, _) => report.warn("the database is empty: `paulina serve` fills it"),
    }
    match served {
        Some(_) => report.fine("a process serves it"),
        None => report.warn("no process serves it: start one with `paulina serve`"),
    }
    if journal != "wal" && schema.0.is_some() {
        report.wrong(format!("its journal mode is {journal}, and should be wal: something has changed it; start the registry, which sets it"));
    }
    let wal = crate::registry::wal_bytes(path);
    let mebibytes = wal / (1024 * 1024);
    if wal > LARGE_LOG {
        report.warn(format!(
            "the write-ahead log has {mebibytes} MiB: another program holds a read transaction open (sqlite3, a backup, \
             Litestream); find it with `lsof {}`",
            path.display()
        ));
    } else {
        report.fine(format!("the write-ahead log has {mebibytes} MiB"));
    }
    let now = SystemClock::new().wall().timestamp_millis();
    let ahead = committed_at.saturating_sub(now);
    if ahead > i64::try_from(AHEAD.as_millis()).unwrap_or(i64::MAX) {
        report.warn(format!(
            "the last commit is {} s ahead of this machine's clock: the clock was set back, or is wrong; leases do not mind",
            ahead / 1_000
        ));
    }
}

/// The sqlite3 that people open the file with.
fn command(report: &mut Report) {
    let Ok(output) = std::process::Command::new("sqlite3").arg("--version").output() else { return };
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.split_ascii_whitespace().next().unwrap_or_default();
    let parts: Vec<u32> = version.split('.').filter_map(|part| part.parse().ok()).collect();
    if parts.len() == 3 && parts.as_slice() < SOUND.as_slice() {
        report.warn(format!(
            "the command sqlite3 here is {version}, and versions before 3.51.3 can damage a database that another program \
             writes: open the file with sqlite3 -readonly"
        ));
    }
}
