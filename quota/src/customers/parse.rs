//! From the text of `customers.yaml` to a [`Book`], or to what is wrong with it and on which line.

use std::{collections::BTreeMap, fmt};

use jiff::{civil::Date, tz::TimeZone};
use tollgate::{
    calendar,
    money::NanoUsd,
    rule::{self, Defaults, Dollars, RawAmount, RawRule, Rule, WARN_AT, is_id},
    shared::hash,
    sync::Unit,
};

use self::raw::File;
use super::extra::takes_credits;
use super::{
    Alerts, Book, Business, Customer, Extra, Newcomers, Plan, Pool, Roster, Secret, Since, Webhook,
};
use crate::{auth, yaml::Document};

mod raw;

/// What is wrong with one place of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where the place is.
    pub line: usize,
    /// Which it is, such as `plans[0].price`.
    pub path: String,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.place())
    }
}

impl Fault {
    /// What is wrong with which place, without its line.
    #[must_use]
    pub fn place(&self) -> String {
        match self.path.as_str() {
            "" => self.what.clone(),
            path => format!("`{path}` {}", self.what),
        }
    }
}

impl Book {
    /// Reads the text of the file.
    ///
    /// # Errors
    ///
    /// Returns everything that is wrong with it; where its shape is wrong, only the first.
    pub fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        let fault = |line, path: &str, what| vec![Fault { line, path: path.to_owned(), what }];
        let document = Document::read(text)
            .map_err(|(line, what)| fault(line, "", format!("must be YAML: {what}")))?;
        let file: File = serde_path_to_error::deserialize(document.to_json()).map_err(|error| {
            let path = error.path().to_string();
            let path = if path == "." { String::new() } else { path };
            fault(document.line_at(&path), &path, format!("cannot be read: {}", error.inner()))
        })?;
        let mut faults = Faults(Vec::new());
        let mut book = faults.book(file);
        // It fits into every JSON reader's numbers.
        book.edition = (hash(text.as_bytes()) >> 11).max(1);
        if faults.0.is_empty() {
            return Ok(book);
        }
        let located =
            |(path, what): (String, String)| Fault { line: document.line_at(&path), path, what };
        Err(faults.0.into_iter().map(located).collect())
    }
}

/// What was found to be wrong: the path, and what must be.
struct Faults(Vec<(String, String)>);

impl Faults {
    fn add(&mut self, path: impl Into<String>, what: impl Into<String>) {
        self.0.push((path.into(), what.into()));
    }

    fn book(&mut self, file: File) -> Book {
        let zone = calendar::zone(&file.business.time_zone).unwrap_or_else(|| {
            self.add(
                "business.time_zone",
                "must be a name of the IANA database, such as Europe/Berlin",
            );
            TimeZone::UTC
        });
        if file.business.currency != "USD" {
            self.add(
                "business.currency",
                "must be USD: amounts in other currencies are not converted",
            );
        }
        let warn_at = file.alerts.thresholds.clone().unwrap_or_else(|| WARN_AT.to_vec());
        rule::percentages("alerts.thresholds", &warn_at, &mut |path, what| self.add(path, what));
        let mut book = Book {
            business: Business { name: file.business.name, zone },
            plans: BTreeMap::new(),
            customers: Roster::default(),
            newcomers: None,
            budgets: Vec::new(),
            pools: Vec::new(),
            alerts: self.alerts(file.alerts),
            edition: 0,
        };
        for (at, plan) in file.plans.into_iter().enumerate() {
            let path = format!("plans[{at}]");
            let plan = self.plan(&path, plan, &warn_at);
            if book.plans.contains_key(&plan.name) {
                self.add(
                    format!("{path}.name"),
                    format!("must differ: there is a plan `{}` already", plan.name),
                );
            }
            book.plans.insert(plan.name.clone(), plan);
        }
        let defaults = Defaults { feature: None, warn_at: &warn_at };
        book.budgets = self.budgets("", file.budgets, defaults);
        for (at, pool) in file.pools.into_iter().enumerate() {
            self.pool(&mut book, &format!("pools[{at}]"), pool, defaults);
        }
        book.newcomers = file.newcomers.map(|raw| self.newcomers(&book, raw));
        for (at, customer) in file.customers.into_iter().enumerate() {
            self.customer(&mut book, &format!("customers[{at}]"), customer, &warn_at);
        }
        book
    }

    fn plan(&mut self, path: &str, plan: raw::Plan, warn_at: &[u32]) -> Plan {
        let price = self.dollars(&format!("{path}.price"), &plan.price);
        if plan.name.is_empty() {
            self.add(format!("{path}.name"), "must not be empty");
        }
        let unit = plan.unit.unwrap_or_default();
        let defaults = Defaults { feature: unit.feature.as_deref(), warn_at };
        let budgets = self.budgets(&format!("{path}."), plan.budgets, defaults);
        Plan {
            name: plan.name,
            price,
            unit_name: unit.name,
            upgrade_url: plan.upgrade_url,
            budgets,
        }
    }

