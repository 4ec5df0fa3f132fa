//! Leases: refreshed many at a time, ended one by one, pruned in small bites.

use serde_json::json;
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

use super::pending::Draft;
use crate::model::{Actor, ChangeKind, Health, LeaseRef, Refreshed, View};
use crate::store::cache::lease_table::Lease;
use crate::store::cache::state::{State, expiry};
use crate::store::error::StoreError;
use crate::store::moment::Moment;
use crate::store::read::lookup::{self, Key};
use crate::store::record;
use crate::store::record::{Entry, Times};

/// Leases to refresh.
#[derive(Debug)]
pub(crate) struct Refreshes {
    pub(crate) leases: Vec<LeaseRef>,
    pub(crate) actor: Actor,
}

/// A server to take out.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) lease: LeaseRef,
    pub(crate) actor: Actor,
}

/// What became of one refresh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RefreshOutcome {
    /// The lease runs on.
    Refreshed(Refreshed),
    /// There is no such server.
    NotRegistered,
    /// Another registering holds the id by now.
    Replaced,
    /// The server belongs to another token.
    Forbidden,
}

/// What became of a deregistration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Deregistration {
    /// The server is gone.
    Done {
        /// Its name.
        name: String,
    },
    /// There is no such server.
    NotRegistered,
    /// Another registering holds the id by now.
    Replaced,
    /// The server belongs to another token.
    Forbidden,
}

/// What one bite of pruning found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pruned {
    /// Id and name of each server whose lease ran out.
    pub(crate) expired: Vec<(String, String)>,
    /// Whether there is more to do.
    pub(crate) more: bool,
}

/// What a batch of refreshes comes to.
#[derive(Debug, Default)]
pub(in crate::store) struct Refreshing {
    /// One for each lease that was asked for; what is asked twice is refreshed once and answered twice.
    pub(in crate::store) outcomes: Vec<RefreshOutcome>,
    /// The leases to refresh, each once.
    pub(in crate::store) numbers: Vec<i64>,
    /// Those among them that had run out.
    pub(in crate::store) revived: Vec<Lease>,
}

/// Finds out what is to be refreshed, from memory.
pub(in crate::store) fn resolve<'a>(
    state: &State,
    leases: impl Iterator<Item = (&'a LeaseRef, &'a Actor)>,
    now: Moment,
) -> Refreshing {
    let mut refreshing = Refreshing::default();
    for (lease, actor) in leases {
        let outcome = match state.mirror.get(&lease.id) {
            None => RefreshOutcome::NotRegistered,
            Some(held) if !state.tokens.admit(actor) || !actor.may_change(held.owner.as_deref()) => {
                RefreshOutcome::Forbidden
            }
            Some(held) if lease.lease.is_some_and(|named| named != held.holder) => RefreshOutcome::Replaced,
            Some(held) => {
                refreshing.numbers.push(held.number);
                if held.times.health(now) == Health::Unhealthy {
                    refreshing.revived.push(held.clone());
                }
                RefreshOutcome::Refreshed(Refreshed {
                    id: lease.id.clone(),
                    health: Health::Healthy,
                    ttl: held.ttl,
                    expires_at: now.wall_of(expiry(held.ttl, now)),
                    refresh_after_ms: u64::from(held.ttl) * 500,
                })
            }
        };
        refreshing.outcomes.push(outcome);
    }
    refreshing.numbers.sort_unstable();
    refreshing.numbers.dedup();
    refreshing.revived.sort_unstable_by_key(|lease| lease.number);
    refreshing.revived.dedup_by_key(|lease| lease.number);
    refreshing
}

/// Refreshes these leases in one statement, and says whether all of them were there.
pub(in crate::store) async fn refresh(
    connection: &mut SqliteConnection,
    numbers: &[i64],
    now: Moment,
) -> Result<bool, StoreError> {
    let list = json!(numbers).to_string();
    let done = sqlx::query!(
        "UPDATE leases SET expires_at = ?1 + ttl * 1000, refreshed_at = ?2, expired = 0 \
         WHERE server IN (SELECT value FROM json_each(?3))",
        now.lease,
        now.wall,
        list
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == numbers.len() as u64)
}

