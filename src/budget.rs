//! Which budgets a call counts against, how much it may take of each, and what happens when one is
//! used up. The strictest consequence wins; the answer names the budget it is for.

use crate::calendar::ONCE;
use crate::estimate::Basis;
use crate::money::NanoUsd;
use crate::price::{Tariff, Terms};
use crate::provider::Reported;
use crate::scope::Scope;
use crate::sync::{Action, Budget, Measure, Tenant, Tokens, Unit};
use crate::usage::{Unit as Part, Usage};

/// What a call may take before it is known what it takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Nano-dollars. Zero where the model has no price: such a call is let through as unpriced.
    pub nano_usd: u64,
    /// Tokens of prompt and answer.
    pub tokens: u64,
    /// Of these, tokens of the answer.
    pub output: u64,
}

impl Expected {
    /// What a request takes whose answers have so many tokens each.
    #[must_use]
    pub fn with_output(
        basis: &Basis<'_>,
        tariff: Option<Tariff<'_>>,
        terms: &Terms<'_>,
        output: u64,
    ) -> Self {
        let window = tariff.and_then(|tariff| tariff.context_window());
        let usage = basis.expected_with(window, output);
        let cost = tariff.and_then(|tariff| tariff.cost(&usage, terms));
        Self {
            nano_usd: cost.map_or(0, |cost| cost.amount.nanos()),
            tokens: usage.input_tokens().saturating_add(usage.output_tokens()),
            output: usage.output_tokens(),
        }
    }

    /// How much of a budget that counts `measure` the call must hold. What comes from a cache and
    /// what is thought nobody knows before: it may be all.
    #[must_use]
    pub const fn hold(&self, measure: Measure) -> u64 {
        match measure.unit {
            Unit::Usd => self.nano_usd,
            Unit::Tokens => match measure.tokens {
                Tokens::Total => self.tokens,
                Tokens::Input | Tokens::CacheRead | Tokens::CacheWrite => {
                    self.tokens.saturating_sub(self.output)
                }
                Tokens::Output | Tokens::Reasoning => self.output,
            },
            Unit::Requests | Unit::Units => 1,
        }
    }
}

/// What a call may take, by how long its answer becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// With the longest answer.
    pub most: Expected,
    /// With none.
    pub least: Expected,
    /// The tokens of the longest one.
    pub output: u64,
}

impl Demand {
    /// What a request may take: its prompt by its bytes, its answer by the most it asks for.
    #[must_use]
    pub fn expected(basis: &Basis<'_>, tariff: Option<Tariff<'_>>, terms: &Terms<'_>) -> Self {
        let output = basis.longest();
        let of = |output| Expected::with_output(basis, tariff, terms, output);
        Self { most: of(output), least: of(0), output }
    }

    /// How much of a budget that counts `measure` the call must hold, if its answer is cut down to `output`.
    #[must_use]
    pub fn hold(&self, measure: Measure, output: Option<u64>) -> u64 {
        let (least, most) = (self.least.hold(measure), self.most.hold(measure));
        let Some(output) = output.filter(|&output| output < self.output) else { return most };
        let more = u128::from(most.saturating_sub(least)).saturating_mul(output.into());
        let more = more.div_ceil(u128::from(self.output).max(1));
        least.saturating_add(u64::try_from(more).unwrap_or(u64::MAX))
    }

    /// The longest answer that `amount` of a budget that counts `measure` is enough for.
    #[must_use]
    pub fn affords(&self, measure: Measure, amount: u64) -> Option<u64> {
        let (least, most) = (self.least.hold(measure), self.most.hold(measure));
        let over = u128::from(amount.checked_sub(least)?);
        let by = u128::from(most.saturating_sub(least));
        let output = over.saturating_mul(self.output.into()).checked_div(by);
        Some(output.and_then(|o| u64::try_from(o).ok()).unwrap_or(u64::MAX).min(self.output))
    }
}

/// What a call has used, once it is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Nano-dollars, as far as they are known.
    pub nano_usd: u64,
    /// Tokens of prompt and answer.
    pub tokens: u64,
    /// The same by kind.
    pub kinds: Kinds,
    /// Whether it was answered with success.
    pub success: bool,
}

/// Tokens by kind. Those of the first two have the others in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds {
    /// Of the prompt.
    pub input: u64,
    /// Of the answer.
    pub output: u64,
    /// From a cache.
    pub cache_read: u64,
    /// Into a cache.
    pub cache_write: u64,
    /// Thought, and not said.
    pub reasoning: u64,
}

impl Kinds {
    /// No tokens.
    #[cfg(test)]
    pub(crate) const NONE: Self =
        Self { input: 0, output: 0, cache_read: 0, cache_write: 0, reasoning: 0 };

    /// Those of a usage, in whose prompt `overlap` tokens are counted twice.
    #[must_use]
    pub fn of(usage: &Usage, overlap: u64) -> Self {
        Self {
            input: usage.input_tokens().saturating_sub(overlap),
            output: usage.output_tokens(),
            cache_read: usage.cache_read_tokens(),
            cache_write: usage.cache_write_tokens(),
            reasoning: usage.of(Part::Reasoning),
        }
    }
}

