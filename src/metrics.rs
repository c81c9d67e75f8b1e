//! Which metrics a call moves, and under which names.
//!
//! Envoy's wasm interface knows no labels: they stand in the name of the metric, as segments
//! `label=.=value;.;` that Envoy's `stats_tags` take out again. Envoy never forgets a metric, so
//! both the values of each label and all series together are bounded, over all workers; what is
//! beyond the bounds is counted under `other`.

use std::borrow::Cow;

use crate::config;
use crate::money::NanoUsd;
use crate::record::{Amount, Outcome, Record, SaidCost};
use crate::shared::{Shared, admit};

/// A metric that a call moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Move {
    /// Add to the counter of this name.
    Count(String, u64),
    /// Record in the histogram of this name.
    Sample(String, u64),
}

/// The moves of one call, in the order of `docs/metrics.md`.
pub fn moves(record: &Record, bounds: &mut impl Bounds) -> Vec<Move> {
    let labels = Labels::of(record, bounds);
    let segments = labels.segments();
    let mut moves = Vec::with_capacity(10);
    let mut count = |extra: Extra, name: &str, by: u64| {
        if by > 0 {
            let full = counter(&segments, extra, name);
            let full = bounded(bounds, full, || counter(&OTHERS.segments(), extra, name));
            moves.push(Move::Count(full, by));
        }
    };
    count(Some(("outcome", record.outcome.label())), "tollgate_requests_total", 1);
    if let Some(known) = record.amount.known() {
        for (unit, quantity) in known.usage.leaves() {
            count(Some(("kind", unit.label())), "tollgate_tokens_total", quantity);
        }
    }
    count(None, "tollgate_cost_nano_usd_total", record.price.known().map_or(0, NanoUsd::nanos));
    count(None, "tollgate_unpriced_total", u64::from(record.price.is_short()));
    if let Some(SaidCost { cost, listed: Some(listed) }) = record.said_cost {
        let (kind, by) = match cost >= listed {
            true => ("above", cost.nanos().saturating_sub(listed.nanos())),
            false => ("below", listed.nanos().saturating_sub(cost.nanos())),
        };
        count(Some(("kind", kind)), "tollgate_cost_deviation_nano_usd_total", by);
    }
    if matches!(record.amount, Amount::Estimated(_)) {
        count(None, "tollgate_estimated_total", 1);
    }
    if let Some(version) = record.price.version() {
        let name = |version: &str| segment("prices", version) + "tollgate_priced_total";
        let full = bounded(bounds, name(&clean(version)), || name(OTHER));
        moves.push(Move::Count(full, 1));
    }
    if let Some(trouble) = record.trouble {
        let name = |labels: &Labels| {
            let reason = segment("reason", trouble.label());
            format!(
                "{}{reason}tollgate_parse_failures_total",
                segment("provider", &labels.provider)
            )
        };
        moves.push(Move::Count(bounded(bounds, name(&labels), || name(&OTHERS)), 1));
    }
    if record.outcome != Outcome::Refused {
        let mut sample = |name: &str, value: u64| {
            let full = |labels: &Labels| labels.coarse(name);
            moves.push(Move::Sample(bounded(bounds, full(&labels), || full(&OTHERS)), value));
        };
        if let Some(ttft) = record.ttft_ms {
            sample("tollgate_ttft_ms", ttft);
        }
        sample("tollgate_duration_ms", record.duration_ms);
    }
    moves
}

/// `name` if there may be a series of it, else the one for what is beyond the bounds.
fn bounded(bounds: &mut impl Bounds, name: String, other: impl FnOnce() -> String) -> String {
    if bounds.series(&name) { name } else { other() }
}

/// The counter of requests that were not looked at.
pub const SKIPPED: &str = "tollgate_skipped_total";
/// The counter of requests whose headers Envoy did not let be held, as the configuration says.
pub const UNHELD: &str = "tollgate_unheld_total";

/// The counter of calls that passed without a lease because the quota service was away.
pub const UNLEASED: &str = "tollgate_unleased_total";
/// The counter of calls that were counted in a record which tenants share, because they are too many.
pub const CROWDED: &str = "tollgate_crowded_total";
/// The counter of newer price books that could not be used, by each worker that was given one.
pub const PRICES_REFUSED: &str = "tollgate_prices_refused_total";
/// The counter of calls whose rows were dropped because the quota service was away for too long.
pub const ROWS_LOST: &str = "tollgate_rows_lost_total";

/// Decides which names may exist.
pub trait Bounds {
    /// Whether `value` may be a value of the label.
    fn value(&mut self, label: Label, value: &str) -> bool;
    /// Whether there may be a series of this name.
    fn series(&mut self, name: &str) -> bool;
}

/// A label whose values come from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// Whose call it is.
    Tenant,
    /// Which feature made it.
    Feature,
    /// Which model answered.
    Model,
}

impl Label {
    const fn set(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Feature => "feature",
            Self::Model => "model",
        }
    }
}

