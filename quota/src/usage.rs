//! `GET /v1/customers/{id}/usage`: what a customer itself may see.
//!
//! It shows what is included and what of it is left, in the plan's own terms. What its calls cost
//! the business is not the customer's to see: of a budget in dollars it shows the percentage.

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tollgate::{calendar::window_of, rule::Rule, sync::Unit};

use crate::{
    allowance::{self, Moment},
    auth,
    customers::{Book, Customer, Owner},
    lending,
    state::Shared,
    store::StoreError,
    tenant::unit_name,
};

/// What a customer sees.
#[derive(Debug, Serialize)]
struct Seen {
    customer: String,
    name: String,
    plan: String,
    suspended: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    upgrade_url: String,
    budgets: Vec<SeenBudget>,
}

/// One of its budgets.
#[derive(Debug, Serialize)]
struct SeenBudget {
    /// The name among the customer's budgets.
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    feature: Option<String>,
    unit: String,
    window: String,
    /// Missing where the unit is money.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    used: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<u64>,
    /// In whole percent of the limit, rounded down. Of one that is counted by parts, of the fullest.
    used_percent: u64,
    /// The pool that shares it; what others use of it is not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    shared: Option<String>,
    /// What is counted by itself, of which each has the whole limit; the fullest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<SeenPart>,
    /// `firm`, where nothing can be used beyond the limit, or `soft`.
    hold: &'static str,
    /// Missing where it never does.
    #[serde(skip_serializing_if = "String::is_empty")]
    resets_at: String,
}

/// A part of a budget.
#[derive(Debug, Serialize)]
struct SeenPart {
    /// Which, such as `feature=chat`.
    part: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    used: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<u64>,
    used_percent: u64,
}

/// Answers a customer that shows its token.
pub async fn usage(
    State(state): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let book = state.book();
    let token = auth::bearer(&headers).unwrap_or_default();
    // Who is unknown and who has another token get the same answer.
    let customer = book.customers.get(&id);
    let own = |customer: &&Customer| customer.token.is_some_and(|key| auth::is(token, &key));
    let Some(customer) = customer.filter(own) else { return auth::unauthorized() };
    match seen(&state, &book, customer).await {
        Ok(seen) => Json(seen).into_response(),
        Err(error) => {
            tracing::error!(%error, "usage cannot be read");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

async fn seen(state: &Shared, book: &Book, customer: &Customer) -> Result<Seen, StoreError> {
    let now = state.clock.now();
    let plan = book.plan_of(customer, now);
    let rules = book.budgets_of(customer, now).into_iter();
    let rules = rules.map(|(owner, rule)| {
        let window = window_of(rule.cycle, &book.business.zone, now);
        (owner, rule, (owner.budget_id(rule), window.id()), window.resets_at())
    });
    let rules: Vec<_> = rules.collect();
    let keys = rules.iter().map(|(_, _, key, _)| key.clone()).collect();
    let mut db = state.store.reader().acquire().await?;
    let settled = lending::settled(&mut db, keys).await?;
    let zone = &book.business.zone;
    let moments = rules.iter();
    let moments =
        moments.map(|(owner, rule, key, _)| Moment { id: &key.0, owner: *owner, rule, at: now });
    let before = allowance::before(&mut db, zone, &moments.collect::<Vec<_>>()).await?;
    let mut budgets = Vec::new();
    for ((owner, rule, key, resets_at), before) in rules.into_iter().zip(before) {
        let most = allowance::base(owner, rule, zone, now).saturating_add(before.carried);
        let used = settled.get(&key).copied().unwrap_or(0).saturating_add(before.settled);
        let own = plan.map_or("", |plan| &plan.unit_name);
        let mut seen = SeenBudget::new(rule, own, (used, most), resets_at);
        match owner {
            Owner::Pool(pool) => seen.share(&pool.name),
            Owner::Customer(_) if !rule.per.is_empty() => {
                let since = allowance::since(rule, zone, now).filter(|_| rule.roll_over == 0);
                let key = (key.0, since.unwrap_or(key.1));
                let parts = lending::parts(&mut db, &key, PARTS).await?;
                seen.divide(rule, most, parts);
            }
            Owner::Customer(_) => {}
        }
        budgets.push(seen);
    }
    Ok(Seen {
        customer: customer.id.clone(),
        name: customer.name.clone(),
        plan: plan.map_or_else(String::new, |plan| plan.name.clone()),
        suspended: customer.suspended,
        upgrade_url: plan.map_or_else(String::new, |plan| plan.upgrade_url.clone()),
        budgets,
    })
}

impl SeenBudget {
    fn new(rule: &Rule, own_unit: &str, (used, most): (u64, u64), resets_at: String) -> Self {
        let shown = |amount| (rule.unit != Unit::Usd).then_some(amount);
        let unit = match rule.unit {
            Unit::Usd => "included use",
            _ => unit_name(rule.measure(), own_unit),
        };
        Self {
            id: rule.key.clone(),
            feature: rule.feature.clone(),
            unit: unit.to_owned(),
            window: rule.cycle.words(),
            limit: shown(most),
            used: shown(used),
            left: shown(most.saturating_sub(used)),
            used_percent: percent(used, most),
            shared: None,
            parts: Vec::new(),
            hold: hold(rule),
            resets_at,
        }
    }

    /// It is shared: of what is used, only the share of the whole is told.
    fn share(&mut self, pool: &str) {
        (self.used, self.left, self.shared) = (None, None, Some(pool.to_owned()));
    }

    /// It is counted by parts.
    fn divide(&mut self, rule: &Rule, most: u64, parts: Vec<(String, u64)>) {
        let shown = |amount| (rule.unit != Unit::Usd).then_some(amount);
        (self.used, self.left) = (None, None);
        self.parts = parts
            .into_iter()
            .map(|(part, used)| SeenPart {
                part,
                used: shown(used),
                left: shown(most.saturating_sub(used)),
                used_percent: percent(used, most),
            })
            .collect();
        self.used_percent = self.parts.first().map_or(0, |fullest| fullest.used_percent);
    }
}

/// Parts of one budget that are told.
const PARTS: i64 = 100;
/// Whether calls under way can use more than the limit: the word for it.
#[must_use]
pub fn hold(rule: &Rule) -> &'static str {
    if rule.is_firm() { "firm" } else { "soft" }
}

/// How many hundredths of `limit` are used. Of nothing, all is used.
fn percent(used: u64, limit: u64) -> u64 {
    let hundredfold = u128::from(used).saturating_mul(100);
    let percent = hundredfold.checked_div(limit.into()).unwrap_or(100);
    u64::try_from(percent).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_round_down() {
        #[rustfmt::skip]
        let cases = [(0, 10, 0), (999, 1_000, 99), (1_000, 1_000, 100), (5, 0, 100), (u64::MAX, 1, u64::MAX)];
        for (used, limit, expected) in cases {
            assert_eq!(percent(used, limit), expected, "{used} of {limit}");
        }
    }
}
