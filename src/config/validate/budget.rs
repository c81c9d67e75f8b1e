//! Budgets of the filter's own, checked.

use crate::{
    config::{OwnBudget, Whose, error::Faults, raw::RawBudget, shape::Object},
    rule::{Defaults, Rule, WARN_AT},
    scope::Facet,
    who,
};

use super::bounded;

pub(super) fn budgets(
    raw: Vec<Object<RawBudget>>,
    has_service: bool,
    faults: &mut Faults,
) -> Vec<OwnBudget> {
    if has_service && !raw.is_empty() {
        faults.add("budgets", "must not stand beside `service`: its budgets are in customers.yaml");
    }
    bounded("budgets", raw.len(), MAX_BUDGETS, faults);
    let mut budgets: Vec<OwnBudget> = Vec::with_capacity(raw.len());
    for (at, Object(raw)) in raw.into_iter().enumerate() {
        let path = format!("budgets[{at}]");
        let new = budget(&path, raw, faults);
        let same = |old: &&OwnBudget| {
            let named = old.rule.key == new.rule.key || old.rule.name() == new.rule.name();
            named && old.whose == new.whose
        };
        if let Some(old) = budgets.iter().find(same) {
            let name = &old.rule.key;
            faults.add(
                path,
                format_args!("must have an `id` of its own: there is a `{name}` already"),
            );
        }
        budgets.push(new);
    }
    if budgets.iter().filter(|budget| budget.whose == Whose::Each).count() > MAX_EACH {
        let must = format_args!("must have at most {MAX_EACH} items whose `tenant` is `*`");
        faults.add("budgets", must);
    }
    budgets
}

fn budget(path: &str, mut raw: RawBudget, faults: &mut Faults) -> OwnBudget {
    let whose = match raw.tenant.take() {
        None => Whose::All,
        Some(name) if name == "*" => Whose::Each,
        Some(name) => {
            if name.trim() != name || !who::is_name(&name) {
                let must = "must be `*`, or 1 to 128 bytes without control characters, and no \
                            blank at either end";
                faults.add(format_args!("{path}.tenant"), must);
            }
            Whose::Tenant(name)
        }
    };
    let unit_name = core::mem::take(&mut raw.unit_name);
    let upgrade_url = core::mem::take(&mut raw.upgrade_url);
    let defaults = Defaults { feature: None, warn_at: &WARN_AT };
    let rule = Rule::read(path, raw.rule(), defaults, &mut |path, must| faults.add(path, must));
    if !rule.plans.is_empty() {
        faults.add(format_args!("{path}.match.plan"), "is of use in customers.yaml only");
    }
    if !rule.matches.key.is_empty() {
        faults.add(format_args!("{path}.match.key"), "must be `tenant`: here that is the key");
    }
    if rule.per.contains(&Facet::Key) {
        faults.add(format_args!("{path}.per"), "must not have `key`: that is `tenant: \"*\"`");
    }
    OwnBudget { whose, rule, unit_name, upgrade_url }
}

/// Budgets in all: those of a call are looked at one by one.
const MAX_BUDGETS: usize = 1_000;
/// Budgets of each tenant: every tenant has a record of each, for as long as Envoy runs.
const MAX_EACH: usize = 8;