    fn customer(&mut self, book: &mut Book, path: &str, raw: raw::Customer, warn_at: &[u32]) {
        if !is_id(&raw.id) {
            self.add(format!("{path}.id"), rule::ID);
        }
        let plans = self.plans(book, &format!("{path}.plan"), raw.plan.0);
        let revenue = raw.revenue.map(|amount| self.dollars(&format!("{path}.revenue"), &amount));
        let token = raw.token_sha256.and_then(|text| {
            let token = auth::unhex(&text);
            if token.is_none() {
                self.add(format!("{path}.token_sha256"), "must be 64 hexadecimal digits");
            }
            token
        });
        let current = plans.last().and_then(|since| book.plans.get(&since.plan));
        let feature = current.and_then(|plan| {
            plan.budgets.iter().find(|rule| rule.unit == Unit::Units)?.feature.clone()
        });
        let defaults = Defaults { feature: feature.as_deref(), warn_at };
        let budgets = self.budgets(&format!("{path}."), raw.budgets, defaults);
        let own = [(format!("{path}.id"), raw.id.clone())];
        let keys = raw.keys.into_iter().enumerate();
        let keys = keys.map(|(at, key)| (format!("{path}.keys[{at}]"), key));
        for (path, name) in own.into_iter().chain(keys) {
            if let Some(other) = book.customers.name(name.clone(), &raw.id) {
                self.add(path, format!("must differ: `{name}` is a name of `{other}` already"));
            }
        }
        let extras = {
            let plans = plans.iter().filter_map(|since| book.plans.get(&since.plan));
            let rules = plans.flat_map(|plan| &plan.budgets).chain(&budgets).chain(&book.budgets);
            let rules: Vec<&Rule> = rules.collect();
            self.extras(path, raw.raises, raw.credits, &rules)
        };
        let name = raw.name.unwrap_or_else(|| raw.id.clone());
        let (id, suspended) = (raw.id, raw.suspended);
        let customer = Customer { id, name, plans, revenue, token, suspended, budgets, extras };
        book.customers.list(customer);
    }

    fn newcomers(&mut self, book: &Book, raw: raw::Newcomers) -> Newcomers {
        if !book.plans.contains_key(&raw.plan) {
            let what = format!("must be one of the plans: there is no `{}`", raw.plan);
            self.add("newcomers.plan", what);
        }
        if !(1..=MAX_NEWCOMERS).contains(&raw.at_most) {
            self.add("newcomers.at_most", "must be 1 to 100000");
        }
        Newcomers { plan: raw.plan, at_most: raw.at_most }
    }

    fn pool(&mut self, book: &mut Book, path: &str, raw: raw::Pool, defaults: Defaults<'_>) {
        if !is_id(&raw.name) {
            self.add(format!("{path}.name"), rule::ID);
        }
        if book.pools.iter().any(|other| other.name == raw.name) {
            let what = format!("must differ: there is a pool `{}` already", raw.name);
            self.add(format!("{path}.name"), what);
        }
        let (beginnings, ids): (Vec<_>, Vec<_>) =
            raw.customers.into_iter().partition(|id| id.ends_with('*'));
        let budgets = self.budgets(&format!("{path}."), raw.budgets, defaults);
        let ids = ids.into_iter().collect();
        let rules: Vec<&Rule> = budgets.iter().collect();
        let extras = self.extras(path, raw.raises, raw.credits, &rules);
        book.pools.push(Pool { name: raw.name, budgets, extras, ids, beginnings });
    }

    fn plans(&mut self, book: &Book, path: &str, raw: Vec<raw::Since>) -> Vec<Since> {
        let mut plans: Vec<Since> = Vec::new();
        if raw.is_empty() {
            self.add(path, "must name a plan");
        }
        for (at, since) in raw.into_iter().enumerate() {
            if !book.plans.contains_key(&since.plan) {
                self.add(
                    format!("{path}[{at}].plan"),
                    format!("must be one of the plans: there is no `{}`", since.plan),
                );
            }
            let from = since.from.as_deref().map(str::parse::<Date>);
            if matches!(from, Some(Err(_))) {
                self.add(format!("{path}[{at}].from"), "must be a day such as 2026-11-30");
                continue;
            }
            let from = from.and_then(Result::ok);
            if plans.last().is_some_and(|before| from <= before.from) {
                self.add(format!("{path}[{at}].from"), "must be after the `from` above it");
            }
            plans.push(Since { from, plan: since.plan });
        }
        plans
    }