/// Brings back to life what a late refresh has found before the pruner.
pub(in crate::store) async fn revive(
    connection: &mut SqliteConnection,
    draft: &mut Draft<'_>,
    revived: Vec<Lease>,
    now: Moment,
) -> Result<(), StoreError> {
    for lease in revived {
        let Some(row) = lookup::load(&mut *connection, Key::Number(lease.number), View::Summary).await?
        else {
            continue;
        };
        draft.touch_stored(&row.rendered);
        if lease.expired {
            draft.ledger.record(ChangeKind::Registered, &lease.id, None, Some(row.json(now)));
        }
        draft.put(Lease { times: row.times, expired: false, ..lease });
    }
    Ok(())
}

/// Takes a server out.
pub(in crate::store) async fn deregister(
    connection: &mut SqliteConnection,
    draft: &mut Draft<'_>,
    Ending { lease, actor }: &Ending,
    now: Moment,
) -> Result<Deregistration, StoreError> {
    let Some(held) = draft.lease(&lease.id) else { return Ok(Deregistration::NotRegistered) };
    if !draft.live().tokens().admit(actor) || !actor.may_change(held.owner.as_deref()) {
        return Ok(Deregistration::Forbidden);
    }
    if lease.lease.is_some_and(|named| named != held.holder) {
        return Ok(Deregistration::Replaced);
    }
    let row = lookup::load(connection, Key::Number(held.number), View::Summary).await?;
    let Some(row) = row else { return Ok(Deregistration::NotRegistered) };
    delete(connection, &[held.number]).await?;
    if !held.expired {
        draft.ledger.record(ChangeKind::Deregistered, &lease.id, Some(row.json(now)), None);
    }
    draft.touch_stored(&row.rendered);
    draft.gone(held.number, &lease.id);
    Ok(Deregistration::Done { name: held.name.to_string() })
}

/// Deletes servers; what belongs to them goes with them.
async fn delete(connection: &mut SqliteConnection, numbers: &[i64]) -> Result<(), StoreError> {
    let list = json!(numbers).to_string();
    sqlx::query!("DELETE FROM servers WHERE number IN (SELECT value FROM json_each(?1))", list)
        .execute(connection)
        .await?;
    Ok(())
}

/// How many servers one bite of pruning takes: waiting commands get their turn in between.
pub(in crate::store) const BITE: usize = 8;

/// Those of a list whose lease has run out.
pub(in crate::store) fn due_sql() -> String {
    let from = " FROM json_each(?1) j CROSS JOIN leases l ON l.server = j.value JOIN servers s ON s.number = l.server \
                JOIN summaries c ON c.server = l.server WHERE l.expires_at <= ?2";
    ["SELECT l.expired, ", record::columns(View::Summary), from].concat()
}

/// Records that these leases have run out, if they have, and deletes the servers for which that is so since the
/// retention.
pub(in crate::store) async fn prune(
    connection: &mut SqliteConnection,
    draft: &mut Draft<'_>,
    due: &[i64],
    retention: i64,
    now: Moment,
) -> Result<Pruned, StoreError> {
    let mut pruned = Pruned::default();
    let list = json!(due).to_string();
    let query = sqlx::query(AssertSqlSafe(due_sql())).bind(list).bind(now.lease);
    let (mut ended, mut over) = (Vec::new(), Vec::new());
    for found in query.fetch_all(&mut *connection).await? {
        let row = Entry::parse(found.try_get(1)?, View::Summary)?;
        let Times { expires_at, .. } = row.times;
        let number = row.rendered.number;
        let held = draft.live().read().mirror.number(number).cloned();
        let Some(Lease { id, name, .. }) = held else { continue };
        if !found.try_get::<bool, _>(0)? {
            draft.ledger.record(ChangeKind::Expired, &id, Some(row.json(now)), None);
            draft.tell_of(&row.rendered);
            pruned.expired.push((id.to_string(), name.to_string()));
        }
        if expires_at <= now.lease.saturating_sub(retention) {
            over.push(number);
            draft.touch_stored(&row.rendered);
            draft.gone(number, &id);
        } else {
            ended.push(number);
            draft.expired(number);
        }
    }
    if !ended.is_empty() {
        let list = json!(ended).to_string();
        sqlx::query!("UPDATE leases SET expired = 1 WHERE server IN (SELECT value FROM json_each(?1))", list)
            .execute(&mut *connection)
            .await?;
    }
    if !over.is_empty() {
        delete(connection, &over).await?;
    }
    Ok(pruned)
}
