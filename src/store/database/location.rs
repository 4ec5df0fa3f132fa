//! Where a registry lives, and what the files beside it are called.
//!
//! SQLite names its log after the file that a symbolic link leads to. The lock and the lease clock have to lie beside that
//! file, too, or two processes could serve it under two names.

use std::io;
use std::path::{Path, PathBuf};

use crate::store::error::OpenError;

/// Where a registry lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    /// In a file, by a name that is no symbolic link.
    File(PathBuf),
    /// In memory, and gone with the process.
    Memory,
}

impl Location {
    /// What a path names; `:memory:` is no file.
    pub(crate) fn of(path: &Path) -> Result<Self, OpenError> {
        if path == Path::new(":memory:") { Ok(Self::Memory) } else { resolved(path).map(Self::File) }
    }

    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Memory => None,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::File(path) => path,
            Self::Memory => Path::new(":memory:"),
        }
    }
}

/// As many as Linux follows.
const LINKS: usize = 40;

/// The file that a path leads to through symbolic links, be it there or not.
pub(crate) fn resolved(path: &Path) -> Result<PathBuf, OpenError> {
    let mut at = path.to_owned();
    for _ in 0..LINKS {
        match std::fs::read_link(&at) {
            Ok(target) => at = at.parent().unwrap_or(Path::new("")).join(target),
            // No link, or nothing at all.
            Err(_) => return Ok(at),
        }
    }
    let reason = io::Error::other("too many symbolic links");
    Err(OpenError::Io { path: path.to_owned(), reason })
}

/// The file beside another whose name goes on with an ending.
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_lead_to_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("data")).unwrap();
        symlink("data/a.db", at("relative")).unwrap();
        symlink(at("relative"), at("absolute")).unwrap();
        assert_eq!(resolved(&at("absolute")).unwrap(), at("data/a.db"), "although nothing is there");
        std::fs::write(at("data/a.db"), "").unwrap();
        assert_eq!(resolved(&at("absolute")).unwrap(), at("data/a.db"));
        assert_eq!(resolved(&at("data/a.db")).unwrap(), at("data/a.db"));
        symlink(at("two"), at("one")).unwrap();
        symlink(at("one"), at("two")).unwrap();
        let error = resolved(&at("one")).unwrap_err().to_string();
        assert!(error.contains("too many symbolic links"), "{error}");
    }
}