    fn budgets(&mut self, path: &str, raw: Vec<RawRule>, defaults: Defaults<'_>) -> Vec<Rule> {
        let mut rules: Vec<Rule> = Vec::new();
        for (at, budget) in raw.into_iter().enumerate() {
            let path = format!("{path}budgets[{at}]");
            let rule = Rule::read(&path, budget, defaults, &mut |path, what| self.add(path, what));
            if rules.iter().any(|other| other.key == rule.key) {
                self.add(
                    path,
                    format!("must have an `id` of its own: there is a `{}` already", rule.key),
                );
            }
            rules.push(rule);
        }
        rules
    }

    fn extras(
        &mut self,
        path: &str,
        raises: Vec<raw::Raise>,
        credits: Vec<raw::Credit>,
        rules: &[&Rule],
    ) -> Vec<Extra> {
        let mut extras = Vec::with_capacity(raises.len().saturating_add(credits.len()));
        for (at, raise) in raises.into_iter().enumerate() {
            let path = format!("{path}.raises[{at}]");
            let limit = self.extra(&path, "limit", (&raise.budget, raise.limit), rules, |_| true);
            let from = raise.from.and_then(|from| self.day(&format!("{path}.from"), &from));
            let Some(until) = self.day(&format!("{path}.until"), &raise.until) else { continue };
            if from.is_some_and(|from| from >= until) {
                self.add(format!("{path}.until"), "must be after `from`");
            }
            extras.push(Extra::Raise { budget: raise.budget, limit, from, until });
        }
        for (at, credit) in credits.into_iter().enumerate() {
            let path = format!("{path}.credits[{at}]");
            let raw = (credit.budget.as_str(), credit.amount);
            let amount = self.extra(&path, "amount", raw, rules, takes_credits);
            let Some(on) = self.day(&format!("{path}.on"), &credit.on) else { continue };
            extras.push(Extra::Credit { budget: credit.budget, amount, on });
        }
        extras
    }

    /// The amount of a raise or a credit to one of the budgets.
    fn extra(
        &mut self,
        path: &str,
        field: &str,
        (budget, amount): (&str, RawAmount),
        rules: &[&Rule],
        takes: fn(&Rule) -> bool,
    ) -> u64 {
        let place = format!("{path}.{field}");
        let (measure, amount) =
            rule::amount(&place, amount, &mut |path, what| self.add(path, what));
        let mut of = rules.iter().filter(|rule| rule.key == budget);
        match of.next() {
            None => self.add(
                format!("{path}.budget"),
                format!("must be one of its budgets: there is no `{budget}`"),
            ),
            Some(rule) if rule.measure() != measure => {
                self.add(place, "must be of what the limit of the budget is");
            }
            Some(rule) if !takes(rule) => self.add(
                format!("{path}.budget"),
                "must be a budget whose windows are a day or longer, by the calendar",
            ),
            Some(_) => {}
        }
        amount
    }

    fn day(&mut self, path: &str, text: &str) -> Option<Date> {
        let day = text.parse().ok();
        if day.is_none() {
            self.add(path, "must be a day such as 2026-11-30");
        }
        day
    }

    fn alerts(&mut self, raw: raw::Alerts) -> Alerts {
        let slack =
            raw.slack.and_then(|slack| self.secret("alerts.slack", slack.url, slack.url_env));
        let webhook = raw.webhook.and_then(|webhook| {
            let url = self.secret("alerts.webhook", webhook.url, webhook.url_env)?;
            Some(Webhook { url, secret: webhook.secret_env.map(Secret::Env) })
        });
        Alerts { slack, webhook, margin: raw.margin.unwrap_or(MARGIN) }
    }

    fn secret(&mut self, path: &str, url: Option<String>, env: Option<String>) -> Option<Secret> {
        match (url, env) {
            (Some(url), None) if url.starts_with("http://") || url.starts_with("https://") => {
                Some(Secret::Inline(url))
            }
            (Some(_), None) => {
                self.add(format!("{path}.url"), "must begin with http:// or https://");
                None
            }
            (None, Some(name)) => Some(Secret::Env(name)),
            _ => {
                self.add(path, "must have one of `url` and `url_env`");
                None
            }
        }
    }

    fn dollars(&mut self, path: &str, amount: &Dollars) -> NanoUsd {
        rule::dollars(path, amount, &mut |path, what| self.add(path, what))
    }
}

/// More of them belong into the file: what is known of each is copied when another appears.
const MAX_NEWCOMERS: u64 = 100_000;
/// Told unless the file says otherwise, in percent of the revenue.
const MARGIN: u32 = 50;
#[cfg(test)]
mod tests;
