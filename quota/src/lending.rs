//! The balances and leases that one ask is about: read, changed by the algebra, written back.

use std::collections::BTreeMap;

use sqlx::Row as _;
use tollgate::lease::{Lease, Pool};

use crate::store::{Db, StoreError, Tx, amount, column};

/// A budget in a window: the budget's id, and when the window began.
pub type Key = (String, i64);

/// A budget in a window, and what the asking gateway has of it.
#[derive(Clone, Debug)]
pub struct Account {
    /// The lender's side.
    pub pool: Pool,
    /// The gateway's side.
    pub lease: Lease,
    /// What was settled before this ask.
    pub before: u64,
    /// Whether the gateway named its lease, which keeps it alive.
    pub named: bool,
}

/// The accounts that one ask is about.
#[derive(Debug)]
pub struct Lending<'a> {
    gateway: &'a str,
    /// The accounts read so far.
    pub accounts: BTreeMap<Key, Account>,
}

impl<'a> Lending<'a> {
    /// Of this gateway, nothing read yet.
    #[must_use]
    pub const fn of(gateway: &'a str) -> Self {
        Self { gateway, accounts: BTreeMap::new() }
    }

    /// The account, read from the database the first time.
    ///
    /// # Errors
    ///
    /// Returns an error if the database does.
    pub async fn account(
        &mut self,
        tx: &mut Tx,
        key: Key,
        limit: u64,
    ) -> Result<&mut Account, StoreError> {
        if !self.accounts.contains_key(&key) {
            let pool = Pool { limit, ..pool(tx, &key).await? };
            let lease = lease(tx, self.gateway, &key).await?;
            let account = Account { pool, lease, before: pool.settled, named: false };
            self.accounts.insert(key.clone(), account);
        }
        Ok(self.accounts.entry(key).or_insert_with(Account::none))
    }

    /// Writes everything back.
    ///
    /// # Errors
    ///
    /// Returns an error if the database does.
    pub async fn save(&self, tx: &mut Tx, expires_ms: i64) -> Result<(), StoreError> {
        for (key, account) in &self.accounts {
            write_pool(tx, key, &account.pool).await?;
            if account.named {
                write_lease(tx, self.gateway, key, &account.lease, expires_ms).await?;
            }
        }
        Ok(())
    }
}

impl Account {
    const fn none() -> Self {
        let pool = Pool { limit: 0, settled: 0, overrun: 0, on_loan: 0, suspense: 0 };
        let lease = Lease { granted: 0, settled: 0, returned: 0, suspense: 0 };
        Self { pool, lease, before: 0, named: false }
    }
}

/// Moves into suspense what silent gateways have. Returns how many leases that were.
///
/// # Errors
///
/// Returns an error if the database does.
pub async fn expire(tx: &mut Tx, now_ms: i64) -> Result<usize, StoreError> {
    let silent = sqlx::query(
        "SELECT gateway, budget, window_start FROM lease WHERE expires_ms <= $1 \
         AND granted > settled + returned + suspense ORDER BY expires_ms LIMIT $2",
    );
    let silent = silent.bind(now_ms).bind(SWEEP).fetch_all(&mut **tx).await?;
    for row in &silent {
        let (gateway, budget): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let key = (budget, row.try_get(2)?);
        let (mut pool, mut lease) = (pool(tx, &key).await?, lease(tx, &gateway, &key).await?);
        pool.expire(&mut lease);
        write_pool(tx, &key, &pool).await?;
        write_lease(tx, &gateway, &key, &lease, now_ms).await?;
    }
    Ok(silent.len())
}

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

/// What is settled of a budget in a window.
///
/// # Errors
///
/// Returns an error if the database does.
pub async fn settled(
    db: impl sqlx::Executor<'_, Database = Db>,
    budget: &str,
    window: i64,
) -> Result<u64, StoreError> {
    let found = sqlx::query_scalar::<_, i64>(
        "SELECT settled FROM balance WHERE budget = $1 AND window_start = $2",
    );
    Ok(found.bind(budget).bind(window).fetch_optional(db).await?.map_or(0, amount))
}

async fn pool(tx: &mut Tx, (budget, window): &Key) -> Result<Pool, StoreError> {
    let found = sqlx::query(
        "SELECT settled, overrun, on_loan, suspense FROM balance \
         WHERE budget = $1 AND window_start = $2",
    );
    let Some(row) = found.bind(budget).bind(window).fetch_optional(&mut **tx).await? else {
        return Ok(Pool::default());
    };
    Ok(Pool {
        limit: 0,
        settled: amount(row.try_get(0)?),
        overrun: amount(row.try_get(1)?),
        on_loan: amount(row.try_get(2)?),
        suspense: amount(row.try_get(3)?),
    })
}

async fn lease(tx: &mut Tx, gateway: &str, (budget, window): &Key) -> Result<Lease, StoreError> {
    let found = sqlx::query(
        "SELECT granted, settled, returned, suspense FROM lease \
         WHERE gateway = $1 AND budget = $2 AND window_start = $3",
    );
    let found = found.bind(gateway).bind(budget).bind(window).fetch_optional(&mut **tx).await?;
    let Some(row) = found else { return Ok(Lease::default()) };
    Ok(Lease {
        granted: amount(row.try_get(0)?),
        settled: amount(row.try_get(1)?),
        returned: amount(row.try_get(2)?),
        suspense: amount(row.try_get(3)?),
    })
}

async fn write_pool(tx: &mut Tx, (budget, window): &Key, pool: &Pool) -> Result<(), StoreError> {
    let upsert = sqlx::query(
        "INSERT INTO balance (budget, window_start, settled, overrun, on_loan, suspense) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (budget, window_start) DO UPDATE SET \
         settled = excluded.settled, overrun = excluded.overrun, on_loan = excluded.on_loan, \
         suspense = excluded.suspense",
    );
    let upsert = upsert.bind(budget).bind(window).bind(column(pool.settled));
    let upsert = upsert.bind(column(pool.overrun)).bind(column(pool.on_loan));
    upsert.bind(column(pool.suspense)).execute(&mut **tx).await.map(drop)
}

async fn write_lease(
    tx: &mut Tx,
    gateway: &str,
    (budget, window): &Key,
    lease: &Lease,
    expires_ms: i64,
) -> Result<(), StoreError> {
    let upsert = sqlx::query(
        "INSERT INTO lease (gateway, budget, window_start, granted, settled, returned, suspense, \
         expires_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
         ON CONFLICT (gateway, budget, window_start) DO UPDATE SET granted = excluded.granted, \
         settled = excluded.settled, returned = excluded.returned, suspense = excluded.suspense, \
         expires_ms = excluded.expires_ms",
    );
    let upsert = upsert.bind(gateway).bind(budget).bind(window).bind(column(lease.granted));
    let upsert = upsert.bind(column(lease.settled)).bind(column(lease.returned));
    let upsert = upsert.bind(column(lease.suspense)).bind(expires_ms);
    upsert.execute(&mut **tx).await.map(drop)
}

/// Leases that one sweep moves: the writer is not to be kept for long.
const SWEEP: i64 = 500;
