//! A customer as a gateway needs to know it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tollgate::{
    calendar::window_of,
    rule::Rule,
    sync::{self, Measure, Tenant, Unit},
};

use crate::{
    allowance::{self, Moment},
    customers::{Book, Customer, Found, Owner},
    lending,
    store::{Connection, StoreError, column},
};

/// The customers that a gateway asked for, each under the name it was asked for by; without the
/// budgets that need a gateway of another `level`, of which there are so many.
///
/// # Errors
///
/// Returns an error if the database does.
pub async fn of(
    db: &mut Connection,
    book: &Book,
    asked: &[(&str, &Customer)],
    level: u8,
    now: Timestamp,
) -> Result<(Vec<Tenant>, usize), StoreError> {
    let tenants = asked.iter().map(|(name, customer)| definition(book, customer, name, now));
    let mut tenants: Vec<_> = tenants.collect();
    let mut withheld: usize = 0;
    for tenant in &mut tenants {
        let all = tenant.budgets.len();
        tenant.budgets.retain(|budget| budget.level() <= level);
        withheld = withheld.saturating_add(all.saturating_sub(tenant.budgets.len()));
    }
    let key = |budget: &sync::Budget| (budget.id.clone(), column(budget.window.id));
    let keys = tenants.iter().flat_map(|tenant| &tenant.budgets).map(key).collect();
    let settled = lending::settled(db, keys).await?;
    for budget in tenants.iter_mut().flat_map(|tenant| &mut tenant.budgets) {
        budget.used = settled.get(&key(budget)).copied().unwrap_or(0);
    }
    let ids: Vec<_> = tenants.iter().flat_map(|t| &t.budgets).map(|b| b.id.clone()).collect();
    let moments = ids.iter().filter_map(|id| {
        let Found { owner, rule, .. } = book.budget(id, now)?;
        Some(Moment { id, owner, rule, at: now })
    });
    let moments: Vec<_> = moments.collect();
    let before = allowance::before(db, &book.business.zone, &moments).await?;
    let before: BTreeMap<_, _> = moments.iter().map(|moment| moment.id).zip(before).collect();
    for budget in tenants.iter_mut().flat_map(|tenant| &mut tenant.budgets) {
        let Some(before) = before.get(budget.id.as_str()) else { continue };
        budget.limit = budget.limit.saturating_add(before.carried);
        budget.used = budget.used.saturating_add(before.settled);
    }
    Ok((tenants, withheld))
}

/// One of them, without what was used.
#[must_use]
pub fn definition(book: &Book, customer: &Customer, name: &str, now: Timestamp) -> Tenant {
    let plan = book.plan_of(customer, now);
    let budget = |(owner, rule): (Owner<'_>, &Rule)| {
        let window = window_of(rule.cycle, &book.business.zone, now);
        sync::Budget {
            id: owner.budget_id(rule),
            feature: rule.feature.clone(),
            matches: rule.matches.clone(),
            per: rule.per.clone(),
            unit: rule.unit,
            tokens: rule.tokens,
            unit_name: unit_name(rule.measure(), plan.map_or("", |plan| &plan.unit_name))
                .to_owned(),
            limit: allowance::base(owner, rule, &book.business.zone, now),
            used: 0,
            window: sync::Window {
                id: u64::try_from(window.id()).unwrap_or(0),
                name: rule.cycle.words(),
                ends_in_ms: window.ends_in_ms(now),
                resets_at: window.resets_at(),
                step: u64::try_from(rule.cycle.step()).unwrap_or(0),
            },
            warn_at: rule.warn_at.clone(),
            action: rule.action.clone(),
            shadow: rule.shadow,
            holding: rule.holding,
        }
    };
    let changes_in_ms = book.changes_in_ms(customer, now).unwrap_or(u64::MAX);
    Tenant {
        name: name.to_owned(),
        id: customer.id.clone(),
        plan: plan.map_or_else(String::new, |plan| plan.name.clone()),
        suspended: customer.suspended,
        upgrade_url: plan.map_or_else(String::new, |plan| plan.upgrade_url.clone()),
        budgets: book.budgets_of(customer, now).into_iter().map(budget).collect(),
        ttl_ms: TTL_MS.min(changes_in_ms.max(1)),
    }
}

/// How a unit is called in front of people. `own` is how the plan calls its own.
#[must_use]
pub fn unit_name(measure: Measure, own: &str) -> &str {
    match measure.unit {
        Unit::Usd => "US dollars",
        Unit::Tokens => measure.tokens.words(),
        Unit::Requests => "requests",
        Unit::Units if own.is_empty() => "units",
        Unit::Units => own,
    }
}

/// A gateway that hears nothing asks again after a minute.
const TTL_MS: u64 = 60_000;