impl Used {
    /// What a call that cost `cost` has used.
    #[must_use]
    pub fn of(known: Option<&Reported>, cost: Option<NanoUsd>, success: bool) -> Self {
        let kinds = known.map(|known| Kinds::of(&known.usage, known.overlap)).unwrap_or_default();
        let tokens = kinds.input.saturating_add(kinds.output);
        Self { nano_usd: cost.map_or(0, NanoUsd::nanos), tokens, kinds, success }
    }

    /// How much of a budget that counts `measure` that is.
    #[must_use]
    pub const fn amount(&self, measure: Measure) -> u64 {
        match measure.unit {
            Unit::Usd => self.nano_usd,
            Unit::Tokens => match measure.tokens {
                Tokens::Total => self.tokens,
                Tokens::Input => self.kinds.input,
                Tokens::Output => self.kinds.output,
                Tokens::CacheRead => self.kinds.cache_read,
                Tokens::CacheWrite => self.kinds.cache_write,
                Tokens::Reasoning => self.kinds.reasoning,
            },
            Unit::Requests => 1,
            Unit::Units => self.success as u64,
        }
    }
}

/// Whether such a call counts against a budget.
#[must_use]
pub fn applies(budget: &Budget, scope: &Scope<'_>) -> bool {
    let own = budget.feature.as_deref();
    own.is_none_or(|own| Some(own) == scope.feature) && budget.matches.has(scope)
}

/// Whether calls must be refused rather than overspend a budget: its limit is a promise.
#[must_use]
pub const fn is_firm(budget: &Budget) -> bool {
    budget.is_firm() && matches!(budget.action, Action::Refuse { .. }) && !budget.shadow
}

/// Whether so much of the budget is used that a call is passed with a warning.
#[must_use]
pub fn warns(budget: &Budget, used: u64) -> bool {
    let used = u128::from(used).saturating_mul(100);
    let limit = u128::from(budget.limit);
    budget.warn_at.iter().any(|&percent| used >= limit.saturating_mul(percent.into()))
}

/// What a budget that is used up asks for, from the mildest on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Consequence {
    /// To record what would have happened.
    Shadow,
    /// To pass the call with a warning.
    Warn,
    /// To send the call to this model.
    Downgrade(String),
    /// To refuse the call.
    Refuse,
}

/// What follows for a call to `model` when `budget` is used up.
#[must_use]
pub fn consequence(budget: &Budget, model: Option<&str>) -> Consequence {
    let real = match &budget.action {
        Action::Refuse { .. } => Consequence::Refuse,
        Action::Warn => Consequence::Warn,
        Action::Downgrade { models, .. } => {
            let name = model.unwrap_or_default();
            let exact = models.get(name);
            let open = || {
                let fits = |key: &str| key.strip_suffix('*').is_some_and(|k| name.starts_with(k));
                models.iter().filter(|(key, _)| fits(key)).max_by_key(|(key, _)| key.len())
            };
            match exact.or_else(|| open().map(|(_, to)| to)) {
                // Who asks for the cheaper model already has it.
                Some(to) if to != name => Consequence::Downgrade(to.clone()),
                Some(_) => Consequence::Warn,
                None if models.values().any(|to| to == name) => Consequence::Warn,
                None => Consequence::Refuse,
            }
        }
    };
    if budget.shadow { Consequence::Shadow } else { real }
}

/// The status and the sentence with which a call is refused for `budget`, of which so much is used.
#[must_use]
pub fn refusal(tenant: &Tenant, budget: &Budget, used: u64) -> (u16, String) {
    let (status, message) = match &budget.action {
        Action::Refuse { status, message } => (*status, message.as_str()),
        Action::Downgrade { message, .. } => (429, message.as_str()),
        Action::Warn => (429, ""),
    };
    let once = budget.window.name == ONCE;
    let rolls = budget.window.step > 0;
    let template = match (message, budget.unit) {
        ("", Unit::Usd) if rolls => DEFAULT_USD_ROLLING,
        ("", _) if rolls => DEFAULT_ROLLING,
        ("", Unit::Usd) if once => DEFAULT_USD_ONCE,
        ("", Unit::Usd) => DEFAULT_USD,
        ("", _) if once => DEFAULT_ONCE,
        ("", _) => DEFAULT,
        (message, _) => message,
    };
    (status, fill(template, tenant, budget, used))
}

fn fill(template: &str, tenant: &Tenant, budget: &Budget, used: u64) -> String {
    let number = |amount| match budget.unit {
        Unit::Usd => dollars(amount),
        _ => grouped(amount),
    };
    let unit = match (budget.unit_name.as_str(), budget.unit) {
        ("", Unit::Usd) => "US dollars",
        ("", Unit::Tokens) => budget.tokens.words(),
        ("", Unit::Requests) => "requests",
        ("", Unit::Units) => "units",
        (name, _) => name,
    };
    // At the limit all of it is used, by calls that are over or under way.
    let used = used.max(budget.limit);
    [
        ("{used}", number(used)),
        ("{limit}", number(budget.limit)),
        ("{unit}", unit.to_owned()),
        ("{window}", budget.window.name.clone()),
        ("{resets_at}", budget.window.resets_at.clone()),
        ("{upgrade_url}", tenant.upgrade_url.clone()),
        ("{plan}", tenant.plan.clone()),
    ]
    .into_iter()
    .fold(template.to_owned(), |text, (name, value)| text.replace(name, &value))
}

