//! What a settlement gives rise to.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sqlx::Row as _;
use tollgate::calendar::{Cycle, window_of};
use tollgate::rule::Rule;
use tollgate::sync::{Measure, Unit};

use super::channel;
use super::message::{self, Budget, Customer};
use super::outbox::{self, Reached};
use crate::allowance;
use crate::customers::{self, Book, Found, Owner, Pool};
use crate::lending;
use crate::report::account;
use crate::report::calendar::Days;
use crate::report::text::{grouped, price, usd};
use crate::statement::Statement;
use crate::store::{Connection, Kind, StoreError, column};

/// What a transaction has booked.
#[derive(Clone, Debug, Default)]
pub struct Settled {
    /// The ids of the customers that calls were booked for.
    pub customers: BTreeSet<String>,
    /// The balances that changed, those of a budget next to each other.
    pub balances: Vec<Balance>,
}

/// A balance as it is now.
#[derive(Clone, Debug)]
pub struct Balance {
    /// The budget's id.
    pub budget: String,
    /// When the window began, in seconds since 1970 UTC.
    pub window_start: u64,
    /// All that was used in it.
    pub used: u64,
    /// How much of that is of this transaction, and not yet in the database.
    pub fresh: u64,
}

/// Writes the alerts that follow from what was booked, each once, in the same transaction.
///
/// # Errors
///
/// Returns an error if the database cannot be written to: then nothing of the transaction holds.
pub async fn raise(
    db: &mut Connection,
    book: &Book,
    now: Timestamp,
    settled: &Settled,
) -> Result<(), StoreError> {
    for windows in settled.balances.chunk_by(|one, next| one.budget == next.budget) {
        let Some(id) = windows.first().map(|balance| &balance.budget) else { continue };
        let Some(Found { rule, .. }) = book.budget(id, now) else { continue };
        if matches!(rule.cycle, Cycle::Rolling { .. }) {
            let balance = present(db, book, now, rule, windows).await?;
            budget(db, book, now, rule.cycle, &balance).await?;
            continue;
        }
        for balance in windows {
            budget(db, book, now, rule.cycle, balance).await?;
        }
    }
    for id in &settled.customers {
        if let Some(customer) = book.customers.get(id) {
            margin(db, book, now, customer).await?;
        }
    }
    Ok(())
}

/// The present step of a budget that rolls along, with what is fresh in any of the `steps` that count
/// beside it, which the database does not have yet.
async fn present(
    db: &mut Connection,
    book: &Book,
    now: Timestamp,
    rule: &Rule,
    steps: &[Balance],
) -> Result<Balance, StoreError> {
    let zone = &book.business.zone;
    let since = allowance::since(rule, zone, now).unwrap_or(0);
    let counts = steps.iter().filter(|step| column(step.window_start) >= since);
    let fresh = counts.fold(0, |sum: u64, step| sum.saturating_add(step.fresh));
    let budget = steps.first().map(|step| step.budget.clone()).unwrap_or_default();
    let key = (budget, window_of(rule.cycle, zone, now).id());
    let settled = lending::settled(db, [key.clone()].into()).await?;
    let used = settled.get(&key).copied().unwrap_or(0).saturating_add(fresh);
    let window_start = u64::try_from(key.1).unwrap_or(0);
    Ok(Balance { budget: key.0, window_start, used, fresh })
}

