//! The customers as reports see them: who they are, and what they pay.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use tollgate::calendar::timestamp;

use super::calendar::Days;
use super::costs::Sums;
use super::margin::{self, Prices};
use crate::customers::{Book, Customer};
use crate::statement::{BATCH, Statement};
use crate::store::{Connection, Kind, StoreError};

/// What customers paid from when on, in order.
type Standing = BTreeMap<String, Vec<(Date, u64)>>;

/// A customer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Account {
    /// The id, as totals name it.
    pub(crate) id: String,
    /// The name that people know.
    pub(crate) name: String,
    /// The name of the plan it has today.
    pub(crate) plan: String,
    /// What it pays.
    pub(crate) prices: Prices,
}

/// Every customer of the book.
pub(crate) async fn accounts(
    db: &mut Connection,
    book: &Book,
    now: Timestamp,
) -> Result<Vec<Account>, StoreError> {
    let all = "SELECT customer, since_ms, revenue FROM standing ORDER BY customer, since_ms";
    let mut standing = read(db, book, Statement::new(Kind::of(db), all)).await?;
    let customers = book.customers.values();
    Ok(customers
        .map(|customer| {
            let standing = standing.remove(&customer.id).unwrap_or_default();
            Account::new(book, customer, now, standing)
        })
        .collect())
}

/// Some customers, in their order.
pub(crate) async fn of(
    db: &mut Connection,
    book: &Book,
    customers: &[&Customer],
    now: Timestamp,
) -> Result<Vec<Account>, StoreError> {
    let mut standing = Standing::new();
    for some in customers.chunks(BATCH) {
        let ids = some.iter().map(|customer| &customer.id);
        let mut query = Statement::about(Kind::of(db), "customer", ids, |row, id| _ = row.bind(id));
        query.push(
            "SELECT s.customer, s.since_ms, s.revenue FROM asked CROSS JOIN standing AS s \
             WHERE s.customer = asked.customer ORDER BY s.customer, s.since_ms",
        );
        standing.append(&mut read(db, book, query).await?);
    }
    let account = |customer: &&Customer| {
        let standing = standing.remove(&customer.id).unwrap_or_default();
        Account::new(book, customer, now, standing)
    };
    Ok(customers.iter().map(account).collect())
}

/// What was paid from when on, as the database remembers it.
async fn read(db: &mut Connection, book: &Book, query: Statement) -> Result<Standing, StoreError> {
    let mut standing = Standing::new();
    for row in query.rows_of(&[&["customer"], &["since_ms", "revenue"]], db).await? {
        let ([customer], [since_ms, revenue]): ([String; 1], [i64; 2]) = row;
        let from = timestamp(since_ms).to_zoned_datetime(book.business.zone.clone()).date();
        let from = if since_ms == 0 { Date::MIN } else { from };
        let revenue = u64::try_from(revenue).unwrap_or(0);
        standing.entry(customer).or_default().push((from, revenue));
    }
    Ok(standing)
}

impl Account {
    /// A customer as it is now. What it pays is what the file says day by day, if the file gives
    /// days; else what the file said at the time.
    fn new(book: &Book, customer: &Customer, now: Timestamp, standing: Vec<(Date, u64)>) -> Self {
        let price = |plan: &str| book.plans.get(plan).map_or(0, |plan| plan.price.nanos());
        let dated = customer.plans.iter().any(|since| since.from.is_some());
        let prices = if dated || standing.is_empty() {
            let paid = |plan| customer.revenue.map_or_else(|| price(plan), |paid| paid.nanos());
            let plans = customer.plans.iter();
            plans.map(|since| (since.from.unwrap_or(Date::MIN), paid(&since.plan))).collect()
        } else {
            standing
        };
        Self {
            id: customer.id.clone(),
            name: customer.name.clone(),
            plan: book.plan_of(customer, now).map_or_else(String::new, |plan| plan.name.clone()),
            prices: Prices::new(prices),
        }
    }
}

/// What one customer cost and paid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The customer's id; empty: calls of nobody that is known.
    pub(crate) id: String,
    /// Its name; its id, if it is a customer no more.
    pub(crate) name: String,
    /// Its plan.
    pub(crate) plan: String,
    /// What its calls came to.
    pub(crate) sums: Sums,
    /// What it paid, in nano-dollars.
    pub(crate) revenue: i128,
    /// What it will have cost when the month is over, in nano-dollars, if that can be told.
    pub(crate) forecast: Option<i128>,
}

