//! Administration of a database outside of a registry: integrity checks, backups, tokens, WAL truncation.

pub(super) mod backup;
pub(super) mod integrity;
pub(super) mod tokens;
pub(super) mod truncate_wal;
