//! The balances and leases that one transaction is about: locked and read, changed by the algebra,
//! written back.
//!
//! A lease is only ever written, or read to be changed, by who has locked the balance of its budget
//! and window, and balances are locked in the order of their keys: two transactions wait for each
//! other at most in one direction. What is read without the lock, as by [`on_loan_to`], is a hint:
//! it may be out of date at once.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::Row as _;
use tollgate::lease::{Lease, Pool};

use crate::{
    alert,
    ledger::Charged,
    monthly,
    statement::{BATCH, Statement},
    store::{Connection, Kind, Record, StoreError, Tx, amount, column},
};

/// A budget in a window: the budget's id, and when the window began.
pub type Key = (String, i64);

/// A budget in a window, and what one gateway has of it.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// The lender's side.
    pub pool: Pool,
    /// The gateway's side.
    pub lease: Lease,
    /// Whether the gateway named its lease, which keeps it alive.
    pub named: bool,
    /// The lender's side as it was found.
    was: Pool,
}

/// The accounts that one transaction is about.
#[derive(Debug)]
pub struct Lending<'a> {
    gateway: &'a str,
    /// The accounts by key.
    pub accounts: BTreeMap<Key, Account>,
}

impl<'a> Lending<'a> {
    /// Locks and reads these accounts. Nobody else changes them until the transaction ends.
    ///
    /// # Errors
    ///
    /// Returns an error if the database does.
    pub async fn open(
        tx: &mut Tx,
        gateway: &'a str,
        keys: BTreeSet<Key>,
        limit: impl Fn(&str) -> u64,
    ) -> Result<Self, StoreError> {
        let mut accounts = BTreeMap::new();
        for (key, pool) in lock(tx, &keys).await? {
            let pool = Pool { limit: limit(&key.0), ..pool };
            accounts.insert(key, Account { pool, was: pool, ..Account::default() });
        }
        let keys: Vec<_> = keys.into_iter().collect();
        for some in keys.chunks(BATCH) {
            let mut query = asked(Kind::of(tx), some);
            query.push(
                "SELECT l.budget, l.window_start, l.granted, l.settled, l.returned, l.suspense \
                 FROM asked CROSS JOIN lease AS l WHERE l.budget = asked.budget \
                 AND l.window_start = asked.window_start AND l.gateway = ",
            );
            query.bind(gateway);
            for row in query.query().fetch_all(&mut **tx).await? {
                if let Some(account) = accounts.get_mut(&(row.try_get(0)?, row.try_get(1)?)) {
                    account.lease = lease(&row, 2)?;
                }
            }
        }
        Ok(Self { gateway, accounts })
    }

    /// Settles what a call takes of a balance: how much, and how much of that no lease covers, as
    /// far as its gateway knows.
    pub fn settle(
        &mut self,
        call: &str,
        key: &Key,
        (amount, beyond): (u64, u64),
        charged: &mut Charged,
    ) {
        let Some(account) = self.accounts.get_mut(key) else { return };
        account.named |= account.lease.outstanding() > 0 || account.lease.suspense > 0;
        let settled = account.pool.settle(&mut account.lease, amount, beyond);
        charged.add(call, key, amount, settled.overrun);
    }

    /// Takes back what a gateway held for a unit that was counted already: it is used by nobody.
    pub fn spare(&mut self, key: &Key, held: u64) {
        let Some(account) = self.accounts.get_mut(key) else { return };
        account.named |= account.lease.outstanding() > 0 || account.lease.suspense > 0;
        account.pool.give_back(&mut account.lease, held);
    }

    /// Sets how much of a balance may be lent.
    pub fn allow(&mut self, key: &Key, limit: u64) {
        if let Some(account) = self.accounts.get_mut(key) {
            (account.pool.limit, account.was.limit) = (limit, limit);
        }
    }

    /// Sums of a budget's `windows` beside this one, of what is settled and of all that is taken, as
    /// they will be when this is saved; `stored` are those that the database has.
    #[must_use]
    pub fn changed(
        &self,
        key: &Key,
        windows: std::ops::Range<i64>,
        stored: (u64, u64),
    ) -> (u64, u64) {
        let range = (key.0.clone(), windows.start)..(key.0.clone(), windows.end);
        let taken =
            |pool: &Pool| pool.settled.saturating_add(pool.on_loan).saturating_add(pool.suspense);
        let beside = self.accounts.range(range).filter(|(other, _)| *other != key);
        beside.fold(stored, |(settled, all), (_, account)| {
            let Account { pool, was, .. } = account;
            let less = (settled.saturating_sub(was.settled), all.saturating_sub(taken(was)));
            (less.0.saturating_add(pool.settled), less.1.saturating_add(taken(pool)))
        })
    }

