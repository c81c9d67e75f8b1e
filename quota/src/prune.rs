//! Forgetting: what keeps the tables bounded that are not the ledger's.
//!
//! Ledger, charges, balances and totals stay. The last words with gateways, their leases, and alerts
//! that were told go when they are of no use any more.

use sqlx::Row as _;
use tollgate::calendar::length;

use crate::{
    silence,
    store::{Store, StoreError, Tx},
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
    let units = sqlx::query("DELETE FROM counted WHERE window_start > 0 AND window_start <= $1");
    units.bind(told_ms.div_euclid(1_000)).execute(&mut *tx).await?;
    forget_steps(&mut tx, now_ms).await?;
    tx.commit().await?;
    Ok(closed)
}

/// Forgets the steps of budgets that roll along, once they count no more and nobody owes anything of
/// them. It is looked at once an hour: the table is read as a whole.
async fn forget_steps(tx: &mut Tx, now_ms: i64) -> Result<(), StoreError> {
    if now_ms.div_euclid(MINUTE_MS).rem_euclid(60) != 0 {
        return Ok(());
    }
    let week = now_ms.saturating_sub(SILENT_MS).div_euclid(1_000);
    let find = sqlx::query(
        "SELECT DISTINCT budget FROM balance WHERE budget LIKE '%-rolling-%' \
         AND window_start > 0 AND window_start < $1",
    );
    for row in find.bind(week).fetch_all(&mut **tx).await? {
        let budget: String = row.try_get(0)?;
        let Some(minutes) = rolls(&budget) else { continue };
        let ago = i64::from(minutes).saturating_mul(2 * 60);
        let before = now_ms.div_euclid(1_000).saturating_sub(ago).min(week);
        let gone = sqlx::query(
            "DELETE FROM balance WHERE budget = $1 AND window_start > 0 AND window_start < $2 \
             AND on_loan = 0 AND suspense = 0",
        );
        gone.bind(&budget).bind(before).execute(&mut **tx).await?;
    }
    Ok(())
}

/// In how many minutes a budget with this id, or a part of one, rolls along, if it does.
fn rolls(id: &str) -> Option<u32> {
    // Whose it is comes first, then its name; a pool's id begins with a slash.
    let name = id.trim_start_matches('/').split('/').nth(1)?;
    length(name.rsplit_once("-rolling-")?.1)
}

/// A minute in milliseconds.
const MINUTE_MS: i64 = 60_000;
/// How often it is done: a little less than each replica tries.
const OFTEN_MS: i64 = 30_000;
/// A week: so long a gateway may be silent and be known when it comes back, and so long there is
/// to reconcile its log.
const SILENT_MS: i64 = 7 * 86_400_000;
/// More than a year: an alert is not raised twice, nor a unit counted twice, for as long as the longest
/// window that resets.
const TOLD_MS: i64 = 400 * 86_400_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_tells_how_long_a_budget_rolls() {
        #[rustfmt::skip]
        let cases = [
            ("acme/requests-rolling-24h",              Some(1_440)),
            ("/partners/night.usd-rolling-30d",        Some(43_200)),
            ("acme/each.tokens-rolling-5m/feature=a",  Some(5)),
            ("acme/x-rolling-cap.usd-month",           None),
            ("acme/usd-month/feature=x-rolling-24h",   None),
        ];
        for (id, minutes) in cases {
            assert_eq!(rolls(id), minutes, "{id}");
        }
    }
}
