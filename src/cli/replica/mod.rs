//! Replicas that Litestream keeps, and what is done with them.
//!
//! A replica belongs to one machine: a folder, or a bucket and a path. Each epoch of its database has a folder of its own in
//! it, `URL/1`, `URL/2` and so on, and the highest is the newest. So no two histories ever come into one folder, and who
//! restores finds the newest without listing what is there, which Litestream cannot.

mod litestream;
mod peer;
mod replicate;
mod restore;
mod standby;

pub(super) use litestream::{Litestream, Replica};
pub(super) use peer::{Peer, Superseded, forget};
pub(super) use replicate::{Replicate, replicate};
pub(super) use restore::restore_if_missing;
pub(super) use standby::{Asked, Keeper, Promotions, promotions};
