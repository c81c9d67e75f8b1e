//! A budget as operators write it, in the filter's configuration and in `customers.yaml` alike.
//!
//! [`RawRule`] is what stands there, [`Rule`] is what holds: whoever reads a file says with which
//! path and in which words its faults are told.

mod hold;
mod raw;

pub(crate) use self::hold::{RawHold, RawOutrun, RawTooLarge};
use self::raw::Written;
pub use self::raw::{Dollars, RawAmount, RawRule};
pub(crate) use self::raw::{RawAction, RawDay, RawLimit, RawMatch, RawWindow};
use crate::calendar::{self, Cycle};
use crate::config::shape::{Object, Pairs, Texts, Whole};
use crate::money::NanoUsd;
use crate::scope::{Facet, Match};
use crate::sync::{Action, Holding, Measure, Tokens, Unit};

/// One budget, of whosever calls count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The name among the budgets of one tenant: the `id` in the file, else `usd-month` or
    /// `summaries.usd-month`.
    pub key: String,
    /// The feature whose calls count, or `None` for all.
    pub feature: Option<String>,
    /// The tenants whose calls count, by patterns; all if there is none.
    pub tenants: Vec<String>,
    /// The plans of whose tenants calls count, in the same way.
    pub plans: Vec<String>,
    /// Which calls count besides.
    pub matches: Match,
    /// What is counted by itself.
    pub per: Vec<Facet>,
    /// What is counted.
    pub unit: Unit,
    /// Which tokens, where those are.
    pub tokens: Tokens,
    /// The most in a window.
    pub limit: u64,
    /// When it begins anew.
    pub cycle: Cycle,
    /// How much of what was left of a window is added to the next, at most.
    pub roll_over: u64,
    /// Percentages of the limit that give a warning.
    pub warn_at: Vec<u32>,
    /// What happens at the limit.
    pub action: Action,
    /// Whether that is only recorded.
    pub shadow: bool,
    /// How calls are held against it.
    pub holding: Holding,
}

/// What a budget has that does not say so itself.
#[derive(Clone, Copy, Debug)]
pub struct Defaults<'a> {
    /// The feature of a budget in the plan's own unit.
    pub feature: Option<&'a str>,
    /// Percentages of the limit.
    pub warn_at: &'a [u32],
}

/// Takes down what is wrong: at which path, and what must be.
pub type Fault<'a> = dyn FnMut(String, &str) + 'a;

impl Rule {
    /// The budget that stands at `path`. What of it is wrong is told to `fault`.
    pub fn read(path: &str, raw: RawRule, defaults: Defaults<'_>, fault: &mut Fault<'_>) -> Self {
        let cycle = cycle(path, &raw, fault);
        let holding = hold::holding(path, &raw, fault);
        let (Measure { unit, tokens }, limit) =
            limit_of(&format!("{path}.limit"), raw.limit.0, fault);
        let feature = raw
            .feature
            .or_else(|| defaults.feature.filter(|_| unit == Unit::Units).map(str::to_owned));
        if raw.id.as_deref().is_some_and(|id| !is_id(id)) {
            fault(format!("{path}.id"), ID);
        }
        let roll_over = raw.roll_over.map_or(0, |Object(most)| {
            let path = format!("{path}.roll_over");
            if matches!(cycle, Cycle::Once | Cycle::Rolling { .. }) {
                fault(path.clone(), "is of use with windows of the calendar only");
            }
            let (other, most) = limit_of(&path, most, fault);
            if other != (Measure { unit, tokens }) {
                fault(path, "must be of what `limit` is");
            }
            most
        });
        let narrow = raw.matches.is_some() || raw.per.is_some();
        if narrow && raw.id.is_none() {
            fault(path.to_owned(), NAMELESS);
        }
        let RawMatch { tenant, plan, feature: features, model, provider, key } =
            raw.matches.map(|Object(raw)| raw).unwrap_or_default();
        let lists = [
            ("tenant", &tenant),
            ("plan", &plan),
            ("feature", &features),
            ("model", &model),
            ("provider", &provider),
            ("key", &key),
        ];
        for (field, Texts(patterns)) in lists {
            patterns_of(&format!("{path}.match.{field}"), patterns, fault);
        }
        let matches =
            Match { feature: features.0, model: model.0, provider: provider.0, key: key.0 };
        let own = kind(Measure { unit, tokens }, cycle);
        let key = raw.id.unwrap_or_else(|| match &feature {
            Some(feature) => format!("{feature}.{own}"),
            None => own,
        });
        let mut per: Vec<_> = raw.per.unwrap_or_default().into_iter().map(|word| word.0).collect();
        per.sort_unstable();
        per.dedup();
        let warn_at = raw.warn_at.map(|own| {
            let own: Vec<_> = own.into_iter().map(small).collect();
            percentages(&format!("{path}.warn_at"), &own, fault);
            own
        });
        Self {
            key,
            feature,
            tenants: tenant.0,
            plans: plan.0,
            matches,
            per,
            unit,
            tokens,
            limit,
            cycle,
            roll_over,
            warn_at: warn_at.unwrap_or_else(|| defaults.warn_at.to_vec()),
            action: action(&format!("{path}.action"), raw.action, fault),
            shadow: raw.shadow,
            holding,
        }
    }

