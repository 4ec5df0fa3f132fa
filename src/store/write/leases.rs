//! Leases: refreshed many at a time, ended one by one, pruned in small batches.

use serde_json::json;
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

use super::pending::PendingChanges;
use crate::model::{Actor, ChangeKind, Health, LeaseRef, Refreshed, View};
use crate::store::cache::lease_table::Lease;
use crate::store::cache::state::{GuardedState, expiry};
use crate::store::error::StoreError;
use crate::store::moment::Moment;
use crate::store::read::lookup::{self, ServerKey};
use crate::store::record;
use crate::store::record::{Entry, LeaseTimes};

/// A request to refresh leases.
#[derive(Debug)]
pub(crate) struct RefreshRequest {
    pub(crate) leases: Vec<LeaseRef>,
    pub(crate) actor: Actor,
}

/// A request to deregister a server.
#[derive(Debug)]
pub(crate) struct DeregisterRequest {
    pub(crate) lease: LeaseRef,
    pub(crate) actor: Actor,
}

/// The outcome of a refresh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RefreshOutcome {
    /// The lease is refreshed.
    Refreshed(Refreshed),
    /// The id is not registered.
    NotRegistered,
    /// Another registration has taken the id.
    Replaced,
    /// The server belongs to another token.
    Forbidden,
}

/// The outcome of a deregistration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DeregisterOutcome {
    /// The server is deregistered.
    Done {
        /// The server's name.
        name: String,
    },
    /// The id is not registered.
    NotRegistered,
    /// Another registration has taken the id.
    Replaced,
    /// The server belongs to another token.
    Forbidden,
}

/// The outcome of one batch of pruning.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PruneOutcome {
    /// The id and name of each server whose lease has expired.
    pub(crate) expired: Vec<(String, String)>,
    /// Whether more servers are to be pruned.
    pub(crate) more: bool,
}

/// The outcomes and effects of the refreshes of a batch.
#[derive(Debug, Default)]
pub(in crate::store) struct RefreshPlan {
    /// One outcome for each requested lease, even if a lease is requested twice.
    pub(in crate::store) outcomes: Vec<RefreshOutcome>,
    /// The numbers of the servers whose leases are refreshed, each once.
    pub(in crate::store) numbers: Vec<i64>,
    /// Those of them that had expired.
    pub(in crate::store) revived: Vec<Lease>,
}

/// Resolves refreshes from the state in memory.
pub(in crate::store) fn resolve<'a>(
    state: &GuardedState,
    leases: impl Iterator<Item = (&'a LeaseRef, &'a Actor)>,
    now: Moment,
) -> RefreshPlan {
    let mut plan = RefreshPlan::default();
    for (lease, actor) in leases {
        let outcome = match state.leases.get(&lease.id) {
            None => RefreshOutcome::NotRegistered,
            Some(current)
                if !state.tokens.is_current(actor) || !actor.may_change(current.owner.as_deref()) =>
            {
                RefreshOutcome::Forbidden
            }
            Some(current) if lease.lease.is_some_and(|requested| requested != current.holder) => {
                RefreshOutcome::Replaced
            }
            Some(current) => {
                plan.numbers.push(current.number);
                if current.times.health(now) == Health::Unhealthy {
                    plan.revived.push(current.clone());
                }
                RefreshOutcome::Refreshed(Refreshed {
                    id: lease.id.clone(),
                    health: Health::Healthy,
                    ttl: current.ttl,
                    expires_at: now.wall_of(expiry(current.ttl, now)),
                    refresh_after_ms: u64::from(current.ttl) * 500,
                })
            }
        };
        plan.outcomes.push(outcome);
    }
    plan.numbers.sort_unstable();
    plan.numbers.dedup();
    plan.revived.sort_unstable_by_key(|lease| lease.number);
    plan.revived.dedup_by_key(|lease| lease.number);
    plan
}

/// Refreshes leases in one statement. Returns whether the table contains all of them.
pub(in crate::store) async fn refresh(
    connection: &mut SqliteConnection,
    numbers: &[i64],
    now: Moment,
) -> Result<bool, StoreError> {
    let list = json!(numbers).to_string();
    let result = sqlx::query!(
        "UPDATE leases SET expires_at = ?1 + ttl * 1000, refreshed_at = ?2, expired = 0 \
         WHERE server IN (SELECT value FROM json_each(?3))",
        now.lease,
        now.wall,
        list
    )
    .execute(connection)
    .await?;
    Ok(result.rows_affected() == numbers.len() as u64)
}

/// Revives servers whose late refresh arrived before they were pruned.
pub(in crate::store) async fn revive(
    connection: &mut SqliteConnection,
    pending: &mut PendingChanges<'_>,
    revived: Vec<Lease>,
    now: Moment,
) -> Result<(), StoreError> {
    for lease in revived {
        let Some(row) =
            lookup::load(&mut *connection, ServerKey::Number(lease.number), View::Summary).await?
        else {
            continue;
        };
        pending.invalidate_stored(&row.rendered);
        if lease.expired {
            pending.change_log.record(ChangeKind::Registered, &lease.id, None, Some(row.json(now)));
        }
        pending.set_lease(Lease { times: row.lease, expired: false, ..lease });
    }
    Ok(())
}

