//! A transaction in the making: what its commands will have changed once it is committed.
//!
//! Commands see the leases as their forerunners in the same batch leave them. Nobody else does before the commit.

use std::collections::HashMap;

use super::changelog::Ledger;
use crate::model::{Record, Revision};
use crate::store::cache::lease_table::Lease;
use crate::store::cache::state::Live;
use crate::store::cache::state::{Effect, Effects};
use crate::store::record::Rendered;

/// See the [module](self).
pub(in crate::store) struct Draft<'a> {
    live: &'a Live,
    pub(in crate::store) ledger: Ledger,
    /// The number of the next server.
    pub(in crate::store) next_server: i64,
    pub(in crate::store) effects: Effects,
    /// What became of the ids that this batch has changed.
    changed: HashMap<String, Option<Lease>>,
}

impl<'a> Draft<'a> {
    pub(in crate::store) fn new(live: &'a Live, revision: &Revision, next_server: i64) -> Self {
        Self {
            live,
            ledger: Ledger::new(i64::try_from(revision.number).unwrap_or(i64::MAX)),
            next_server,
            effects: Effects::default(),
            changed: HashMap::new(),
        }
    }

    pub(in crate::store) fn live(&self) -> &'a Live {
        self.live
    }

    /// The lease of an id.
    pub(in crate::store) fn lease(&self, id: &str) -> Option<Lease> {
        match self.changed.get(id) {
            Some(lease) => lease.clone(),
            None => self.live.read().mirror.get(id).cloned(),
        }
    }

    /// Notes that everything about this server may have changed.
    pub(in crate::store) fn touch(&mut self, record: &Record) {
        self.effects.touched.extend(self.live.keys(record));
    }

    /// The same for one that is stored. What somebody has edited into what is no record touches everything.
    pub(in crate::store) fn touch_stored(&mut self, server: &Rendered) {
        match server.record() {
            Ok(record) => self.touch(&record),
            Err(error) => {
                tracing::warn!(%error, "a server in the database is no record any more: register it again");
                self.effects.everything = true;
            }
        }
    }

    /// Notes that watchers are told of this server, about which no answer changes.
    pub(in crate::store) fn tell_of(&mut self, server: &Rendered) {
        match server.record() {
            Ok(record) => self.effects.told.extend(self.live.keys(&record)),
            Err(_) => self.effects.everything = true,
        }
    }

    pub(in crate::store) fn put(&mut self, lease: Lease) {
        self.changed.insert(lease.id.to_string(), Some(lease.clone()));
        self.effects.leases.push(Effect::Put(lease));
    }

    pub(in crate::store) fn expired(&mut self, number: i64) {
        self.effects.leases.push(Effect::Expired(number));
    }

    pub(in crate::store) fn gone(&mut self, number: i64, id: &str) {
        self.changed.insert(id.to_owned(), None);
        self.effects.leases.push(Effect::Gone(number));
        self.effects.searched.push(number);
    }
}
