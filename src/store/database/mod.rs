//! The database file: its location, companion files, creation, locks, connections, migrations and WAL.

pub(super) mod checkpoint;
pub(super) mod companion;
pub(super) mod connect;
pub(super) mod create;
pub(super) mod inspect;
pub(super) mod lease_file;
pub(super) mod litestream_lock;
pub(super) mod location;
pub(super) mod migrations;