/// Deregisters a server.
pub(in crate::store) async fn deregister(
    connection: &mut SqliteConnection,
    pending: &mut PendingChanges<'_>,
    DeregisterRequest { lease, actor }: &DeregisterRequest,
    now: Moment,
) -> Result<DeregisterOutcome, StoreError> {
    let Some(current) = pending.lease(&lease.id) else { return Ok(DeregisterOutcome::NotRegistered) };
    if !pending.state().tokens().is_current(actor) || !actor.may_change(current.owner.as_deref()) {
        return Ok(DeregisterOutcome::Forbidden);
    }
    if lease.lease.is_some_and(|requested| requested != current.holder) {
        return Ok(DeregisterOutcome::Replaced);
    }
    let row = lookup::load(connection, ServerKey::Number(current.number), View::Summary).await?;
    let Some(row) = row else { return Ok(DeregisterOutcome::NotRegistered) };
    delete(connection, &[current.number]).await?;
    if !current.expired {
        pending.change_log.record(ChangeKind::Deregistered, &lease.id, Some(row.json(now)), None);
    }
    pending.invalidate_stored(&row.rendered);
    pending.remove_lease(current.number, &lease.id);
    Ok(DeregisterOutcome::Done { name: current.name.to_string() })
}

/// Deletes servers, together with their rows in other tables.
async fn delete(connection: &mut SqliteConnection, numbers: &[i64]) -> Result<(), StoreError> {
    let list = json!(numbers).to_string();
    sqlx::query!("DELETE FROM servers WHERE number IN (SELECT value FROM json_each(?1))", list)
        .execute(connection)
        .await?;
    Ok(())
}

/// How many servers one prune command handles, so that waiting commands run in between.
pub(in crate::store) const PRUNE_BATCH_SIZE: usize = 8;

/// A server whose lease has expired.
struct ExpiredRow {
    entry: Entry,
    /// Whether the change `expired` is recorded.
    is_recorded: bool,
}

/// What pruning does with an expired server.
enum PruneAction {
    MarkExpired,
    Delete,
}

impl ExpiredRow {
    /// Servers that expired longer ago than the retention, in milliseconds, are deleted.
    fn classify(&self, retention: i64, now: Moment) -> PruneAction {
        let LeaseTimes { expires_at, .. } = self.entry.lease;
        if expires_at <= now.lease.saturating_sub(retention) {
            PruneAction::Delete
        } else {
            PruneAction::MarkExpired
        }
    }
}

/// Returns the SQL that selects, from a list of servers, those whose lease has expired.
pub(in crate::store) fn expired_sql() -> String {
    let from = " FROM json_each(?1) j CROSS JOIN leases l ON l.server = j.value JOIN servers s ON s.number = l.server \
                JOIN summaries c ON c.server = l.server WHERE l.expires_at <= ?2";
    ["SELECT l.expired, ", record::columns(View::Summary), from].concat()
}

async fn expired_rows(
    connection: &mut SqliteConnection,
    servers: &[i64],
    now: Moment,
) -> Result<Vec<ExpiredRow>, StoreError> {
    let list = json!(servers).to_string();
    let query = sqlx::query(AssertSqlSafe(expired_sql())).bind(list).bind(now.lease);
    let rows = query.fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let entry = Entry::parse(row.try_get(1)?, View::Summary)?;
            Ok(ExpiredRow { entry, is_recorded: row.try_get(0)? })
        })
        .collect()
}

/// Records that leases have expired, and deletes the servers that expired longer ago than the retention.
pub(in crate::store) async fn prune(
    connection: &mut SqliteConnection,
    pending: &mut PendingChanges<'_>,
    servers: &[i64],
    retention: i64,
    now: Moment,
) -> Result<PruneOutcome, StoreError> {
    let mut outcome = PruneOutcome::default();
    let (mut expired, mut deleted) = (Vec::new(), Vec::new());
    for row in expired_rows(connection, servers, now).await? {
        let number = row.entry.rendered.number;
        let lease = pending.state().read().leases.by_number(number).cloned();
        let Some(Lease { id, name, .. }) = lease else { continue };
        if !row.is_recorded {
            pending.change_log.record(ChangeKind::Expired, &id, Some(row.entry.json(now)), None);
            pending.notify_only(&row.entry.rendered);
            outcome.expired.push((id.to_string(), name.to_string()));
        }
        match row.classify(retention, now) {
            PruneAction::Delete => {
                deleted.push(number);
                pending.invalidate_stored(&row.entry.rendered);
                pending.remove_lease(number, &id);
            }
            PruneAction::MarkExpired => {
                expired.push(number);
                pending.mark_expired(number);
            }
        }
    }
    if !expired.is_empty() {
        let list = json!(expired).to_string();
        sqlx::query!("UPDATE leases SET expired = 1 WHERE server IN (SELECT value FROM json_each(?1))", list)
            .execute(&mut *connection)
            .await?;
    }
    if !deleted.is_empty() {
        delete(connection, &deleted).await?;
    }
    Ok(outcome)
}
