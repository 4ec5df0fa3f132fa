//! What can go wrong with the database, sorted by what the layer above does about it.

use std::io;
use std::path::PathBuf;

/// A statement failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The disk is full: nothing was written, reads go on.
    #[error("the disk is full")]
    Full,
    /// Somebody else has held the write lock for as long as we wait: try again.
    #[error("another program holds the database's write lock")]
    Busy,
    /// Anything else: a damaged file, a failing disk, a row edited into something that is no registration.
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

/// A row holds what is no part of a registration: somebody edited it.
pub(super) fn odd_row(server: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("the server {server:?} in the database cannot be read").into())
}

/// A row of `tokens` holds what is no token: somebody edited it.
pub(super) fn odd_token(name: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("the token {name:?} in the database cannot be read; delete its row").into())
}

/// Why a database was not opened. The file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be opened or created: mend the path or its permissions.
    #[error("cannot open the database {path}: {reason}. Check that its folder exists and can be written.")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        reason: io::Error,
    },
    /// The file is no SQLite database: name another file.
    #[error(
        "{path} is not a SQLite database. Name another file, or move this one away to begin a new registry."
    )]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The file is a database of some other program: name another file.
    #[error("{path} is a SQLite database, but not Paulina's. Name another file.")]
    ForeignDatabase {
        /// The file.
        path: PathBuf,
    },
    /// A newer Paulina has written the file: run that one, or restore a backup from before the upgrade.
    #[error(
        "{path} was written by a newer Paulina (schema {found}; this one knows {known}). \
         Run the newer one, or restore a backup from before the upgrade."
    )]
    NewerDatabase {
        /// The file.
        path: PathBuf,
        /// The version of its schema.
        found: i32,
        /// The newest version that this program knows.
        known: i32,
    },
    /// Another process serves the file: ask that one, stop it, or name another file.
    #[error(
        "{path} is served by another process{}. Ask that one, stop it, or name another file.",
        process.map_or(String::new(), |id| format!(" (process id {id})"))
    )]
    Served {
        /// The file.
        path: PathBuf,
        /// The id of that process, where it is known.
        process: Option<u32>,
    },
    /// Litestream still replicates the file that lay there before, and would mix the two: end it.
    #[error(
        "Litestream{} still replicates the database that lay at {path} before, and would mix the two. End it.",
        process.map_or(String::new(), |id| format!(" (process id {id})"))
    )]
    Replicated {
        /// The file.
        path: PathBuf,
        /// The id of its process, where it is known.
        process: Option<u32>,
    },
    /// The file is damaged: restore a backup.
    #[error("{path} is damaged: {detail}. Restore a backup, or move it away to begin a new registry.")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        detail: String,
    },
    /// The schema cannot be brought up to date: see the reason.
    #[error("cannot prepare the database {path}: {detail}")]
    Migration {
        /// The file.
        path: PathBuf,
        /// What SQLite or refinery says.
        detail: String,
    },
}

impl OpenError {
    /// The same of another file.
    pub(super) fn at(self, other: &std::path::Path) -> Self {
        let other = other.to_owned();
        match self {
            Self::Io { reason, .. } => Self::Io { path: other, reason },
            Self::NotADatabase { .. } => Self::NotADatabase { path: other },
            Self::ForeignDatabase { .. } => Self::ForeignDatabase { path: other },
            Self::NewerDatabase { found, known, .. } => Self::NewerDatabase { path: other, found, known },
            Self::Served { process, .. } => Self::Served { path: other, process },
            Self::Replicated { process, .. } => Self::Replicated { path: other, process },
            Self::Damaged { detail, .. } => Self::Damaged { path: other, detail },
            Self::Migration { detail, .. } => Self::Migration { path: other, detail },
        }
    }

    /// The same of what fails once the schema is there.
    pub(super) fn unreadable(path: &std::path::Path, error: &StoreError) -> Self {
        match error {
            StoreError::Failed(error) => Self::sqlite(path, error),
            StoreError::Full | StoreError::Busy => {
                Self::Migration { path: path.to_owned(), detail: error.to_string() }
            }
        }
    }

    /// Sorts what SQLite says when a file is opened.
    pub(super) fn sqlite(path: &std::path::Path, error: &sqlx::Error) -> Self {
        let path = path.to_owned();
        match primary_code(error) {
            Some(NOTADB) => Self::NotADatabase { path },
            Some(CORRUPT) => Self::Damaged { path, detail: error.to_string() },
            _ => Self::Migration { path, detail: error.to_string() },
        }
    }
}
