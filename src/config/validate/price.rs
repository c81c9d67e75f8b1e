//! What calls cost, and what becomes of those without a price.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{civil::Date, tz::TimeZone};

use crate::{
    config::{
        CostSource, ModelAlias, PriceMultiplier, PriceOverride, Unpriced,
        error::Faults,
        raw::{RawCostSource, RawModel, RawPrice, RawUnpriced, RawUnpricedWord},
        shape::{Object, Pairs, Word},
    },
    money::NanoUsd,
    price::{Priced, Times},
    rule::Dollars,
    who,
};

use super::{
    bounded,
    rule::{provider_name, region_name},
};

/// The operator's own prices.
pub(super) fn prices(raw: Vec<Object<RawPrice>>, faults: &mut Faults) -> Vec<PriceOverride> {
    bounded("prices", raw.len(), MAX_PRICES, faults);
    let mut seen = BTreeSet::new();
    let mut prices = Vec::new();
    for (at, Object(raw)) in raw.into_iter().enumerate() {
        let path = format!("prices[{at}]");
        if !seen.insert((raw.provider.clone(), raw.model.clone())) {
            faults.add(&path, "must not repeat the provider and model of an earlier price");
        }
        prices.push(price(&path, raw, faults));
    }
    prices
}

fn price(path: &str, raw: RawPrice, faults: &mut Faults) -> PriceOverride {
    pattern(path, raw.provider.as_deref(), &raw.model, faults);
    let rates = rates(&format!("{path}.rates"), raw.rates, faults);
    PriceOverride { provider: raw.provider, model: raw.model, rates }
}

/// Checks which models are meant.
fn pattern(path: &str, provider: Option<&str>, model: &str, faults: &mut Faults) {
    if let Some(name) = provider {
        provider_name(&format!("{path}.provider"), name, faults);
    }
    let stem = model.strip_suffix('*').unwrap_or(model);
    let named = model == "*" || who::is_name(stem);
    if !named || stem.contains('*') || stem.trim() != stem {
        let must = "must be a model's name, or the beginning of one and a `*`";
        faults.add(format_args!("{path}.model"), must);
    }
}

fn rates(path: &str, raw: Pairs<Dollars>, faults: &mut Faults) -> BTreeMap<Priced, u64> {
    if raw.0.is_empty() {
        faults.add(path, "must have the rate of at least one unit");
    }
    let mut rates = BTreeMap::new();
    for (label, dollars) in raw.0 {
        let path = format!("{path}.{label}");
        let Some(priced) = Priced::named(&label) else {
            let labels = Priced::all().map(Priced::label).collect::<Vec<_>>().join(", ");
            faults.add(path, format_args!("must be one of the units {labels}"));
            continue;
        };
        if rates.insert(priced, rate(&path, &dollars, faults)).is_some() {
            faults.add(path, "must be given once");
        }
    }
    rates
}

/// Reads one rate in nano-dollars per million units. A fault yields 0.
fn rate(path: &str, dollars: &Dollars, faults: &mut Faults) -> u64 {
    dollars.read().filter(|rate| *rate <= MAX_RATE).map_or_else(
        || {
            let must = "must be dollars per million: at most nine decimals, and at most 1000000000";
            faults.add(path, must);
            0
        },
        NanoUsd::nanos,
    )
}

/// The operator's own names for models.
pub(super) fn models(raw: Vec<Object<RawModel>>, faults: &mut Faults) -> Vec<ModelAlias> {
    bounded("models", raw.len(), MAX_PRICES, faults);
    let alias = |(at, Object(raw)): (usize, Object<RawModel>)| {
        let path = format!("models[{at}]");
        pattern(&path, raw.provider.as_deref(), &raw.model, faults);
        let (provider, model) = raw.priced_as.split_once('/').unwrap_or_default();
        if !who::is_name(provider) || !who::is_name(model) {
            let must = "must be a provider and a model, such as `openai/gpt-5`";
            faults.add(format_args!("{path}.as"), must);
        }
        let priced_as = (provider.to_owned(), model.to_owned());
        ModelAlias { provider: raw.provider, model: raw.model, priced_as }
    };
    raw.into_iter().enumerate().map(alias).collect()
}

/// How many times the book's prices are charged.
pub(super) fn multipliers(raw: Vec<Pairs<String>>, faults: &mut Faults) -> Vec<PriceMultiplier> {
    bounded("multipliers", raw.len(), MAX_MULTIPLIERS, faults);
    let read = |(at, raw): (usize, _)| multiplier(&format!("multipliers[{at}]"), raw, faults);
    raw.into_iter().enumerate().map(read).collect()
}

fn multiplier(path: &str, mut raw: Pairs<String>, faults: &mut Faults) -> PriceMultiplier {
    let mut take = |name| {
        let at = raw.0.iter().position(|(key, _)| key == name)?;
        Some(raw.0.swap_remove(at).1)
    };
    let [provider, model, region, from, times] =
        ["provider", "model", "region", "from", "times"].map(&mut take);
    if !raw.0.is_empty() {
        faults.add(path, "must have `model` and `times`, may have `provider`, `region` and `from`");
    }
    let model = model.unwrap_or_default();
    pattern(path, provider.as_deref(), &model, faults);
    if let Some(region) = &region {
        region_name(&format!("{path}.region"), region, faults);
    }
    let times = times.and_then(|times| Times::parse(&times)).unwrap_or_else(|| {
        let must = "must be a decimal above 0, at most 1000, with at most six decimals";
        faults.add(format_args!("{path}.times"), must);
        Times::ONE
    });
    let from = from.as_deref().map_or(Some(0), day).unwrap_or_else(|| {
        faults.add(format_args!("{path}.from"), "must be a day, such as `2027-01-01`");
        0
    });
    PriceMultiplier { provider, model, region, from, times }
}

/// The first second of a day in UTC, since 1970.
fn day(text: &str) -> Option<u64> {
    let (year, rest) = text.split_once('-')?;
    let (month, day) = rest.split_once('-')?;
    let digits = |part: &&str| part.bytes().all(|byte| byte.is_ascii_digit());
    let sizes = [year.len(), month.len(), day.len()] == [4, 2, 2];
    let plain = sizes && [year, month, day].iter().all(digits);
    let date = Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()?;
    let start = date.to_zoned_datetime(TimeZone::UTC).ok().filter(|_| plain)?.timestamp();
    start.as_second().try_into().ok()
}

pub(super) fn unpriced(raw: RawUnpriced, faults: &mut Faults) -> Unpriced {
    match raw {
        RawUnpriced::Word(Word(RawUnpricedWord::Pass)) => Unpriced::Pass,
        RawUnpriced::Word(Word(RawUnpricedWord::Refuse)) => Unpriced::Refuse,
        RawUnpriced::Fallback(Object(raw)) => {
            Unpriced::Fallback(rates("unpriced.rates", raw.rates, faults))
        }
    }
}

pub(super) const fn cost_source(raw: &Word<RawCostSource>) -> CostSource {
    match raw.0 {
        RawCostSource::Book => CostSource::Book,
        RawCostSource::Provider => CostSource::Provider,
    }
}

/// Prices, and names of models: they are kept by every worker.
const MAX_PRICES: usize = 4_096;
/// Each is tried for every call.
const MAX_MULTIPLIERS: usize = 256;
/// A thousand dollars for one token or one search is a slip of the pen.
const MAX_RATE: NanoUsd = NanoUsd::new(1_000_000_000_000_000_000);
