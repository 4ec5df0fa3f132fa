//! Recovers the lease clock and the epoch when a registry starts.
//!
//! The lease file is more precise than the database: it contains the lease clock to a tick and the last revision. A database
//! with fewer changes than its lease file, or without one, was restored from a backup. Its leases are as old as the backup,
//! and clients may have seen later revisions: the clock is taken from the database, and a new epoch begins. A database that
//! lacks only the last heartbeats lost them in a power failure: the clock goes back with them, so that no server expires
//! because of it, and the epoch continues.

use crate::store::{LeaseFile, Location, Moment, OpenError, StoreError, Writer};

use super::lease_clock::TICK_MS;

/// Returns what to write to the lease file.
pub(super) fn lease_file_contents(
    writer: &Writer,
    now: Moment,
    clean: bool,
) -> crate::store::LeaseFileContents {
    let revision = writer.revision();
    crate::store::LeaseFileContents {
        epoch: revision.epoch,
        revision: i64::try_from(revision.number).unwrap_or(i64::MAX),
        committed: writer.committed(),
        now: now.lease,
        clean,
        tokens: writer.state().tokens().version,
    }
}

/// Returns the error for a database whose recovery failed.
pub(super) fn recovery_error(location: &Location, error: &StoreError) -> OpenError {
    OpenError::Migration { path: location.path().to_owned(), detail: error.to_string() }
}

/// Returns the lease time at the start, and begins a new epoch if necessary.
pub(super) async fn recover_lease_time(
    writer: &mut Writer,
    lease_file: Option<&mut LeaseFile>,
    wall: i64,
) -> Result<i64, StoreError> {
    let is_new = writer.committed() == 0;
    if is_new {
        return Ok(wall);
    }
    let revision = writer.revision();
    let recorded = lease_file.and_then(LeaseFile::read).filter(|recorded| {
        recorded.epoch == revision.epoch
            && u64::try_from(recorded.revision).is_ok_and(|number| number <= revision.number)
    });
    let Some(recorded) = recorded else {
        writer.begin_epoch().await?;
        tracing::warn!(
            epoch = writer.revision().epoch,
            "the database does not match its lease file (restored or promoted?); starting a new epoch"
        );
        return Ok(writer.committed());
    };
    if recorded.committed > writer.committed() {
        tracing::warn!(
            "the database lacks the last heartbeats (power failure?); leases continue from its last commit"
        );
        return Ok(writer.committed());
    }
    let unrecorded = if recorded.clean { 0 } else { TICK_MS };
    Ok(recorded.now.max(writer.committed()) + unrecorded)
}
