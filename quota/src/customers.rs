//! The customers, their plans and their budgets, as `customers.yaml` says them.
//!
//! [`Book::parse`] is the only way in, so a book that exists holds: every plan that is named is
//! there, every name belongs to one customer, every budget has an id of its own.

use std::{collections::BTreeMap, env, fmt};

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use tollgate::{calendar, money::NanoUsd, rule::Rule};

pub use self::{
    extra::Extra,
    owner::{Found, Owner, Pool},
    parse::Fault,
    roster::{Newcomers, Roster},
};

mod extra;
mod owner;
mod parse;
mod roster;

/// All that `customers.yaml` says.
#[derive(Clone, Debug)]
pub struct Book {
    /// Whose customers they are.
    pub business: Business,
    /// The plans by name.
    pub plans: BTreeMap<String, Plan>,
    /// The customers.
    pub customers: Roster,
    /// Who else is taken for one, if anybody is.
    pub newcomers: Option<Newcomers>,
    /// Budgets of each customer that they are for.
    pub budgets: Vec<Rule>,
    /// Those who share budgets, in the order of the file.
    pub pools: Vec<Pool>,
    /// Who is told what.
    pub alerts: Alerts,
    /// Tells this file from others, the same on all replicas: never zero.
    pub edition: u64,
}

/// The business itself.
#[derive(Clone, Debug)]
pub struct Business {
    /// Its name, for the page.
    pub name: String,
    /// Where its days begin.
    pub zone: TimeZone,
}

/// What customers buy.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// The price of a month.
    pub price: NanoUsd,
    /// How `units` are called in front of people, such as `AI analyses`.
    pub unit_name: String,
    /// Where its customers can buy more, or nothing.
    pub upgrade_url: String,
    /// What it includes.
    pub budgets: Vec<Rule>,
}

/// Who is charged.
#[derive(Clone, Debug)]
pub struct Customer {
    /// By which it is known everywhere.
    pub id: String,
    /// For people.
    pub name: String,
    /// The plans that it has had, in order. There is at least one.
    pub plans: Vec<Since>,
    /// What it pays a month, where that is not its plan's price.
    pub revenue: Option<NanoUsd>,
    /// The SHA-256 of the token with which it reads its own usage.
    pub token: Option<[u8; 32]>,
    /// Whether none of its calls may pass.
    pub suspended: bool,
    /// Budgets beside those of its plan, or in the place of those of the same key.
    pub budgets: Vec<Rule>,
    /// What it has beside the limits of its budgets.
    pub extras: Vec<Extra>,
}

/// A plan from a day on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Since {
    /// The first day, or `None` for as long as there has been anything.
    pub from: Option<Date>,
    /// The plan's name.
    pub plan: String,
}

/// Who is told when something is used up or costs too much.
#[derive(Clone, Debug, Default)]
pub struct Alerts {
    /// The address of a Slack webhook.
    pub slack: Option<Secret>,
    /// A webhook of the business's own.
    pub webhook: Option<Webhook>,
    /// The percentage of the customer's revenue above which its cost is told.
    pub margin: u32,
}

/// Where a signed alert goes.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// The address.
    pub url: Secret,
    /// What signs it.
    pub secret: Option<Secret>,
}

/// A text that is not to be shown, or the name of the environment variable that holds it.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// The text itself.
    Inline(String),
    /// The variable's name.
    Env(String),
}

impl Secret {
    /// The text, if there is one.
    #[must_use]
    pub fn read(&self) -> Option<String> {
        match self {
            Self::Inline(text) => Some(text.clone()),
            Self::Env(name) => env::var(name).ok().filter(|text| !text.is_empty()),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(_) => f.write_str("…"),
            Self::Env(name) => write!(f, "${name}"),
        }
    }
}

impl Book {
    /// The customer that a gateway sees under `name`.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Customer> {
        self.customers.find(name)
    }

    /// The same customers, and those of these names, if any are taken in.
    #[must_use]
    pub fn with(mut self, names: impl IntoIterator<Item = String>) -> Self {
        if let Some(rule) = &self.newcomers {
            self.customers.meet(names, &rule.plan);
        }
        self
    }

    /// The plan that the customer has at a time. Every customer has one.
    #[must_use]
    pub fn plan_of(&self, customer: &Customer, at: Timestamp) -> Option<&Plan> {
        self.plans.get(customer.plan_at(at.to_zoned_datetime(self.business.zone.clone()).date()))
    }

    /// What the customer pays a month, by what the file says for this time.
    #[must_use]
    pub fn revenue_of(&self, customer: &Customer, at: Timestamp) -> NanoUsd {
        let price = || self.plan_of(customer, at).map_or(NanoUsd::ZERO, |plan| plan.price);
        customer.revenue.unwrap_or_else(price)
    }

    /// The budgets of the customer: those for all, its plan's, its own. Of two of the same key the
    /// later one takes the place of the earlier. Those that are not for it are left out.
    #[must_use]
    pub fn rules_of<'a>(&'a self, customer: &'a Customer, at: Timestamp) -> Vec<&'a Rule> {
        let plan = self.plan_of(customer, at);
        let name = plan.map_or("", |plan| &plan.name);
        let all = self.budgets.iter().filter(|rule| owner::counts(rule, &customer.id, name));
        let mut rules: Vec<&Rule> = all.collect();
        for rule in plan.map_or(&[][..], |plan| &plan.budgets).iter().chain(&customer.budgets) {
            match rules.iter_mut().find(|other| other.key == rule.key) {
                Some(other) => *other = rule,
                None => rules.push(rule),
            }
        }
        rules.retain(|rule| owner::counts(rule, &customer.id, name));
        rules
    }

    /// In how many milliseconds something changes for the customer next, if it does: its plan, or
    /// what it has beside a limit.
    #[must_use]
    pub fn changes_in_ms(&self, customer: &Customer, now: Timestamp) -> Option<u64> {
        let zone = &self.business.zone;
        let pools = self.pools.iter().filter(|pool| pool.has(&customer.id));
        let extras = pools.flat_map(|pool| &pool.extras).chain(&customer.extras);
        let days = customer.plans.iter().filter_map(|since| since.from);
        let days = days.chain(extras.flat_map(Extra::days));
        let starts = days.map(|day| calendar::midnight(day, zone, now).timestamp());
        let next = starts.filter(|start| *start > now).min()?;
        u64::try_from(next.as_millisecond().saturating_sub(now.as_millisecond())).ok()
    }
}

impl Customer {
    /// The name of the plan on a day. Days before the first plan count as its.
    #[must_use]
    pub fn plan_at(&self, day: Date) -> &str {
        let begun = self.plans.iter().rev().find(|since| since.from.is_none_or(|from| from <= day));
        begun.or_else(|| self.plans.first()).map_or("", |since| &since.plan)
    }

    /// The id of a budget in the protocol, unique over all customers.
    #[must_use]
    pub fn budget_id(&self, rule: &Rule) -> String {
        format!("{}/{}", self.id, rule.name())
    }
}
