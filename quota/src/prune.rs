//! Forgetting: what keeps the tables bounded that are not the ledger's.
//!
//! Ledger, charges, balances and totals stay. The last words with gateways, their leases, and alerts
//! that were told go when they are of no use any more.

use crate::{
    silence,
    store::{Store, StoreError},
};

/// Forgets what is too old. Returns how many leases were closed. Of several replicas that try in
/// the same minute, one does it.
///
/// # Errors
///
/// Returns an error if the database does. Then nothing of it holds.
pub async fn prune(store: &Store, now_ms: i64) -> Result<usize, StoreError> {
    let mut tx = store.begin().await?;
    let mine = sqlx::query(
        "INSERT INTO setting (name, value) VALUES ('pruned_ms', $1) ON CONFLICT (name) DO UPDATE \
         SET value = excluded.value WHERE CAST(setting.value AS BIGINT) NOT BETWEEN $2 AND $3",
    );
    let mine = mine.bind(now_ms.to_string()).bind(now_ms.saturating_sub(OFTEN_MS)).bind(now_ms);
    if mine.execute(&mut *tx).await?.rows_affected() == 0 {
        return Ok(0);
    }
    let silent_ms = now_ms.saturating_sub(SILENT_MS);
    let closed = silence::close(&mut tx, silent_ms).await?;
    let reporters = sqlx::query("DELETE FROM reporter WHERE seen_ms <= $1");
    reporters.bind(silent_ms).execute(&mut *tx).await?;
    let told_ms = now_ms.saturating_sub(TOLD_MS);
    let deliveries = sqlx::query(
        "DELETE FROM delivery WHERE alert IN \
         (SELECT id FROM alert_outbox WHERE created_ms <= $1 AND window_start > 0)",
    );
    deliveries.bind(told_ms).execute(&mut *tx).await?;
    // What counts once and for ever, from 1970 on, is told once and for ever.
    let alerts =
        sqlx::query("DELETE FROM alert_outbox WHERE created_ms <= $1 AND window_start > 0");
    alerts.bind(told_ms).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(closed)
}

/// How often it is done: a little less than each replica tries.
const OFTEN_MS: i64 = 30_000;
/// A week: so long a gateway may be silent and be known when it comes back, and so long there is
/// to reconcile its log.
const SILENT_MS: i64 = 7 * 86_400_000;
/// More than a year: an alert is not raised twice, for as long as the longest window that resets.
const TOLD_MS: i64 = 400 * 86_400_000;