/// What ends after its window is measured by what was allowed in that.
async fn budget(
    db: &mut Connection,
    book: &Book,
    now: Timestamp,
    cycle: Cycle,
    balance: &Balance,
) -> Result<(), StoreError> {
    let zone = &book.business.zone;
    let at = allowance::moment(cycle, zone, column(balance.window_start), now);
    let Some(Found { owner, rule, part }) = book.budget(&balance.budget, at) else {
        return Ok(());
    };
    let plan = owner.customer().and_then(|customer| book.plan_of(customer, at));
    let unit_name = plan.map_or("", |plan| &plan.unit_name);
    let before = allowance::before(db, (&balance.budget, owner, rule), zone, at).await?;
    let most = allowance::base(owner, rule, zone, at).saturating_add(before.carried);
    // What rolls along is told of once in its whole length.
    let length = u64::try_from(rule.cycle.reach()).unwrap_or(0);
    let lap = balance.window_start.checked_rem(length).unwrap_or(0);
    let balance = &Balance {
        window_start: balance.window_start.saturating_sub(lap),
        used: balance.used.saturating_add(before.settled),
        ..balance.clone()
    };
    let reached = Reached {
        customer: match owner {
            Owner::Customer(customer) => named(book, customer, now),
            Owner::Pool(pool) => shared(pool),
        },
        budget: Some(Budget {
            id: balance.budget.clone(),
            unit: unit_label(rule.measure()).to_owned(),
            feature: rule.feature.clone(),
            window: rule.cycle.words(),
            window_start: balance.window_start,
        }),
        window_start: balance.window_start,
        thresholds: &rule.warn_at,
        used: balance.used,
        limit: most,
    };
    let used = amount(rule.measure(), balance.used, "");
    let limit = amount(rule.measure(), most, unit_name);
    let name = match part {
        "" => owner.name().to_owned(),
        part => format!("{} ({part})", owner.name()),
    };
    let text = |percent| message::budget_text(&name, percent, &used, &limit, rule.cycle);
    let channels = channel::set_up(&book.alerts);
    outbox::put(db, &reached, &channels, now.as_millisecond(), text).await
}

/// A customer without revenue is no news: the page shows it, at −100 %, from its first call on.
async fn margin(
    db: &mut Connection,
    book: &Book,
    now: Timestamp,
    customer: &customers::Customer,
) -> Result<(), StoreError> {
    let zone = &book.business.zone;
    let window = window_of(Cycle::Month { day: 1 }, zone, now);
    let month = Days::month_of(window.start.date());
    let account = account::account(db, book, customer, now).await?;
    let limit = u64::try_from(account.prices.revenue(month)).unwrap_or(0);
    if limit == 0 || book.alerts.margin == 0 {
        return Ok(());
    }
    // Of two that book calls of one customer at once, the later one is to see the sum of both.
    let mut alone = Statement::new("SELECT 1 FROM standing WHERE customer = ");
    alone.bind(&customer.id).push(" ORDER BY since_ms").push(Kind::of(db).locking(false));
    alone.query().fetch_all(&mut *db).await?;
    let cost = sqlx::query(
        "SELECT CAST(COALESCE(SUM(cost), 0) AS BIGINT) AS cost FROM hourly
         WHERE customer = $1 AND hour >= $2",
    );
    let cost = cost.bind(&customer.id).bind(window.id()).fetch_one(&mut *db).await?;
    let used = u64::try_from(cost.try_get::<i64, _>("cost")?).unwrap_or(0);
    let reached = Reached {
        customer: named(book, customer, now),
        budget: None,
        window_start: u64::try_from(window.id()).unwrap_or(0),
        thresholds: &[book.alerts.margin],
        used,
        limit,
    };
    let (cost, revenue) = (usd(used.into()), price(limit.into()));
    let text = |percent| message::margin_text(&customer.name, percent, &cost, &revenue);
    let channels = channel::set_up(&book.alerts);
    outbox::put(db, &reached, &channels, now.as_millisecond(), text).await
}

fn named(book: &Book, customer: &customers::Customer, now: Timestamp) -> Customer {
    let plan = book.plan_of(customer, now).map(|plan| plan.name.clone());
    Customer {
        id: customer.id.clone(),
        name: customer.name.clone(),
        plan: plan.unwrap_or_default(),
    }
}

/// A pool in the place of a customer: its id is that of no customer.
fn shared(pool: &Pool) -> Customer {
    Customer { id: format!("/{}", pool.name), name: pool.name.clone(), plan: String::new() }
}

/// An amount of a budget for people; `unit_name` is how the plan calls its own unit.
pub(crate) fn amount(measure: Measure, amount: u64, unit_name: &str) -> String {
    let counted = |name: &str| format!("{} {name}", grouped(amount.into())).trim_end().to_owned();
    match measure.unit {
        Unit::Usd => price(amount.into()),
        Unit::Tokens => counted(measure.tokens.words()),
        Unit::Requests => counted("requests"),
        Unit::Units => counted(unit_name),
    }
}

const fn unit_label(measure: Measure) -> &'static str {
    match measure.unit {
        Unit::Usd => "usd",
        Unit::Tokens => measure.tokens.label(),
        Unit::Requests => "requests",
        Unit::Units => "units",
    }
}