impl Outcome {
    /// The cost in nano-dollars.
    pub(crate) fn cost(&self) -> i128 {
        i128::from(self.sums.cost)
    }

    /// The margin in whole percent.
    pub(crate) fn margin(&self) -> Option<i128> {
        margin::percent(self.revenue, self.cost())
    }

    /// The margin at the end of the month.
    pub(crate) fn forecast_margin(&self) -> Option<i128> {
        margin::percent(self.revenue, self.forecast?)
    }
}

/// How much of a month has passed, in seconds: what forecasts go by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Elapsed {
    /// How much.
    pub(crate) passed: i64,
    /// Of how much.
    pub(crate) whole: i64,
}

/// The result of every customer, the dearest first: those that cost nothing too, those that are
/// customers no more, and last, without a name, what is nobody's.
pub(crate) fn results(
    accounts: &[Account],
    mut costs: BTreeMap<String, Sums>,
    days: Days,
    elapsed: Option<Elapsed>,
) -> Vec<Outcome> {
    let forecast = |sums: Sums| {
        elapsed.and_then(|time| margin::forecast(i128::from(sums.cost), time.passed, time.whole))
    };
    let mut results: Vec<Outcome> = accounts
        .iter()
        .map(|account| {
            let sums = costs.remove(&account.id).unwrap_or_default();
            Outcome {
                id: account.id.clone(),
                name: account.name.clone(),
                plan: account.plan.clone(),
                sums,
                revenue: account.prices.revenue(days),
                forecast: forecast(sums),
            }
        })
        .collect();
    results.extend(costs.into_iter().map(|(id, sums)| Outcome {
        name: id.clone(),
        id,
        plan: String::new(),
        sums,
        revenue: 0,
        forecast: forecast(sums),
    }));
    results.sort_by(|a, b| {
        let place = |result: &Outcome| (result.id.is_empty(), core::cmp::Reverse(result.sums.cost));
        place(a).cmp(&place(b)).then_with(|| a.name.cmp(&b.name))
    });
    results
}

/// All of them together.
pub(crate) fn total(outcomes: &[Outcome]) -> Outcome {
    let mut all = Outcome { name: "All".to_owned(), forecast: Some(0), ..Outcome::default() };
    for outcome in outcomes {
        all.sums = all.sums.plus(outcome.sums);
        all.revenue = all.revenue.saturating_add(outcome.revenue);
        let both = all.forecast.zip(outcome.forecast);
        all.forecast = both.map(|(sum, part)| sum.saturating_add(part));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(cost: i64) -> Sums {
        Sums { calls: 1, cost, ..Sums::default() }
    }

    #[test]
    fn everyone_is_in_the_results() {
        let account = |id: &str, price| Account {
            id: id.into(),
            name: id.to_uppercase(),
            plan: "Pro".into(),
            prices: Prices::new(vec![("2026-01-01".parse().unwrap(), price)]),
        };
        let accounts = [account("idle", 10), account("dear", 100), account("free", 0)];
        let costs = [("", 900), ("dear", 178), ("free", 5), ("gone", 7)];
        let costs = costs.map(|(id, cost)| (id.to_owned(), sums(cost))).into_iter().collect();
        let month = Days::month_of("2026-11-15".parse().unwrap());
        let elapsed = Elapsed { passed: 15 * 86_400, whole: 30 * 86_400 };
        let results = results(&accounts, costs, month, Some(elapsed));
        let rows: Vec<_> = results
            .iter()
            .map(|r| (r.name.as_str(), r.cost(), r.margin(), r.forecast, r.forecast_margin()))
            .collect();
        #[rustfmt::skip]
        assert_eq!(rows, [
            ("DEAR", 178, Some(-78),  Some(356),   Some(-256)),
            ("gone", 7,   Some(-100), Some(14),    Some(-100)),
            ("FREE", 5,   Some(-100), Some(10),    Some(-100)),
            ("IDLE", 0,   Some(100),  Some(0),     Some(100)),
            ("",     900, Some(-100), Some(1_800), Some(-100)),
        ]);
    }
}
