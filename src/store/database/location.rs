//! The location of a registry.
//!
//! SQLite names its log after the target of a symbolic link. The lease file has to be next to that target, too, or two
//! processes could serve one file under two names.

use std::io;
use std::path::{Path, PathBuf};

use crate::store::error::OpenError;

/// The location of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    /// A file, by a path that is not a symbolic link.
    File(PathBuf),
    /// Memory; lost when the process exits.
    Memory,
}

impl Location {
    /// Converts a path; `:memory:` is not a file.
    pub(crate) fn of(path: &Path) -> Result<Self, OpenError> {
        if path == Path::new(":memory:") { Ok(Self::Memory) } else { resolve_symlinks(path).map(Self::File) }
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

/// The same limit as on Linux.
const MAX_SYMLINKS: usize = 40;

/// Resolves symbolic links. The target does not have to exist.
pub(crate) fn resolve_symlinks(path: &Path) -> Result<PathBuf, OpenError> {
    let mut current = path.to_owned();
    for _ in 0..MAX_SYMLINKS {
        match std::fs::read_link(&current) {
            Ok(target) => current = current.parent().unwrap_or(Path::new("")).join(target),
            // Not a symbolic link, or nothing at all.
            Err(_) => return Ok(current),
        }
    }
    let reason = io::Error::other("too many symbolic links");
    Err(OpenError::Io { path: path.to_owned(), reason })
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn symlinks_resolve_to_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("data")).unwrap();
        symlink("data/a.db", at("relative")).unwrap();
        symlink(at("relative"), at("absolute")).unwrap();
        assert_eq!(
            resolve_symlinks(&at("absolute")).unwrap(),
            at("data/a.db"),
            "although the target does not exist"
        );
        std::fs::write(at("data/a.db"), "").unwrap();
        assert_eq!(resolve_symlinks(&at("absolute")).unwrap(), at("data/a.db"));
        assert_eq!(resolve_symlinks(&at("data/a.db")).unwrap(), at("data/a.db"));
        symlink(at("two"), at("one")).unwrap();
        symlink(at("one"), at("two")).unwrap();
        let error = resolve_symlinks(&at("one")).unwrap_err().to_string();
        assert!(error.contains("too many symbolic links"), "{error}");
    }
}
