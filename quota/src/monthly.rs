//! What each customer's calls came to in a month, kept in the transaction that books them: its margin
//! is one row to read, however many hours and models the month has.
//!
//! A row that is new takes what the hourly totals have of its month, once. It is locked by then, so who
//! books calls of the same customer beside adds to it afterwards.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use sqlx::Row as _;
use tollgate::calendar::{Cycle, timestamp, window_of};

use crate::{
    statement::{BATCH, Statement},
    store::{Kind, StoreError, Tx, amount, column},
};

/// A customer's id, and when a month began, in seconds since 1970 UTC.
pub type Key = (String, i64);
/// Nano-dollars by customer and month.
pub type Costs = BTreeMap<Key, u64>;

/// When the month began in which this moment is, by the business's clock.
#[must_use]
pub fn month_of(zone: &TimeZone, at_ms: i64) -> i64 {
    window_of(MONTH, zone, timestamp(at_ms)).id()
}

/// Adds what was booked, and returns what these months have come to.
///
/// # Errors
///
/// Returns an error if the database does.
pub async fn add(tx: &mut Tx, zone: &TimeZone, booked: &Costs) -> Result<Costs, StoreError> {
    let mut costs = Costs::new();
    let mut new: BTreeMap<i64, BTreeSet<String>> = BTreeMap::new();
    let booked: Vec<_> = booked.iter().collect();
    for some in booked.chunks(BATCH) {
        let rows = some.iter().map(|((customer, month), cost)| (customer, *month, **cost));
        for (key, cost, is_whole) in put(tx, rows, false).await? {
            if !is_whole {
                new.entry(key.1).or_default().insert(key.0.clone());
            }
            costs.insert(key, cost);
        }
    }
    for (month, customers) in new {
        let customers: Vec<_> = customers.into_iter().collect();
        for some in customers.chunks(BATCH) {
            let sums = sums(tx, zone, month, some).await?;
            let rows = sums.iter().map(|(customer, cost)| (customer, month, *cost));
            for (key, cost, _) in put(tx, rows, true).await? {
                costs.insert(key, cost);
            }
        }
    }
    Ok(costs)
}

/// Adds to these rows, or makes them, or writes the whole of them. Returns them as they are then.
async fn put<'a>(
    tx: &mut Tx,
    rows: impl Iterator<Item = (&'a String, i64, u64)>,
    whole: bool,
) -> Result<Vec<(Key, u64, bool)>, StoreError> {
    let mut upsert =
        Statement::new(Kind::of(tx), "INSERT INTO monthly (customer, month, cost, whole) ");
    upsert.rows(rows, |row, (customer, month, cost)| {
        row.bind(customer).bind(month).bind(column(cost)).bind(i64::from(whole));
    });
    upsert.push(if whole {
        " ON CONFLICT (customer, month) DO UPDATE SET cost = excluded.cost, whole = 1"
    } else {
        " ON CONFLICT (customer, month) DO UPDATE SET cost = monthly.cost + excluded.cost"
    });
    upsert.push(" RETURNING customer, month, cost, whole");
    let rows = upsert.query().fetch_all(&mut **tx).await?;
    let read = rows.iter().map(|row| {
        let key = (row.try_get(0)?, row.try_get(1)?);
        Ok((key, amount(row.try_get(2)?), row.try_get::<i64, _>(3)? != 0))
    });
    read.collect()
}

/// What the hourly totals have of a month.
async fn sums(
    tx: &mut Tx,
    zone: &TimeZone,
    month: i64,
    customers: &[String],
) -> Result<BTreeMap<String, u64>, StoreError> {
    let end = window_of(MONTH, zone, timestamp(month.saturating_mul(1_000))).end;
    let end = end.map_or(i64::MAX, |end| end.timestamp().as_second());
    let mut query =
        Statement::about(Kind::of(tx), "customer", customers, |row, id| _ = row.bind(id));
    query.push(
        "SELECT asked.customer, CAST(SUM(h.cost) AS BIGINT) FROM asked CROSS JOIN hourly AS h \
         WHERE h.customer = asked.customer AND h.hour >= ",
    );
    query.bind(month).push(" AND h.hour < ").bind(end).push(" GROUP BY asked.customer");
    let rows = query.query().fetch_all(&mut **tx).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, amount(row.try_get(1)?)))).collect()
}

const MONTH: Cycle = Cycle::Month { day: 1 };