    /// What has been settled so far: the balances, and the months in which customers have `spent`.
    #[must_use]
    pub fn settled(&self, spent: monthly::Costs) -> alert::Settled {
        let changed = self.accounts.iter();
        let changed = changed.filter(|(_, account)| account.pool.settled > account.was.settled);
        let balances = changed.map(|((budget, window), account)| alert::Balance {
            budget: budget.clone(),
            window_start: u64::try_from(*window).unwrap_or(0),
            used: account.pool.settled,
            fresh: account.pool.settled.saturating_sub(account.was.settled),
        });
        alert::Settled { spent, balances: balances.collect() }
    }

    /// Writes back what has changed.
    ///
    /// # Errors
    ///
    /// Returns an error if the database does.
    pub async fn save(&self, tx: &mut Tx, expires_ms: i64) -> Result<(), StoreError> {
        let changed = self.accounts.iter().filter(|(_, account)| account.pool != account.was);
        write_pools(tx, changed.map(|(key, account)| (key, &account.pool))).await?;
        let named = self.accounts.iter().filter(|(_, account)| account.named);
        let leases = named.map(|(key, account)| (self.gateway, key, &account.lease));
        write_leases(tx, leases, expires_ms).await
    }
}

/// What is settled of each of these budgets in its window, where anything is.
///
/// # Errors
///
/// Returns an error if the database does.
pub async fn settled(
    db: &mut Connection,
    keys: BTreeSet<Key>,
) -> Result<BTreeMap<Key, u64>, StoreError> {
    let mut settled = BTreeMap::new();
    let keys: Vec<_> = keys.into_iter().collect();
    for some in keys.chunks(BATCH) {
        let mut query = asked(Kind::of(db), some);
        query.push(
            "SELECT b.budget, b.window_start, b.settled FROM asked CROSS JOIN balance AS b \
             WHERE b.budget = asked.budget AND b.window_start = asked.window_start",
        );
        for row in query.query().fetch_all(&mut *db).await? {
            settled.insert((row.try_get(0)?, row.try_get(1)?), amount(row.try_get(2)?));
        }
    }
    Ok(settled)
}

/// What is settled of the parts of a budget in its windows from one on: the `most` of which most is,
/// by their names.
///
/// # Errors
///
/// Returns an error if the database does.
pub async fn parts(
    db: &mut Connection,
    (budget, window): &Key,
    most: i64,
) -> Result<Vec<(String, u64)>, StoreError> {
    // The ids of parts are those between `budget/` and `budget0`: the character after the slash.
    let query = sqlx::query(
        "SELECT budget, CAST(SUM(settled) AS BIGINT) AS used FROM balance WHERE budget > $1 \
         AND budget < $2 AND window_start >= $3 GROUP BY budget ORDER BY used DESC, budget LIMIT $4",
    );
    let query = query.bind(format!("{budget}/")).bind(format!("{budget}0")).bind(window).bind(most);
    let mut parts = Vec::new();
    for row in query.fetch_all(&mut *db).await? {
        let id: String = row.try_get(0)?;
        if let Some(part) = tollgate::scope::part_of(&id, budget) {
            parts.push((part.to_owned(), amount(row.try_get(1)?)));
        }
    }
    Ok(parts)
}

/// Of these accounts, those of which a gateway has something on loan; without locking them, so that
/// it is a hint.
///
/// # Errors
///
/// Returns an error if the database does.
pub async fn on_loan_to(
    db: &mut Connection,
    gateway: &str,
    keys: BTreeSet<Key>,
) -> Result<Vec<Key>, StoreError> {
    let mut found = Vec::new();
    let keys: Vec<_> = keys.into_iter().collect();
    for some in keys.chunks(BATCH) {
        let mut query = asked(Kind::of(db), some);
        query.push(
            "SELECT l.budget, l.window_start FROM asked CROSS JOIN lease AS l \
             WHERE l.budget = asked.budget AND l.window_start = asked.window_start \
             AND l.granted > l.settled + l.returned + l.suspense AND l.gateway = ",
        );
        query.bind(gateway);
        for row in query.query().fetch_all(&mut *db).await? {
            found.push((row.try_get(0)?, row.try_get(1)?));
        }
    }
    Ok(found)
}

