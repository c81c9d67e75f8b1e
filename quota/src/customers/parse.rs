//! From the text of `customers.yaml` to a [`Book`], or to what is wrong with it and on which line.

use std::{collections::BTreeMap, fmt};

use jiff::{civil::Date, tz::TimeZone};
use tollgate::{
    money::NanoUsd,
    sync::{Action, Unit},
};

use self::raw::{File, Limit};
use super::{Alerts, Book, Business, Customer, Plan, Rule, Secret, Since, Webhook, kind};
use crate::{auth, calendar::Cycle, yaml::Document};

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
        let book = faults.book(file);
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
        let zone = TimeZone::get(&file.business.time_zone).unwrap_or_else(|_| {
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
        self.percentages("alerts.thresholds", &warn_at);
        let mut book = Book {
            business: Business { name: file.business.name, zone },
            plans: BTreeMap::new(),
            customers: BTreeMap::new(),
            names: BTreeMap::new(),
            alerts: self.alerts(file.alerts),
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
        let budgets = self.budgets(path, plan.budgets, defaults);
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
            self.add(
                format!("{path}.id"),
                "must be 1 to 128 characters, without `/`, spaces or control characters",
            );
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
        let budgets = self.budgets(path, raw.budgets, defaults);
        let own = [(format!("{path}.id"), raw.id.clone())];
        let keys = raw.keys.into_iter().enumerate();
        let keys = keys.map(|(at, key)| (format!("{path}.keys[{at}]"), key));
        for (path, name) in own.into_iter().chain(keys) {
            if let Some(other) = book.names.insert(name.clone(), raw.id.clone()) {
                self.add(path, format!("must differ: `{name}` is a name of `{other}` already"));
            }
        }
        let name = raw.name.unwrap_or_else(|| raw.id.clone());
        let (id, suspended) = (raw.id, raw.suspended);
        let customer = Customer { id, name, plans, revenue, token, suspended, budgets };
        book.customers.insert(customer.id.clone(), customer);
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

    fn budgets(&mut self, path: &str, raw: Vec<raw::Budget>, defaults: Defaults<'_>) -> Vec<Rule> {
        let mut rules: Vec<Rule> = Vec::new();
        for (at, budget) in raw.into_iter().enumerate() {
            let path = format!("{path}.budgets[{at}]");
            let rule = self.rule(&path, budget, defaults);
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

    fn rule(&mut self, path: &str, raw: raw::Budget, defaults: Defaults<'_>) -> Rule {
        let (unit, limit) = match raw.limit {
            Limit::Usd(amount) => {
                (Unit::Usd, self.dollars(&format!("{path}.limit.usd"), &amount).nanos())
            }
            Limit::Tokens(limit) => (Unit::Tokens, limit),
            Limit::Requests(limit) => (Unit::Requests, limit),
            Limit::Units(limit) => (Unit::Units, limit),
        };
        if limit > MAX_AMOUNT {
            self.add(format!("{path}.limit"), "must be less");
        }
        let cycle = self.cycle(path, raw.window, raw.anchor_day);
        let of_unit = defaults.feature.filter(|_| unit == Unit::Units).map(str::to_owned);
        let feature = raw.feature.or(of_unit);
        let kind = kind(unit, cycle);
        if raw.id.as_ref().is_some_and(|id| !is_id(id)) {
            self.add(
                format!("{path}.id"),
                "must be 1 to 128 characters, without `/`, spaces or control characters",
            );
        }
        let key = raw.id.unwrap_or_else(|| match &feature {
            Some(feature) => format!("{feature}.{kind}"),
            None => kind,
        });
        if let Some(own) = &raw.warn_at {
            self.percentages(&format!("{path}.warn_at"), own);
        }
        let warn_at = raw.warn_at.unwrap_or_else(|| defaults.warn_at.to_vec());
        let action = self.action(path, raw.action);
        Rule { key, feature, unit, limit, cycle, warn_at, action, shadow: raw.shadow }
    }

    fn cycle(&mut self, path: &str, window: raw::Window, anchor: Option<i8>) -> Cycle {
        match (window, anchor) {
            (raw::Window::Day, None) => Cycle::Day,
            (raw::Window::Day, Some(_)) => {
                self.add(format!("{path}.anchor_day"), "is of use with `window: month` only");
                Cycle::Day
            }
            (raw::Window::Month, anchor) => {
                let anchor = anchor.unwrap_or(1);
                if !(1..=31).contains(&anchor) {
                    self.add(format!("{path}.anchor_day"), "must be 1 to 31");
                }
                Cycle::Month { anchor }
            }
        }
    }

    fn action(&mut self, path: &str, raw: raw::Action) -> Action {
        match raw {
            raw::Action::Warn => Action::Warn,
            raw::Action::Refuse { status, message } => {
                if ![402, 403, 429].contains(&status) {
                    self.add(format!("{path}.action.refuse.status"), "must be 402, 403 or 429");
                }
                Action::Refuse { status, message }
            }
            raw::Action::Downgrade { models, message } => {
                if models.is_empty() {
                    self.add(format!("{path}.action.downgrade.models"), "must name a model");
                }
                Action::Downgrade { models, message }
            }
        }
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

    fn dollars(&mut self, path: &str, amount: &raw::Dollars) -> NanoUsd {
        let read = NanoUsd::from_dollars(&amount.0).filter(|amount| amount.nanos() <= MAX_AMOUNT);
        read.unwrap_or_else(|| {
            self.add(path, "must be US dollars such as \"49\" or \"0.25\"");
            NanoUsd::ZERO
        })
    }

    fn percentages(&mut self, path: &str, percentages: &[u32]) {
        for (at, percent) in percentages.iter().enumerate() {
            if !(1..=1_000).contains(percent) {
                self.add(format!("{path}[{at}]"), "must be 1 to 1000, in percent");
            }
        }
    }
}

/// What a budget has that does not say so itself.
#[derive(Clone, Copy)]
struct Defaults<'a> {
    feature: Option<&'a str>,
    warn_at: &'a [u32],
}

fn is_id(text: &str) -> bool {
    let odd = |c: char| c == '/' || c.is_whitespace() || c.is_control();
    (1..=MAX_ID).contains(&text.len()) && !text.contains(odd)
}

/// Told unless the file says otherwise, in percent of a limit.
const WARN_AT: [u32; 2] = [80, 100];
/// Told unless the file says otherwise, in percent of the revenue.
const MARGIN: u32 = 50;
/// The longest id.
const MAX_ID: usize = 128;
/// A million dollars, or so many tokens: thousands of times less than a column holds.
const MAX_AMOUNT: u64 = 1_000_000_000_000_000;

#[cfg(test)]
mod tests;
