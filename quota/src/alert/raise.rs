//! What a settlement gives rise to.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tollgate::calendar::{Cycle, window_of};
use tollgate::sync::{Measure, Unit};

use super::channel;
use super::message::{self, Budget, Customer};
use super::outbox::{self, Reached};
use crate::allowance::{self, Before, Moment};
use crate::customers::{self, Book, Found, Owner, Pool};
use crate::lending;
use crate::monthly;
use crate::report::account;
use crate::report::calendar::Days;
use crate::report::text::{grouped, price, usd};
use crate::store::{Connection, StoreError, column};

/// What a transaction has booked.
#[derive(Clone, Debug, Default)]
pub struct Settled {
    /// What the months of customers that calls were booked in have come to.
    pub spent: monthly::Costs,
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
    let zone = &book.business.zone;
    let balances = present(db, book, now, &settled.balances).await?;
    // What ends after its window is measured by what was allowed in that.
    let found = balances.iter().filter_map(|balance| {
        let cycle = book.budget(&balance.budget, now)?.rule.cycle;
        let at = allowance::moment(cycle, zone, column(balance.window_start), now);
        let Found { owner, rule, part } = book.budget(&balance.budget, at)?;
        Some((balance, Moment { id: &balance.budget, owner, rule, at }, part))
    });
    let found: Vec<_> = found.collect();
    let moments: Vec<_> = found.iter().map(|(_, moment, _)| *moment).collect();
    let before = allowance::before(db, zone, &moments).await?;
    let budgets = found.into_iter().zip(before);
    let budgets = budgets.filter_map(|((balance, moment, part), before)| {
        budget(book, now, balance, (moment, part), before)
    });
    let mut reached: Vec<_> = budgets.collect();
    reached.extend(margins(db, book, now, &settled.spent).await?);
    outbox::put(db, &reached, &channel::set_up(&book.alerts), now.as_millisecond()).await
}

/// The balances, but of a budget that rolls along only that of its present step, with what is fresh in
/// any step that counts beside it, which the database does not have yet.
async fn present(
    db: &mut Connection,
    book: &Book,
    now: Timestamp,
    changed: &[Balance],
) -> Result<Vec<Balance>, StoreError> {
    let zone = &book.business.zone;
    let (mut balances, mut rolling) = (Vec::new(), BTreeMap::new());
    for steps in changed.chunk_by(|one, next| one.budget == next.budget) {
        let Some(id) = steps.first().map(|balance| &balance.budget) else { continue };
        let Some(Found { rule, .. }) = book.budget(id, now) else { continue };
        if !matches!(rule.cycle, Cycle::Rolling { .. }) {
            balances.extend_from_slice(steps);
            continue;
        }
        let since = allowance::since(rule, zone, now).unwrap_or(0);
        let counts = steps.iter().filter(|step| column(step.window_start) >= since);
        let fresh = counts.fold(0, |sum: u64, step| sum.saturating_add(step.fresh));
        rolling.insert((id.clone(), window_of(rule.cycle, zone, now).id()), fresh);
    }
    let settled = lending::settled(db, rolling.keys().cloned().collect()).await?;
    balances.extend(rolling.into_iter().map(|(key, fresh)| {
        let used = settled.get(&key).copied().unwrap_or(0).saturating_add(fresh);
        let window_start = u64::try_from(key.1).unwrap_or(0);
        Balance { budget: key.0, window_start, used, fresh }
    }));
    Ok(balances)
}

fn budget<'a>(
    book: &'a Book,
    now: Timestamp,
    balance: &'a Balance,
    (Moment { owner, rule, at, .. }, part): (Moment<'a>, &'a str),
    before: Before,
) -> Option<Reached<'a>> {
    let zone = &book.business.zone;
    let plan = owner.customer().and_then(|customer| book.plan_of(customer, at));
    let unit_name = plan.map_or("", |plan| &plan.unit_name);
    let most = allowance::base(owner, rule, zone, at).saturating_add(before.carried);
    // What rolls along is told of once in its whole length.
    let length = u64::try_from(rule.cycle.reach()).unwrap_or(0);
    let lap = balance.window_start.checked_rem(length).unwrap_or(0);
    let window_start = balance.window_start.saturating_sub(lap);
    let used = balance.used.saturating_add(before.settled);
    if !rule.warn_at.iter().any(|percent| outbox::is_past(used, most, *percent)) {
        return None;
    }
    let text = move |percent| {
        let name = match part {
            "" => owner.name().to_owned(),
            part => format!("{} ({part})", owner.name()),
        };
        let used = amount(rule.measure(), used, "");
        let limit = amount(rule.measure(), most, unit_name);
        message::budget_text(&name, percent, &used, &limit, rule.cycle)
    };
    Some(Reached {
        customer: match owner {
            Owner::Customer(customer) => named(book, customer, now),
            Owner::Pool(pool) => shared(pool),
        },
        budget: Some(Budget {
            id: balance.budget.clone(),
            unit: unit_label(rule.measure()).to_owned(),
            feature: rule.feature.clone(),
            window: rule.cycle.words(),
            window_start,
        }),
        window_start,
        thresholds: &rule.warn_at,
        used,
        limit: most,
        text: Box::new(text),
    })
}

/// What this month has come to, beside what the customers pay. A customer without revenue is no news:
/// the page shows it, at −100 %, from its first call on.
async fn margins<'a>(
    db: &mut Connection,
    book: &'a Book,
    now: Timestamp,
    spent: &monthly::Costs,
) -> Result<Vec<Reached<'a>>, StoreError> {
    if book.alerts.margin == 0 {
        return Ok(Vec::new());
    }
    let window = window_of(Cycle::Month { day: 1 }, &book.business.zone, now);
    let month = Days::month_of(window.start.date());
    let present = spent.iter().filter(|((_, month), _)| *month == window.id());
    let present = present.filter_map(|((id, _), cost)| Some((book.customers.get(id)?, *cost)));
    let present: Vec<_> = present.collect();
    let customers: Vec<_> = present.iter().map(|(customer, _)| *customer).collect();
    let accounts = account::of(db, book, &customers, now).await?;
    let reached = present.into_iter().zip(accounts).filter_map(|((customer, used), account)| {
        let limit = u64::try_from(account.prices.revenue(month)).unwrap_or(0);
        if !outbox::is_past(used, limit, book.alerts.margin) {
            return None;
        }
        let text = move |percent| {
            let (cost, revenue) = (usd(used.into()), price(limit.into()));
            message::margin_text(&customer.name, percent, &cost, &revenue)
        };
        Some(Reached {
            customer: named(book, customer, now),
            budget: None,
            window_start: u64::try_from(window.id()).unwrap_or(0),
            thresholds: core::slice::from_ref(&book.alerts.margin),
            used,
            limit,
            text: Box::new(text),
        })
    });
    Ok(reached.collect())
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
