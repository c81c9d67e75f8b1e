//! Budgets that stand in the configuration, and are kept by this process alone.
//!
//! The lease of such a budget is its whole limit, opened once in a window by whichever worker comes
//! first. Names of tenants come from clients, and what is shared between workers is never deleted:
//! so many names have a record each, all later ones share one.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use jiff::Timestamp;

use super::Known;
use crate::calendar::{timestamp, window_of};
use crate::config::{Anonymous, Config, OwnBudget, Whose};
use crate::scope::fits;
use crate::shared::{Shared, admit, hash};
use crate::slice::{Slices, open};
use crate::sync::{Budget, Tenant, Window};

/// The budgets of one configuration.
#[derive(Debug)]
pub struct Own {
    budgets: Vec<OwnBudget>,
    zone: jiff::tz::TimeZone,
    /// Tenants that the configuration names.
    named: BTreeSet<String>,
    /// Tells this configuration's budgets from those of others.
    edition: u64,
}

/// What one worker knows of the tenants of such budgets.
#[derive(Debug, Default)]
pub(super) struct Tenants {
    /// By name, with the edition of the budgets.
    known: BTreeMap<String, (u64, Rc<Known>)>,
    /// Calls that were counted in a record that tenants share.
    crowded: u64,
}

impl Own {
    /// The budgets of `config`, if it has any.
    #[must_use]
    pub fn of(config: &Config) -> Option<Self> {
        let Config { budgets, time_zone: zone, .. } = config;
        let mut named = BTreeSet::new();
        named.extend(budgets.iter().filter_map(OwnBudget::tenant).map(str::to_owned));
        if let Anonymous::Tenant(name) = &config.anonymous {
            named.insert(name.clone());
        }
        (!budgets.is_empty()).then(|| Self {
            named,
            edition: hash(format!("{budgets:?}{zone:?}").as_bytes()),
            budgets: budgets.clone(),
            zone: zone.clone(),
        })
    }

    /// What counts for calls of `name`; those of `*` of which it has one of its own do not.
    fn of_tenant(&self, name: &str) -> impl Iterator<Item = &OwnBudget> {
        let own = |budget: &&OwnBudget| budget.tenant() == Some(name);
        let replaced =
            move |key: &str| self.budgets.iter().filter(own).any(|budget| budget.rule.key == key);
        let whose = move |budget: &&OwnBudget| match &budget.whose {
            Whose::All => true,
            Whose::Each => !replaced(&budget.rule.key),
            Whose::Tenant(tenant) => tenant == name,
        };
        self.budgets
            .iter()
            .filter(whose)
            .filter(move |budget| fits(&budget.rule.tenants, Some(name)))
    }

    fn has_each(&self) -> bool {
        self.budgets.iter().any(|budget| budget.whose == Whose::Each)
    }

    /// The tenant as a service would tell of it.
    fn tenant(&self, name: &str, crowded: bool, now: Timestamp) -> Tenant {
        // As they stand in the file: those that tenants share are taken in the same order by all.
        let budgets = self.of_tenant(name).map(|own| self.budget(own, name, crowded, now));
        let budgets = budgets.collect();
        let urls = || self.of_tenant(name).map(|budget| &budget.upgrade_url);
        Tenant {
            name: name.to_owned(),
            id: name.to_owned(),
            upgrade_url: urls().find(|url| !url.is_empty()).cloned().unwrap_or_default(),
            budgets,
            ttl_ms: u64::MAX,
            ..Tenant::default()
        }
    }

    fn budget(&self, own: &OwnBudget, name: &str, crowded: bool, now: Timestamp) -> Budget {
        let OwnBudget { whose, rule, unit_name, .. } = own;
        let window = window_of(rule.cycle, &self.zone, now);
        let id = match whose {
            Whose::All => rule.name(),
            Whose::Each if crowded => format!("{}/{CROWD}", rule.name()),
            Whose::Each | Whose::Tenant(_) => format!("{}/{name}", rule.name()),
        };
        Budget {
            id,
            feature: rule.feature.clone(),
            matches: rule.matches.clone(),
            per: rule.per.clone(),
            unit: rule.unit,
            tokens: rule.tokens,
            unit_name: unit_name.clone(),
            limit: rule.limit,
            used: 0,
            window: Window {
                id: u64::try_from(window.id()).unwrap_or(0),
                name: rule.cycle.words(),
                ends_in_ms: window.ends_in_ms(now),
                resets_at: window.resets_at(),
                step: 0,
            },
            warn_at: rule.warn_at.clone(),
            action: rule.action.clone(),
            shadow: rule.shadow,
            holding: rule.holding,
        }
    }
}

impl Tenants {
    /// The budgets of a tenant in their current windows. Their leases are open.
    pub(super) fn known(
        &mut self,
        shared: &mut impl Shared,
        slices: &mut Slices,
        (own, name): (&Own, &str),
        now_ms: u64,
    ) -> Rc<Known> {
        let current = |(edition, known): &&(u64, Rc<Known>)| {
            *edition == own.edition && known.is_current(now_ms)
        };
        if let Some((_, known)) = self.known.get(name).filter(current) {
            self.crowded = self.crowded.saturating_add(known.crowded.into());
            return Rc::clone(known);
        }
        let has_record = || !own.has_each() || own.named.contains(name);
        let crowded =
            !has_record() && !admit(shared, "budgeted", name, MAX_TENANTS).unwrap_or(false);
        let now = timestamp(i64::try_from(now_ms).unwrap_or(i64::MAX));
        let tenant = own.tenant(name, crowded, now);
        let known = Rc::new(Known { tenant, told_ms: now_ms, crowded, edition: 0 });
        self.crowded = self.crowded.saturating_add(crowded.into());
        // Of a budget that counts by parts, each is opened by the first call that counts in it.
        let budgets = known.tenant.budgets.iter().filter(|budget| budget.per.is_empty());
        let opened = budgets.map(|budget| {
            slices.begin(&budget.id, budget.window.id);
            open(shared, &budget.id, budget.window.id, budget.limit, known.ends_ms(budget)).is_ok()
        });
        // Of a lease that could not be opened, the next call tries again.
        if opened.fold(true, |all, one| all & one) {
            self.keep(name.to_owned(), own.edition, Rc::clone(&known));
        }
        known
    }

    fn keep(&mut self, name: String, edition: u64, known: Rc<Known>) {
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
        }
        self.known.insert(name, (edition, known));
    }

    /// Takes the number of calls that were counted in a record that tenants share.
    pub(super) const fn take_crowded(&mut self) -> u64 {
        core::mem::replace(&mut self.crowded, 0)
    }
}

/// What stands in the place of a tenant's name where tenants share a record.
const CROWD: &str = "*";
/// Tenants of one process that have records of their own for budgets of each tenant: with eight
/// budgets, some 30 megabytes in Envoy.
pub(super) const MAX_TENANTS: u64 = 10_000;
/// Tenants that one worker remembers; with more, it puts them together again.
const MAX_KNOWN: usize = 10_000;