/// Locks the balances, in order, makes those that are not there, and reads them; without limits.
///
/// A row that is not there cannot be locked by reading it. An insert that meets the row and writes
/// what stands there locks it too, and there is no moment between looking and locking.
pub(crate) async fn lock(
    tx: &mut Tx,
    keys: &BTreeSet<Key>,
) -> Result<BTreeMap<Key, Pool>, StoreError> {
    let mut pools = BTreeMap::new();
    let keys: Vec<_> = keys.iter().collect();
    for some in keys.chunks(BATCH) {
        let mut upsert = Statement::new(
            Kind::of(tx),
            "INSERT INTO balance (budget, window_start, settled, overrun, on_loan, suspense) ",
        );
        upsert.rows(some, |row, (budget, window)| {
            row.bind(budget).bind(window);
            for _ in 0..4 {
                row.bind(0_i64);
            }
        });
        upsert.push(
            " ON CONFLICT (budget, window_start) DO UPDATE SET settled = balance.settled \
             RETURNING budget, window_start, settled, overrun, on_loan, suspense",
        );
        for row in upsert.query().fetch_all(&mut **tx).await? {
            let pool = Pool {
                limit: 0,
                settled: amount(row.try_get(2)?),
                overrun: amount(row.try_get(3)?),
                on_loan: amount(row.try_get(4)?),
                suspense: amount(row.try_get(5)?),
            };
            pools.insert((row.try_get(0)?, row.try_get(1)?), pool);
        }
    }
    Ok(pools)
}

pub(crate) async fn write_pools(
    tx: &mut Tx,
    pools: impl Iterator<Item = (&Key, &Pool)>,
) -> Result<(), StoreError> {
    let pools: Vec<_> = pools.collect();
    for some in pools.chunks(BATCH) {
        let mut upsert = Statement::new(
            Kind::of(tx),
            "INSERT INTO balance (budget, window_start, settled, overrun, on_loan, suspense) ",
        );
        upsert.rows(some, |row, ((budget, window), pool)| {
            row.bind(budget).bind(window);
            for number in [pool.settled, pool.overrun, pool.on_loan, pool.suspense] {
                row.bind(column(number));
            }
        });
        upsert.push(
            " ON CONFLICT (budget, window_start) DO UPDATE SET settled = excluded.settled, \
             overrun = excluded.overrun, on_loan = excluded.on_loan, suspense = excluded.suspense",
        );
        upsert.query().execute(&mut **tx).await?;
    }
    Ok(())
}

pub(crate) async fn write_leases(
    tx: &mut Tx,
    leases: impl Iterator<Item = (&str, &Key, &Lease)>,
    expires_ms: i64,
) -> Result<(), StoreError> {
    let leases: Vec<_> = leases.collect();
    for some in leases.chunks(BATCH) {
        let mut upsert = Statement::new(
            Kind::of(tx),
            "INSERT INTO lease (gateway, budget, window_start, granted, settled, returned, \
             suspense, expires_ms) ",
        );
        upsert.rows(some, |row, (gateway, (budget, window), lease)| {
            row.bind(*gateway).bind(budget).bind(window);
            for number in [lease.granted, lease.settled, lease.returned, lease.suspense] {
                row.bind(column(number));
            }
            row.bind(expires_ms);
        });
        upsert.push(
            " ON CONFLICT (gateway, budget, window_start) DO UPDATE SET \
             granted = excluded.granted, settled = excluded.settled, returned = excluded.returned, \
             suspense = excluded.suspense, expires_ms = excluded.expires_ms",
        );
        upsert.query().execute(&mut **tx).await?;
    }
    Ok(())
}

/// A lease of which the first column is at `at`.
pub(crate) fn lease(row: &Record, at: usize) -> Result<Lease, StoreError> {
    let number = |more: usize| row.try_get(at.saturating_add(more)).map(amount);
    Ok(Lease {
        granted: number(0)?,
        settled: number(1)?,
        returned: number(2)?,
        suspense: number(3)?,
    })
}

/// The beginning of a query about these keys.
fn asked(kind: Kind, keys: &[Key]) -> Statement {
    Statement::about(kind, "budget, window_start", keys, |row, (budget, window)| {
        row.bind(budget).bind(window);
    })
}