    /// Whether its limit is a promise: what calls hold of it is the most that they can take, and one
    /// that finds too little left is refused.
    #[must_use]
    pub const fn is_firm(&self) -> bool {
        let holds_most = self.unit.is_counted() || self.holding.worst_case;
        holds_most && matches!(self.action, Action::Refuse { .. }) && !self.shadow
    }

    /// The key, with unit and cycle also where the file gives an id: amounts of another unit must
    /// not be added to the same balance.
    #[must_use]
    pub fn name(&self) -> String {
        let kind = kind(self.measure(), self.cycle);
        let name = self.key.strip_suffix(&kind).map(|name| name.trim_end_matches('.'));
        match name.unwrap_or(&self.key) {
            "" => kind,
            name => format!("{name}.{kind}"),
        }
    }

    /// What it counts.
    #[must_use]
    pub const fn measure(&self) -> Measure {
        Measure { unit: self.unit, tokens: self.tokens }
    }
}

/// What a budget counts and how long, such as `usd-month`.
fn kind(measure: Measure, cycle: Cycle) -> String {
    let unit = match measure.unit {
        Unit::Usd => "usd",
        Unit::Tokens => measure.tokens.label(),
        Unit::Requests => "requests",
        Unit::Units => "units",
    };
    format!("{unit}-{}", cycle.tag())
}

fn limit_of(path: &str, raw: RawLimit, fault: &mut Fault<'_>) -> (Measure, u64) {
    let usd = raw.usd.map(|usd| dollars(&format!("{path}.usd"), &usd, fault).nanos());
    let whole = |whole: Option<Whole>| whole.map(|Whole(number)| number);
    let kinds = [
        (Tokens::Total, raw.tokens),
        (Tokens::Input, raw.input_tokens),
        (Tokens::Output, raw.output_tokens),
        (Tokens::CacheRead, raw.cache_read_tokens),
        (Tokens::CacheWrite, raw.cache_write_tokens),
        (Tokens::Reasoning, raw.reasoning_tokens),
    ];
    let tokens = kinds.map(|(tokens, most)| (Unit::Tokens, tokens, whole(most)));
    let rest =
        [(Unit::Usd, usd), (Unit::Requests, whole(raw.requests)), (Unit::Units, whole(raw.units))];
    let rest = rest.map(|(unit, most)| (unit, Tokens::Total, most));
    let mut given = rest.into_iter().chain(tokens);
    let mut next =
        || given.find_map(|(unit, tokens, most)| Some((Measure { unit, tokens }, most?)));
    let (Some((measure, limit)), None) = (next(), next()) else {
        fault(path.to_owned(), ONE_LIMIT);
        return (Measure::default(), 0);
    };
    if limit > MAX_AMOUNT {
        fault(path.to_owned(), "must be at most 1000000000000000");
    }
    (measure, limit)
}

/// Reads an amount of what a budget counts.
pub fn amount(path: &str, raw: RawAmount, fault: &mut Fault<'_>) -> (Measure, u64) {
    limit_of(path, raw.0.0, fault)
}

/// Notes patterns that can fit nothing.
fn patterns_of(path: &str, patterns: &[String], fault: &mut Fault<'_>) {
    for (at, pattern) in patterns.iter().enumerate() {
        let stem = pattern.strip_suffix('*').unwrap_or(pattern);
        if pattern.is_empty() || stem.contains('*') {
            fault(format!("{path}[{at}]"), "must be a name, or a beginning and a `*`");
        }
    }
}

/// Reads an amount of money. A fault yields nothing.
pub fn dollars(path: &str, raw: &Dollars, fault: &mut Fault<'_>) -> NanoUsd {
    let read = raw.read().filter(|amount| amount.nanos() <= MAX_AMOUNT);
    read.unwrap_or_else(|| {
        fault(path.to_owned(), "must be US dollars such as \"49\" or \"0.25\", at most 1000000");
        NanoUsd::ZERO
    })
}

