//! Sockets: listeners, connections and their limits.

pub(super) mod builder;
pub(super) mod connections;
pub(super) mod limits;
pub(super) mod listener;
pub(super) mod tracked_io;
