//! What becomes of the leases of gateways that fell silent.
//!
//! A lease that is not named for as long as its calls may take goes to suspense: perhaps it was
//! used, so it is not lent again. If for days nobody tells what became of it (the gateway itself,
//! or its access log, by `reconcile`), it is charged as orphaned: settled, by no call. Replicas do
//! this side by side: each lease is read again under the lock of its balance.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::Row as _;
use tollgate::lease::{Lease, Pool};

use crate::{
    ledger::{self, Charged},
    lending::{self, Key},
    statement::Statement,
    store::{Db, Kind, Record, StoreError, Tx},
};

/// Whether there is a lease that [`expire`] would move.
///
/// # Errors
///
/// Returns an error if the database does.
pub async fn any_expired(
    db: impl sqlx::Executor<'_, Database = Db>,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let any = sqlx::query(
        "SELECT 1 FROM lease WHERE expires_ms <= $1 \
         AND granted > settled + returned + suspense LIMIT 1",
    );
    Ok(any.bind(now_ms).fetch_optional(db).await?.is_some())
}

/// Moves into suspense what silent gateways have. Returns how many leases that were.
///
/// # Errors
///
/// Returns an error if the database does.
pub async fn expire(tx: &mut Tx, now_ms: i64) -> Result<usize, StoreError> {
    let mut silent = Silent::find(
        tx,
        "SELECT gateway, budget, window_start FROM lease WHERE expires_ms <= $1 \
         AND granted > settled + returned + suspense ORDER BY expires_ms LIMIT $2",
        now_ms,
    )
    .await?;
    let Silent { pools, leases } = &mut silent;
    leases.retain_mut(|(_, key, lease)| {
        pools.get_mut(key).is_some_and(|pool| pool.expire(lease) > 0)
    });
    silent.save(tx, now_ms).await?;
    Ok(silent.leases.len())
}

/// Charges what has been in suspense since before `cutoff_ms`, and forgets those leases. Returns
/// how many there were.
///
/// # Errors
///
/// Returns an error if the database does.
pub async fn close(tx: &mut Tx, cutoff_ms: i64) -> Result<usize, StoreError> {
    let mut silent = Silent::find(
        tx,
        "SELECT gateway, budget, window_start FROM lease WHERE expires_ms <= $1 \
         ORDER BY expires_ms LIMIT $2",
        cutoff_ms,
    )
    .await?;
    let mut charged = Charged::default();
    for (gateway, key, lease) in &mut silent.leases {
        let Some(pool) = silent.pools.get_mut(key) else { continue };
        pool.expire(lease);
        if lease.suspense > 0 {
            let amount = lease.suspense;
            let settled = pool.settle(lease, amount, 0);
            charged.add(&orphan(gateway), key, amount, settled.overrun);
        }
    }
    lending::write_pools(tx, silent.pools.iter()).await?;
    ledger::charge(tx, &charged).await?;
    for (gateway, (budget, window), _) in &silent.leases {
        let gone = "DELETE FROM lease WHERE gateway = $1 AND budget = $2 AND window_start = $3";
        sqlx::query(gone).bind(gateway).bind(budget).bind(window).execute(&mut **tx).await?;
    }
    Ok(silent.leases.len())
}

/// What stands in `charge` in the place of a call. No gateway makes such an id.
#[must_use]
pub fn orphan(gateway: &str) -> String {
    format!("orphaned by {gateway}")
}

/// Leases of silent gateways, and the balances that they are of, locked.
struct Silent {
    pools: BTreeMap<Key, Pool>,
    leases: Vec<(String, Key, Lease)>,
}

impl Silent {
    /// Those that a query finds of which the time was up at `due_ms`.
    async fn find(tx: &mut Tx, query: &'static str, due_ms: i64) -> Result<Self, StoreError> {
        let rows = sqlx::query(query).bind(due_ms).bind(SWEEP).fetch_all(&mut **tx).await?;
        let borrowers: Vec<_> = rows.iter().map(borrower).collect::<Result<_, _>>()?;
        let keys: BTreeSet<_> = borrowers.iter().map(|(_, key)| key.clone()).collect();
        let pools = lending::lock(tx, &keys).await?;
        let mut leases = Vec::with_capacity(borrowers.len());
        for (gateway, key) in borrowers {
            // Before the lock was there, the gateway or another replica may have been.
            let mut again = Statement::new(
                Kind::of(tx),
                "SELECT granted, settled, returned, suspense FROM lease WHERE gateway = ",
            );
            again.bind(&gateway).push(" AND budget = ").bind(&key.0);
            again.push(" AND window_start = ").bind(key.1);
            again.push(" AND expires_ms <= ").bind(due_ms);
            if let Some(row) = again.query().fetch_optional(&mut **tx).await? {
                leases.push((gateway, key, lending::lease(&row, 0)?));
            }
        }
        Ok(Self { pools, leases })
    }

    async fn save(&self, tx: &mut Tx, expires_ms: i64) -> Result<(), StoreError> {
        lending::write_pools(tx, self.pools.iter()).await?;
        let leases = self.leases.iter();
        let leases = leases.map(|(gateway, key, lease)| (gateway.as_str(), key, lease));
        lending::write_leases(tx, leases, expires_ms).await
    }
}

fn borrower(row: &Record) -> Result<(String, Key), StoreError> {
    Ok((row.try_get(0)?, (row.try_get(1)?, row.try_get(2)?)))
}

/// Leases that one sweep moves: the balances are not to be locked for long.
const SWEEP: i64 = 500;