fn cycle(path: &str, raw: &RawRule, fault: &mut Fault<'_>) -> Cycle {
    let window = match (&raw.window, raw.rolling.as_deref()) {
        (Some(window), None) => window.0,
        (None, Some(text)) => {
            let minutes = calendar::length(text).unwrap_or_else(|| {
                fault(format!("{path}.rolling"), "must be a time such as `90m`, `24h` or `30d`");
                1
            });
            if raw.anchor_day.is_some() || raw.anchor_month.is_some() || raw.week_begins.is_some() {
                fault(format!("{path}.rolling"), "has no anchor");
            }
            return Cycle::Rolling { minutes };
        }
        _ => {
            fault(path.to_owned(), "must have exactly one of `window` and `rolling`");
            return Cycle::Once;
        }
    };
    let mut odd = |field: &str, given: bool, of_use: bool, must: &str| {
        if given && !of_use {
            fault(format!("{path}.{field}"), must);
        }
    };
    let months = matches!(window, RawWindow::Month | RawWindow::Quarter | RawWindow::Year);
    let long = matches!(window, RawWindow::Quarter | RawWindow::Year);
    let (day, month) = (raw.anchor_day.map_or(1, small), raw.anchor_month.map_or(1, small));
    odd(
        "anchor_day",
        raw.anchor_day.is_some(),
        months,
        "is of use with `month`, `quarter` and `year` only",
    );
    odd("anchor_day", months, (1..=31).contains(&day), "must be 1 to 31");
    odd(
        "anchor_month",
        raw.anchor_month.is_some(),
        long,
        "is of use with `quarter` and `year` only",
    );
    odd("anchor_month", long, (1..=12).contains(&month), "must be 1 to 12");
    odd(
        "week_begins",
        raw.week_begins.is_some(),
        window == RawWindow::Week,
        "is of use with `week` only",
    );
    let (day, month) = (i8::try_from(day).unwrap_or(1), i8::try_from(month).unwrap_or(1));
    let first = raw.week_begins.as_ref().map_or(RawDay::Monday, |first| first.0).weekday();
    match window {
        RawWindow::Minute => Cycle::Minute,
        RawWindow::Hour => Cycle::Hour,
        RawWindow::Day => Cycle::Day,
        RawWindow::Week => Cycle::Week { first },
        RawWindow::Month => Cycle::Month { day },
        RawWindow::Quarter => Cycle::Quarter { month, day },
        RawWindow::Year => Cycle::Year { month, day },
        RawWindow::Once => Cycle::Once,
    }
}

fn action(path: &str, raw: RawAction, fault: &mut Fault<'_>) -> Action {
    match raw {
        RawAction::Word(Written::Warn) => Action::Warn,
        RawAction::Word(Written::Refuse) => Action::Refuse { status: 429, message: String::new() },
        RawAction::Long(Object(long)) => match (long.refuse, long.downgrade) {
            (Some(Object(raw)), None) => {
                let status = small(raw.status);
                if ![402, 403, 429].contains(&status) {
                    fault(format!("{path}.refuse.status"), "must be 402, 403 or 429");
                }
                let status = u16::try_from(status).unwrap_or(429);
                Action::Refuse { status, message: raw.message }
            }
            (None, Some(Object(raw))) => {
                let path = format!("{path}.downgrade.models");
                Action::Downgrade { models: models(&path, raw.models, fault), message: raw.message }
            }
            _ => {
                fault(path.to_owned(), "must have exactly one of `refuse` and `downgrade`");
                Action::Warn
            }
        },
    }
}

fn models(
    path: &str,
    raw: Pairs<String>,
    fault: &mut Fault<'_>,
) -> std::collections::BTreeMap<String, String> {
    if raw.0.is_empty() {
        fault(path.to_owned(), "must name a model");
    }
    let mut models = std::collections::BTreeMap::new();
    for (from, to) in raw.0 {
        let (at, named) = (format!("{path}.{from}"), !from.is_empty() && !to.is_empty());
        if !named || models.insert(from, to).is_some() {
            fault(at, "must be given once, and neither name may be empty");
        }
    }
    models
}

/// Notes thresholds that make no sense.
pub fn percentages(path: &str, percentages: &[u32], fault: &mut Fault<'_>) {
    for (at, percent) in percentages.iter().enumerate() {
        if !(1..=1_000).contains(percent) {
            fault(format!("{path}[{at}]"), "must be 1 to 1000, in percent");
        }
    }
}

/// Whether `text` can be the id of a budget or of a customer.
#[must_use]
pub fn is_id(text: &str) -> bool {
    let odd = |c: char| c == '/' || c.is_whitespace() || c.is_control();
    (1..=MAX_ID).contains(&text.len()) && !text.contains(odd)
}

/// A number that is small if it is not wrong.
fn small(Whole(number): Whole) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A budget of few calls must not take the place of one of all.
const NAMELESS: &str = "must have an `id` where it has `match` or `per`";
const ONE_LIMIT: &str = "must have exactly one of `usd`, `tokens`, `input_tokens`, `output_tokens`, \
                         `cache_read_tokens`, `cache_write_tokens`, `reasoning_tokens`, `requests` \
                         and `units`";
/// What an id must be.
pub const ID: &str = "must be 1 to 128 characters, without `/`, spaces or control characters";
/// Thresholds unless the file says otherwise, in percent of a limit.
pub const WARN_AT: [u32; 2] = [80, 100];
/// The longest id.
const MAX_ID: usize = 128;
/// A million dollars, or so many tokens: thousands of times less than a column holds.
const MAX_AMOUNT: u64 = 1_000_000_000_000_000;