/// Bounds that hold for all workers together. A worker remembers what it has asked.
#[derive(Debug, Default)]
pub struct Admitted {
    known: hashbrown::HashSet<String>,
}

impl Admitted {
    /// These bounds, asked with the shared store at hand.
    pub const fn with<'a, S: Shared>(
        &'a mut self,
        shared: &'a mut S,
        limits: config::Metrics,
    ) -> WithShared<'a, S> {
        WithShared { admitted: self, shared, limits }
    }
}

/// [`Admitted`], together with what it needs to ask.
#[derive(Debug)]
pub struct WithShared<'a, S> {
    admitted: &'a mut Admitted,
    shared: &'a mut S,
    limits: config::Metrics,
}

impl<S: Shared> WithShared<'_, S> {
    fn ask(&mut self, set: &str, member: &str, max: usize) -> bool {
        let key = format!("{set}/{member}");
        if self.admitted.known.contains(&key) {
            return true;
        }
        let max = u64::try_from(max).unwrap_or(u64::MAX);
        // A race lost too often counts as a refusal: the call is counted under `other`.
        let admitted = admit(self.shared, set, member, max).unwrap_or(false);
        if admitted {
            self.admitted.known.insert(key);
        }
        admitted
    }
}

impl<S: Shared> Bounds for WithShared<'_, S> {
    fn value(&mut self, label: Label, value: &str) -> bool {
        let max = match label {
            Label::Tenant => self.limits.max_tenants,
            Label::Feature => self.limits.max_features,
            Label::Model => self.limits.max_models,
        };
        self.ask(label.set(), value, max)
    }

    fn series(&mut self, name: &str) -> bool {
        // What is reserved is for the series of all that is beyond the bounds.
        self.ask("series", name, self.limits.max_series.saturating_sub(RESERVED))
    }
}

type Extra = Option<(&'static str, &'static str)>;

/// The values of the labels that all counters of a call share.
struct Labels {
    tenant: Cow<'static, str>,
    feature: Cow<'static, str>,
    provider: Cow<'static, str>,
    model: Cow<'static, str>,
}

/// The labels of all that is beyond the bounds.
const OTHERS: Labels = Labels {
    tenant: Cow::Borrowed(OTHER),
    feature: Cow::Borrowed(OTHER),
    provider: Cow::Borrowed(OTHER),
    model: Cow::Borrowed(OTHER),
};

impl Labels {
    fn of(record: &Record, bounds: &mut impl Bounds) -> Self {
        let mut bounded = |label, value: Option<&String>| {
            let Some(value) = value.map(|value| clean(value)) else { return Cow::Borrowed(NONE) };
            if bounds.value(label, &value) { value.into() } else { Cow::Borrowed(OTHER) }
        };
        Self {
            tenant: bounded(Label::Tenant, record.tenant.as_ref()),
            feature: bounded(Label::Feature, record.feature.as_ref()),
            model: bounded(Label::Model, record.model.as_ref().filter(|_| record.model_exists)),
            provider: clean(&record.provider).into(),
        }
    }

    /// The name of a histogram: without tenant and feature, of which there are too many.
    fn coarse(&self, name: &str) -> String {
        format!("{}{}{name}", segment("provider", &self.provider), segment("model", &self.model))
    }

    /// The segments of all four labels.
    fn segments(&self) -> String {
        let Self { tenant, feature, provider, model } = self;
        format!(
            "tenant=.={tenant};.;feature=.={feature};.;provider=.={provider};.;model=.={model};.;"
        )
    }
}

/// The name of a counter: the labels that all of a call share, one of its own, and what is counted.
fn counter(segments: &str, extra: Extra, name: &str) -> String {
    match extra {
        Some((label, value)) => [segments, label, "=.=", value, ";.;", name].concat(),
        None => [segments, name].concat(),
    }
}

fn segment(label: &str, value: &str) -> String {
    format!("{label}=.={value};.;")
}

/// A value that can neither end its segment nor begin another, nor break the text of a scrape.
fn clean(value: &str) -> String {
    let mut end = value.len().min(MAX_VALUE);
    while !value.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    let kept = value.get(..end).unwrap_or_default();
    let safe = |c: char| match c {
        ';' => ',',
        c if c.is_control() => '_',
        c => c,
    };
    let mut clean = kept.chars().map(safe).collect::<String>().replace("=.=", "_._");
    // Envoy drops dots at the end of a label: two tenants would become one.
    let dots = clean.len().saturating_sub(clean.trim_end_matches('.').len());
    clean.truncate(clean.len().saturating_sub(dots));
    clean.extend(core::iter::repeat_n('_', dots));
    // These two are ours.
    if clean == OTHER || clean == NONE {
        clean.push('_');
    }
    clean
}

/// The label of what is beyond the bounds.
const OTHER: &str = "other";
/// The label of what a call does not have.
const NONE: &str = "none";
/// Series that are kept free: all that [`OTHERS`] can have, and those without labels.
const RESERVED: usize = 40;
/// Longer values say no more to a person, and cost memory in each series.
const MAX_VALUE: usize = 128;

#[cfg(test)]
mod tests;
