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
use tollgate::{
    calendar::{Window, window_of},
    rule::Rule,
    sync::Unit,
};

use crate::{
    auth,
    customers::{Book, Customer},
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
    window: &'static str,
    /// Missing where the unit is money.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    used: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<u64>,
    /// In whole percent of the limit, rounded down.
    used_percent: u64,
    /// Missing where it never does.
    #[serde(skip_serializing_if = "String::is_empty")]
    resets_at: String,
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
    let rules = book.rules_of(customer, now).into_iter();
    let rules = rules.map(|rule| (rule, window_of(rule.cycle, &book.business.zone, now)));
    let rules: Vec<_> = rules.collect();
    let key = |rule: &Rule, window: &Window| (customer.budget_id(rule), window.id());
    let keys = rules.iter().map(|(rule, window)| key(rule, window)).collect();
    let mut db = state.store.reader().acquire().await?;
    let settled = lending::settled(&mut db, keys).await?;
    let mut budgets = Vec::new();
    for (rule, window) in rules {
        let used = settled.get(&key(rule, &window)).copied().unwrap_or(0);
        let own = plan.map_or("", |plan| &plan.unit_name);
        budgets.push(SeenBudget::new(rule, own, used, window.resets_at()));
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
    fn new(rule: &Rule, own_unit: &str, used: u64, resets_at: String) -> Self {
        let shown = |amount| (rule.unit != Unit::Usd).then_some(amount);
        let unit = match rule.unit {
            Unit::Usd => "included use",
            unit => unit_name(unit, own_unit),
        };
        Self {
            id: rule.key.clone(),
            feature: rule.feature.clone(),
            unit: unit.to_owned(),
            window: rule.cycle.label(),
            limit: shown(rule.limit),
            used: shown(used),
            left: shown(rule.limit.saturating_sub(used)),
            used_percent: percent(used, rule.limit),
            resets_at,
        }
    }
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