/// A number with commas, such as `2,000`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let comma = |at: usize| at > 0 && at % 3 == first;
    digits
        .chars()
        .enumerate()
        .flat_map(|(at, c)| comma(at).then_some(',').into_iter().chain([c]))
        .collect()
}

/// Whole cents, rounded down, such as `$1,250.00`.
fn dollars(nanos: u64) -> String {
    let cents = nanos / NANOS_PER_CENT;
    format!("${}.{:02}", grouped(cents / 100), cents % 100)
}

const DEFAULT: &str = "You've used your {limit} included {unit} this {window}. Upgrade for more.";
const DEFAULT_ROLLING: &str =
    "You've used your {limit} included {unit} of the last {window}. Upgrade for more.";
const DEFAULT_USD_ROLLING: &str =
    "You've reached your usage limit for the last {window}. Upgrade for more.";
const DEFAULT_ONCE: &str = "You've used your {limit} included {unit}. Upgrade for more.";
const DEFAULT_USD_ONCE: &str = "You've reached your usage limit. Upgrade for more.";
/// Says no amount: what calls cost is the operator's own business.
const DEFAULT_USD: &str = "You've reached your usage limit for this {window}. Upgrade for more.";
const NANOS_PER_CENT: u64 = 10_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::Window;

    fn budget(action: Action, unit: Unit, limit: u64) -> Budget {
        let window = Window { name: "month".into(), ..Window::default() };
        Budget { action, unit, limit, window, warn_at: vec![80, 100], ..Budget::default() }
    }

    fn refuse(message: &str) -> Action {
        Action::Refuse { status: 402, message: message.into() }
    }

    #[test]
    fn refusals_read_as_the_operator_wrote_them() {
        let tenant =
            Tenant { plan: "Pro".into(), upgrade_url: "https://u".into(), ..Tenant::default() };
        let units =
            Budget { unit_name: "AI analyses".into(), ..budget(refuse(""), Unit::Units, 2_000) };
        let window = Window { name: "once".into(), ..Window::default() };
        let once = Budget { window, ..budget(refuse(""), Unit::Requests, 50) };
        let own = budget(
            refuse("{plan}: {used} of {limit} {unit}. {upgrade_url}"),
            Unit::Usd,
            1_250_500_000_000,
        );
        #[rustfmt::skip]
        let cases = [
            (units, "You've used your 2,000 included AI analyses this month. Upgrade for more."),
            (budget(refuse(""), Unit::Tokens, 999), "You've used your 999 included tokens this month. Upgrade for more."),
            (budget(refuse(""), Unit::Usd, 5), "You've reached your usage limit for this month. Upgrade for more."),
            (once, "You've used your 50 included requests. Upgrade for more."),
            (own, "Pro: $1,250.50 of $1,250.50 US dollars. https://u"),
        ];
        for (budget, sentence) in cases {
            assert_eq!(refusal(&tenant, &budget, budget.used), (402, sentence.to_owned()));
        }
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let cases = [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678")];
        for (number, text) in cases {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn a_downgrade_follows_the_map_and_else_refuses() {
        let models = [
            ("gpt-5", "gpt-5-mini"),
            ("claude-*", "claude-haiku"),
            ("claude-opus*", "claude-sonnet"),
        ];
        let models = models.map(|(from, to)| (from.to_owned(), to.to_owned())).into();
        let budget = budget(Action::Downgrade { models, message: String::new() }, Unit::Usd, 1);
        let to = |name: &str| Consequence::Downgrade(name.into());
        #[rustfmt::skip]
        let cases = [
            ("gpt-5",           to("gpt-5-mini")),
            ("claude-3-sonnet", to("claude-haiku")),
            ("claude-opus-4",   to("claude-sonnet")),
            ("gpt-5-mini",      Consequence::Warn),
            ("gpt-4",           Consequence::Refuse),
        ];
        for (model, expected) in cases {
            assert_eq!(consequence(&budget, Some(model)), expected, "{model}");
        }
        let shadow = Budget { shadow: true, ..budget };
        assert_eq!(consequence(&shadow, Some("gpt-4")), Consequence::Shadow);
    }

    #[test]
    fn warnings_begin_at_the_lowest_threshold() {
        let budget = budget(Action::Warn, Unit::Requests, 10);
        assert_eq!([7, 8, 10, 11].map(|used| warns(&budget, used)), [false, true, true, true]);
        let none = Budget { warn_at: Vec::new(), ..budget };
        assert!(!warns(&none, 100));
    }
}
