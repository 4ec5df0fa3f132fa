//! The table `leases` in memory.
//!
//! It resolves refreshes without asking SQLite, finds expired leases without scanning a table, and gives cached responses
//! their current lease times. The writer updates it after each commit. If another program has written to the database, it
//! is reloaded.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::SqliteConnection;

use crate::model::LeaseId;
use crate::store::error::StoreError;
use crate::store::record::LeaseTimes;

/// A row of `leases`, with the id, name and owner of its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Lease {
    pub(in crate::store) number: i64,
    pub(in crate::store) id: Arc<str>,
    pub(in crate::store) name: Arc<str>,
    pub(in crate::store) owner: Option<Arc<str>>,
    pub(in crate::store) holder: LeaseId,
    pub(in crate::store) ttl: u32,
    pub(in crate::store) times: LeaseTimes,
    /// Whether the change `expired` is recorded.
    pub(in crate::store) expired: bool,
}

/// All leases, by the number and by the id of their server.
#[derive(Debug, Default)]
pub(in crate::store) struct LeaseTable {
    leases: HashMap<i64, Lease, foldhash::fast::RandomState>,
    numbers: HashMap<Arc<str>, i64, foldhash::fast::RandomState>,
}

/// The number of leases that one statement loads.
const CHUNK: i64 = 5_000;

impl LeaseTable {
    /// Loads the table.
    pub(in crate::store) async fn load(connection: &mut SqliteConnection) -> Result<Self, StoreError> {
        type Loaded = (i64, Arc<str>, Arc<str>, Option<Arc<str>>, LeaseId, u32, i64, i64, u8);
        let mut table = Self::default();
        let mut last = 0;
        loop {
            let rows = sqlx::query_scalar!(
                r#"SELECT json_group_array(json_array(number, id, name, owner, hex(lease), ttl, expires_at, refreshed_at, expired))
                   AS "rows!: String" FROM (SELECT s.number, s.id, s.name, s.owner, l.lease, l.ttl, l.expires_at,
                   l.refreshed_at, l.expired FROM leases l CROSS JOIN servers s ON s.number = l.server WHERE l.server > ?1
                   ORDER BY l.server LIMIT (0 + ?2))"#,
                last,
                CHUNK
            )
            .fetch_one(&mut *connection)
            .await?;
            let rows: Vec<Loaded> =
                serde_json::from_str(&rows).map_err(|error| sqlx::Error::Decode(error.into()))?;
            let Some((number, ..)) = rows.last() else { return Ok(table) };
            last = *number;
            for (number, id, name, owner, lease, ttl, expires_at, refreshed_at, expired) in rows {
                table.insert(Lease {
                    number,
                    id,
                    name,
                    owner,
                    holder: lease,
                    ttl,
                    times: LeaseTimes { expires_at, refreshed_at },
                    expired: expired == 1,
                });
            }
        }
    }

    pub(in crate::store) fn len(&self) -> usize {
        self.leases.len()
    }

    pub(in crate::store) fn get(&self, id: &str) -> Option<&Lease> {
        self.leases.get(self.numbers.get(id)?)
    }

    pub(in crate::store) fn by_number(&self, number: i64) -> Option<&Lease> {
        self.leases.get(&number)
    }

    pub(in crate::store) fn by_number_mut(&mut self, number: i64) -> Option<&mut Lease> {
        self.leases.get_mut(&number)
    }

    pub(in crate::store) fn iter(&self) -> impl Iterator<Item = &Lease> {
        self.leases.values()
    }

    pub(in crate::store) fn insert(&mut self, lease: Lease) {
        self.numbers.insert(Arc::clone(&lease.id), lease.number);
        self.leases.insert(lease.number, lease);
    }

    pub(in crate::store) fn remove(&mut self, number: i64) {
        if let Some(lease) = self.leases.remove(&number) {
            self.numbers.remove(&lease.id);
        }
    }
}
