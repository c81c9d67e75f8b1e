//! Whose a budget is: one customer's, or that of a pool which several share.
//!
//! An id says it: `mega/usd-month` is a customer's, `/partners/usd-month` a pool's (no customer has
//! an empty id), and what follows after the budget's own name, as in
//! `mega/guard.usd-day/feature=chat`, is a part that is counted by itself.

use std::collections::BTreeSet;

use jiff::Timestamp;
use tollgate::{
    rule::Rule,
    scope::{fits, part_of},
};

use super::{Book, Customer, Extra};

/// Customers that share budgets.
#[derive(Clone, Debug)]
pub struct Pool {
    /// By which it is known.
    pub name: String,
    /// What they share.
    pub budgets: Vec<Rule>,
    /// What it has beside the limits of these.
    pub extras: Vec<Extra>,
    /// The ids of its customers.
    pub(super) ids: BTreeSet<String>,
    /// Beginnings of ids, each with a `*`.
    pub(super) beginnings: Vec<String>,
}

impl Pool {
    /// Whether a customer is in it.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.ids.contains(id) || !self.beginnings.is_empty() && fits(&self.beginnings, Some(id))
    }
}

/// Whose a budget is.
#[derive(Clone, Copy, Debug)]
pub enum Owner<'a> {
    /// This customer's.
    Customer(&'a Customer),
    /// This pool's.
    Pool(&'a Pool),
}

impl<'a> Owner<'a> {
    /// For people.
    #[must_use]
    pub fn name(self) -> &'a str {
        match self {
            Self::Customer(customer) => &customer.name,
            Self::Pool(pool) => &pool.name,
        }
    }

    /// What it has beside the limits of its budgets.
    #[must_use]
    pub fn extras(self) -> &'a [Extra] {
        match self {
            Self::Customer(customer) => &customer.extras,
            Self::Pool(pool) => &pool.extras,
        }
    }

    /// The customer, if it is one's.
    #[must_use]
    pub const fn customer(self) -> Option<&'a Customer> {
        match self {
            Self::Customer(customer) => Some(customer),
            Self::Pool(_) => None,
        }
    }

    /// Whether nothing is lent of its budgets.
    #[must_use]
    pub const fn is_suspended(self) -> bool {
        match self {
            Self::Customer(customer) => customer.suspended,
            Self::Pool(_) => false,
        }
    }

    /// The id of one of its budgets in the protocol, unique over all.
    #[must_use]
    pub fn budget_id(self, rule: &Rule) -> String {
        match self {
            Self::Customer(customer) => customer.budget_id(rule),
            Self::Pool(pool) => format!("/{}/{}", pool.name, rule.name()),
        }
    }
}

/// What the id of a budget stands for.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// Whose it is.
    pub owner: Owner<'a>,
    /// The budget as it is written.
    pub rule: &'a Rule,
    /// The part of it, such as `feature=chat`; empty if it is the whole.
    pub part: &'a str,
}

impl Book {
    /// All budgets that calls of a customer may count against, in an order that is the same for
    /// all who share one: its own, then those of its pools.
    #[must_use]
    pub fn budgets_of<'a>(
        &'a self,
        customer: &'a Customer,
        at: Timestamp,
    ) -> Vec<(Owner<'a>, &'a Rule)> {
        let own = self.rules_of(customer, at).into_iter();
        let own = own.map(|rule| (Owner::Customer(customer), rule));
        let plan = self.plan_of(customer, at).map_or("", |plan| &plan.name);
        let pools = self.pools.iter().filter(|pool| pool.has(&customer.id));
        let shared = pools.flat_map(|pool| {
            let rules = pool.budgets.iter().filter(|rule| counts(rule, &customer.id, plan));
            rules.map(move |rule| (Owner::Pool(pool), rule))
        });
        own.chain(shared).collect()
    }

    /// The budget that an id stands for, if it is in force.
    #[must_use]
    pub fn budget<'a>(&'a self, id: &'a str, at: Timestamp) -> Option<Found<'a>> {
        let (owner, rules) = match id.strip_prefix('/') {
            Some(rest) => {
                let (name, _) = rest.split_once('/')?;
                let pool = self.pools.iter().find(|pool| pool.name == name)?;
                (Owner::Pool(pool), pool.budgets.iter().collect())
            }
            None => {
                let customer = self.customers.get(id.split_once('/')?.0)?;
                (Owner::Customer(customer), self.rules_of(customer, at))
            }
        };
        let found = |rule: &'a Rule| {
            let own = owner.budget_id(rule);
            let part = if own == id { Some("") } else { part_of(id, &own) };
            // A budget that is counted as a whole has no parts, and one that is not has nothing else.
            let part = part.filter(|part| part.is_empty() == rule.per.is_empty());
            part.map(|part| Found { owner, rule, part })
        };
        rules.into_iter().find_map(found)
    }
}

/// Whether calls of a customer with this plan may count.
pub(super) fn counts(rule: &Rule, id: &str, plan: &str) -> bool {
    fits(&rule.tenants, Some(id)) && fits(&rule.plans, Some(plan))
}
