//! The database file: where it is, how it is created and locked, its migrations and its WAL.

pub(super) mod checkpoint;
pub(super) mod connect;
pub(super) mod create;
pub(super) mod inspect;
pub(super) mod lease_file;
pub(super) mod litestream_lock;
pub(super) mod location;
pub(super) mod migrations;
