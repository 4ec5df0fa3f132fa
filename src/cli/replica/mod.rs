//! Replication with Litestream: writing replicas, restoring from them, and promoting standbys.
//!
//! A replica belongs to one machine: a folder, or a bucket and a path. Each epoch of its database has its own folder in the
//! replica, `URL/1`, `URL/2` and so on, and the highest number is the latest. Two histories therefore never share a folder, and
//! the latest is found without listing folders, which Litestream does not support.

mod litestream;
mod peer;
mod replicate;
mod restore;
mod standby;

pub(super) use litestream::{Litestream, Replica};
pub(super) use peer::{Peer, Superseded, forget_superseded};
pub(super) use replicate::{Replicate, replicate};
pub(super) use restore::restore_if_missing;
pub(super) use standby::{PromotionRequests, PromotionSender, StandbyRestorer, promotion_channel};
