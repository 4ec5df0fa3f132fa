//! The pending changes of an open transaction.
//!
//! A command sees the leases as earlier commands of its batch leave them. Nothing else sees them before the commit.

use std::collections::HashMap;

use super::changelog::ChangeLog;
use crate::model::{Record, Revision};
use crate::store::cache::lease_table::Lease;
use crate::store::cache::state::CommittedState;
use crate::store::cache::state::{CommitEffects, LeaseChange};
use crate::store::record::Rendered;

/// See the [module](self).
pub(in crate::store) struct PendingChanges<'a> {
    state: &'a CommittedState,
    pub(in crate::store) change_log: ChangeLog,
    /// The number of the next new server.
    pub(in crate::store) next_server: i64,
    pub(in crate::store) effects: CommitEffects,
    /// The leases that this batch has changed, by id; none if removed.
    changed: HashMap<String, Option<Lease>>,
}

impl<'a> PendingChanges<'a> {
    pub(in crate::store) fn new(state: &'a CommittedState, revision: &Revision, next_server: i64) -> Self {
        Self {
            state,
            change_log: ChangeLog::new(i64::try_from(revision.number).unwrap_or(i64::MAX)),
            next_server,
            effects: CommitEffects::default(),
            changed: HashMap::new(),
        }
    }

    pub(in crate::store) fn state(&self) -> &'a CommittedState {
        self.state
    }

    /// Returns the lease of an id.
    pub(in crate::store) fn lease(&self, id: &str) -> Option<Lease> {
        match self.changed.get(id) {
            Some(lease) => lease.clone(),
            None => self.state.read().leases.get(id).cloned(),
        }
    }

    /// Invalidates the responses that contain this server.
    pub(in crate::store) fn invalidate(&mut self, record: &Record) {
        self.effects.invalidated.extend(self.state.keys_of_record(record));
    }

    /// Invalidates the responses that contain a stored server. One that was edited into an invalid record invalidates all.
    pub(in crate::store) fn invalidate_stored(&mut self, server: &Rendered) {
        match server.record() {
            Ok(record) => self.invalidate(&record),
            Err(error) => {
                tracing::warn!(%error, "a stored server cannot be parsed; register it again");
                self.effects.invalidate_all = true;
            }
        }
    }

    /// Notifies the watchers of this server without invalidating responses.
    pub(in crate::store) fn notify_only(&mut self, server: &Rendered) {
        match server.record() {
            Ok(record) => self.effects.notified.extend(self.state.keys_of_record(&record)),
            Err(_) => self.effects.invalidate_all = true,
        }
    }

    pub(in crate::store) fn set_lease(&mut self, lease: Lease) {
        self.changed.insert(lease.id.to_string(), Some(lease.clone()));
        self.effects.leases.push(LeaseChange::Set(lease));
    }

    pub(in crate::store) fn mark_expired(&mut self, number: i64) {
        self.effects.leases.push(LeaseChange::MarkExpired(number));
    }

    pub(in crate::store) fn remove_lease(&mut self, number: i64, id: &str) {
        self.changed.insert(id.to_owned(), None);
        self.effects.leases.push(LeaseChange::Remove(number));
        self.effects.reindex.push(number);
    }
}
