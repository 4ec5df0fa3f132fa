//! What time it is for leases when a registry starts, and whether its history goes on.
//!
//! The file beside the database says more than the database: the lease clock to a tick, and how far the database had
//! come. A database that knows of fewer changes than the file, or that comes without one, was put back from a backup. Its
//! leases are then as old as the backup, and its revisions may have been told already: the clock is taken from the
//! database itself, and a new epoch begins. One that lacks nothing but the last heartbeats has lost them in a power cut:
//! the clock goes back with them, so that nobody expires for it, and the history goes on.

use crate::store::{Beside, Location, Moment, OpenError, StoreError, Writer};

use super::lease_clock::TICK;

/// What the file beside the database is to say.
pub(super) fn record(writer: &Writer, now: Moment, clean: bool) -> crate::store::Record {
    let revision = writer.revision();
    crate::store::Record {
        epoch: revision.epoch,
        revision: i64::try_from(revision.number).unwrap_or(i64::MAX),
        committed: writer.committed(),
        now: now.lease,
        clean,
        tokens: writer.live().tokens().version,
    }
}

/// That a database cannot be begun with.
pub(super) fn failed(location: &Location, error: &StoreError) -> OpenError {
    OpenError::Migration { path: location.path().to_owned(), detail: error.to_string() }
}

/// The lease time to begin with.
pub(super) async fn lease_time(
    writer: &mut Writer,
    beside: Option<&mut Beside>,
    wall: i64,
) -> Result<i64, StoreError> {
    let fresh = writer.committed() == 0;
    if fresh {
        return Ok(wall);
    }
    let revision = writer.revision();
    let noted = beside.and_then(Beside::read).filter(|noted| {
        noted.epoch == revision.epoch
            && u64::try_from(noted.revision).is_ok_and(|number| number <= revision.number)
    });
    let Some(noted) = noted else {
        writer.begin_epoch().await?;
        tracing::warn!(
            epoch = writer.revision().epoch,
            "the database does not go with the file beside it, as after a restore or a promotion: a new epoch begins"
        );
        return Ok(writer.committed());
    };
    if noted.committed > writer.committed() {
        tracing::warn!(
            "the database lacks the last heartbeats, as after a power cut: leases run on from its last commit"
        );
        return Ok(writer.committed());
    }
    let unclean = if noted.clean { 0 } else { TICK };
    Ok(noted.now.max(writer.committed()) + unclean)
}
