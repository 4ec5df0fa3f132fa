//! Errors of the database, sorted by the remedy.

use std::io;
use std::path::PathBuf;

/// A statement failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The disk is full: nothing was written, reads continue.
    #[error("the disk is full")]
    Full,
    /// Another program held the write lock until the timeout: try again.
    #[error("another program holds the database's write lock")]
    Busy,
    /// Anything else: a damaged file, a failing disk, a row that was edited into an invalid registration.
    #[error(transparent)]
    Failed(sqlx::Error),
}

/// SQLite's primary result codes, <https://sqlite.org/rescode.html>.
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const NOTADB: i32 = 26;

fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xFF)
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match primary_code(&error) {
            Some(FULL) => Self::Full,
            Some(BUSY | LOCKED) => Self::Busy,
            _ => Self::Failed(error),
        }
    }
}

/// Returns the error for a row that was edited into an invalid registration.
pub(super) fn unreadable_row(server: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("the server {server:?} in the database cannot be read").into())
}

/// Returns the error for a row of `tokens` that was edited into an invalid token.
pub(super) fn unreadable_token(name: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("the token {name:?} in the database cannot be read; delete its row").into())
}

/// Why a database was not opened. The file is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be opened or created: fix the path or its permissions.
    #[error("cannot open the database {path}: {reason}. Check that its folder exists and can be written.")]
    Io {
        /// The path of the database.
        path: PathBuf,
        /// The error of the operating system.
        reason: io::Error,
    },
    /// The file is not a SQLite database: name another file.
    #[error(
        "{path} is not a SQLite database. Name another file, or move this one away to start a new registry."
    )]
    NotADatabase {
        /// The path of the database.
        path: PathBuf,
    },
    /// The file is a database of another program: name another file.
    #[error("{path} is a SQLite database, but not Paulina's. Name another file.")]
    ForeignDatabase {
        /// The path of the database.
        path: PathBuf,
    },
    /// A newer Paulina has written the file: run that version, or restore a backup from before the upgrade.
    #[error(
        "{path} was written by a newer Paulina (schema {found}; this version supports {known}). \
         Run the newer version, or restore a backup from before the upgrade."
    )]
    NewerDatabase {
        /// The path of the database.
        path: PathBuf,
        /// The version of its schema.
        found: i32,
        /// The newest version that this program supports.
        known: i32,
    },
    /// Another process serves the file: use that process, stop it, or name another file.
    #[error(
        "{path} is served by another process{}. Use that process, stop it, or name another file.",
        process.map_or(String::new(), |id| format!(" (process id {id})"))
    )]
    Served {
        /// The path of the database.
        path: PathBuf,
        /// The id of that process, if it is known.
        process: Option<u32>,
    },
    /// Litestream still replicates the previous file at this path, and would mix the two: stop it.
    #[error(
        "Litestream{} still replicates the previous database at {path}, and would mix the two. Stop it.",
        process.map_or(String::new(), |id| format!(" (process id {id})"))
    )]
    Replicated {
        /// The path of the database.
        path: PathBuf,
        /// The id of the Litestream process, if it is known.
        process: Option<u32>,
    },
    /// The file is damaged: restore a backup.
    #[error("{path} is damaged: {detail}. Restore a backup, or move it away to start a new registry.")]
    Damaged {
        /// The path of the database.
        path: PathBuf,
        /// SQLite's description of the damage.
        detail: String,
    },
    /// The schema cannot be migrated: see the detail.
    #[error("cannot prepare the database {path}: {detail}")]
    Migration {
        /// The path of the database.
        path: PathBuf,
        /// The error of SQLite or refinery.
        detail: String,
    },
}

impl OpenError {
    /// Returns the same error for another path.
    pub(super) fn with_path(self, path: &std::path::Path) -> Self {
        let path = path.to_owned();
        match self {
            Self::Io { reason, .. } => Self::Io { path, reason },
            Self::NotADatabase { .. } => Self::NotADatabase { path },
            Self::ForeignDatabase { .. } => Self::ForeignDatabase { path },
            Self::NewerDatabase { found, known, .. } => Self::NewerDatabase { path, found, known },
            Self::Served { process, .. } => Self::Served { path, process },
            Self::Replicated { process, .. } => Self::Replicated { path, process },
            Self::Damaged { detail, .. } => Self::Damaged { path, detail },
            Self::Migration { detail, .. } => Self::Migration { path, detail },
        }
    }

    /// Converts an error that occurred after the migration.
    pub(super) fn from_store(path: &std::path::Path, error: &StoreError) -> Self {
        match error {
            StoreError::Failed(error) => Self::from_sqlite(path, error),
            StoreError::Full | StoreError::Busy => {
                Self::Migration { path: path.to_owned(), detail: error.to_string() }
            }
        }
    }

    /// Converts an error that occurred when the file was opened.
    pub(super) fn from_sqlite(path: &std::path::Path, error: &sqlx::Error) -> Self {
        let path = path.to_owned();
        match primary_code(error) {
            Some(NOTADB) => Self::NotADatabase { path },
            Some(CORRUPT) => Self::Damaged { path, detail: error.to_string() },
            _ => Self::Migration { path, detail: error.to_string() },
        }
    }
}
