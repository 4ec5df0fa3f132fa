//! Leases: refreshed many at a time, ended one by one, pruned in small bites.

use std::collections::HashMap;

use serde_json::json;
use sqlx::SqliteConnection;

use super::changes::Ledger;
use super::servers::{self, Key, expiry};
use super::{Moment, StoreError};
use crate::model::{ChangeKind, Health, LeaseRef, Refreshed, View};

/// What became of one refresh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RefreshOutcome {
    /// The lease runs on.
    Refreshed(Refreshed),
    /// There is no such server.
    NotRegistered,
    /// Another registering holds the id by now.
    Replaced,
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
}

/// What one bite of pruning found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pruned {
    /// Id and name of each server whose lease ran out.
    pub(crate) expired: Vec<(String, String)>,
    /// Whether there is more to do.
    pub(crate) more: bool,
}

struct Held {
    number: i64,
    lease: Vec<u8>,
    ttl: u32,
    expired: bool,
}

/// Refreshes all these leases in one statement. What is asked twice is refreshed once and answered twice.
pub(super) async fn refresh(
    connection: &mut SqliteConnection,
    ledger: &mut Ledger,
    leases: &[&LeaseRef],
    now: Moment,
) -> Result<Vec<RefreshOutcome>, StoreError> {
    let held = resolve(connection, leases).await?;
    let mut numbers = Vec::with_capacity(leases.len());
    let mut revived = Vec::new();
    let mut outcomes = Vec::with_capacity(leases.len());
    for lease in leases {
        let outcome = match held.get(&lease.id) {
            None => RefreshOutcome::NotRegistered,
            Some(held) if lease.lease.is_some_and(|named| !named.matches(&held.lease)) => {
                RefreshOutcome::Replaced
            }
            Some(held) => {
                numbers.push(held.number);
                if held.expired && !revived.contains(&held.number) {
                    revived.push(held.number);
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
        outcomes.push(outcome);
    }
    if numbers.is_empty() {
        return Ok(outcomes);
    }
    let numbers = json!(numbers).to_string();
    sqlx::query!(
        "UPDATE leases SET expires_at = ?1 + ttl * 1000, refreshed_at = ?2 \
         WHERE server IN (SELECT value FROM json_each(?3))",
        now.lease,
        now.wall,
        numbers
    )
    .execute(&mut *connection)
    .await?;
    for number in revived {
        sqlx::query!("UPDATE leases SET expired = 0 WHERE server = ?", number)
            .execute(&mut *connection)
            .await?;
        let stored = servers::load(connection, Key::Number(number), View::Summary, now).await?;
        let server = stored.map(|stored| stored.server);
        ledger.record(connection, ChangeKind::Registered, None, server.as_ref(), now).await?;
    }
    Ok(outcomes)
}

async fn resolve(
    connection: &mut SqliteConnection,
    leases: &[&LeaseRef],
) -> Result<HashMap<String, Held>, StoreError> {
    let ids: Vec<&str> = leases.iter().map(|lease| lease.id.as_str()).collect();
    let ids = json!(ids).to_string();
    let rows = sqlx::query!(
        r#"SELECT DISTINCT s.id, s.number AS "number!", l.lease, l.ttl AS "ttl: u32", l.expired AS "expired: bool"
           FROM json_each(?1) j CROSS JOIN servers s ON s.id = j.value CROSS JOIN leases l ON l.server = s.number"#,
        ids
    )
    .fetch_all(connection)
    .await?;
    let held = rows.into_iter().map(|row| {
        (row.id, Held { number: row.number, lease: row.lease, ttl: row.ttl, expired: row.expired })
    });
    Ok(held.collect())
}

/// Takes a server out.
pub(super) async fn deregister(
    connection: &mut SqliteConnection,
    ledger: &mut Ledger,
    lease: &LeaseRef,
    now: Moment,
) -> Result<Deregistration, StoreError> {
    let held = resolve(connection, &[lease]).await?;
    let Some(held) = held.get(&lease.id) else { return Ok(Deregistration::NotRegistered) };
    if lease.lease.is_some_and(|named| !named.matches(&held.lease)) {
        return Ok(Deregistration::Replaced);
    }
    let stored = servers::load(connection, Key::Number(held.number), View::Summary, now).await?;
    let Some(stored) = stored else { return Ok(Deregistration::NotRegistered) };
    servers::delete(connection, stored.number).await?;
    if !stored.expired {
        let before = Some(&stored.server);
        ledger.record(connection, ChangeKind::Deregistered, before, None, now).await?;
    }
    Ok(Deregistration::Done { name: stored.server.name })
}

/// How many servers one bite of pruning takes: waiting commands get their turn in between.
pub(super) const BITE: usize = 16;

/// Whether [`prune`] would find anything.
pub(super) async fn prunable(
    connection: &mut SqliteConnection,
    retention: i64,
    now: Moment,
) -> Result<bool, StoreError> {
    let found = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM leases
           WHERE expires_at <= ?1 AND (expired = 0 OR expires_at <= ?1 - ?2)) AS "found: bool""#,
        now.lease,
        retention
    )
    .fetch_one(connection)
    .await?;
    Ok(found)
}

/// Records whose lease ran out, and deletes those that have been so for the retention.
pub(super) async fn prune(
    connection: &mut SqliteConnection,
    ledger: &mut Ledger,
    retention: i64,
    now: Moment,
) -> Result<Pruned, StoreError> {
    let bite = i64::try_from(BITE).unwrap_or(i64::MAX);
    let ended = sqlx::query_scalar!(
        r#"SELECT server AS "server!" FROM leases WHERE expired = 0 AND expires_at <= ?1 LIMIT ?2"#,
        now.lease,
        bite
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut pruned = Pruned { more: ended.len() == BITE, ..Pruned::default() };
    for number in ended {
        if let Some(stored) = servers::load(connection, Key::Number(number), View::Summary, now).await? {
            ledger.record(connection, ChangeKind::Expired, Some(&stored.server), None, now).await?;
            pruned.expired.push((stored.server.id, stored.server.name));
        }
        sqlx::query!("UPDATE leases SET expired = 1 WHERE server = ?", number)
            .execute(&mut *connection)
            .await?;
    }
    let deleted = sqlx::query!(
        "DELETE FROM servers WHERE number IN \
         (SELECT server FROM leases WHERE expired = 1 AND expires_at <= ?1 - ?2 LIMIT ?3)",
        now.lease,
        retention,
        bite
    )
    .execute(&mut *connection)
    .await?;
    pruned.more |= deleted.rows_affected() == BITE as u64;
    Ok(pruned)
}
