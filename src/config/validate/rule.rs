//! Who answers where, and what it costs.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    config::{
        By, Family, HostPattern, PriceOverride, ProviderRule,
        error::Faults,
        raw::{RawFamily, RawPrice, RawProvider},
        shape::{Object, Pairs, Word},
    },
    money::NanoUsd,
    price::Priced,
    rule::Dollars,
    who,
};

use super::bounded;

/// The rules that say who answers.
pub(super) fn providers(raw: Vec<Object<RawProvider>>, faults: &mut Faults) -> Vec<ProviderRule> {
    bounded("providers", raw.len(), MAX_RULES, faults);
    let read = |(at, Object(raw)): (usize, _)| provider(&format!("providers[{at}]"), raw, faults);
    raw.into_iter().enumerate().filter_map(read).collect()
}

fn provider(path: &str, raw: RawProvider, faults: &mut Faults) -> Option<ProviderRule> {
    provider_name(&format!("{path}.provider"), &raw.provider, faults);
    let by = match (raw.host, raw.cluster) {
        (Some(host), None) => HostPattern::parse(&host).map(By::Host).or_else(|| {
            let must = "must be a host without a port, or `*.` and one";
            faults.add(format_args!("{path}.host"), must);
            None
        }),
        (None, Some(cluster)) if !cluster.is_empty() => Some(By::Cluster(cluster)),
        (None, Some(_)) => {
            faults.add(format_args!("{path}.cluster"), "must be the name of a cluster");
            None
        }
        _ => {
            faults.add(path, "must have exactly one of `host` and `cluster`");
            None
        }
    };
    Some(ProviderRule {
        by: by?,
        provider: raw.provider,
        api: raw.api.map(|Word(raw)| family(raw)),
    })
}

const fn family(raw: RawFamily) -> Family {
    match raw {
        RawFamily::OpenAi => Family::OpenAi,
        RawFamily::Anthropic => Family::Anthropic,
        RawFamily::Gemini => Family::Gemini,
    }
}

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
    if let Some(name) = &raw.provider {
        provider_name(&format!("{path}.provider"), name, faults);
    }
    let stem = raw.model.strip_suffix('*').unwrap_or(&raw.model);
    let named = raw.model == "*" || who::is_name(stem);
    if !named || stem.contains('*') || stem.trim() != stem {
        let must = "must be a model's name, or the beginning of one and a `*`";
        faults.add(format_args!("{path}.model"), must);
    }
    let rates = rates(&format!("{path}.rates"), raw.rates, faults);
    PriceOverride { provider: raw.provider, model: raw.model, rates }
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

fn provider_name(path: &str, name: &str, faults: &mut Faults) {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !(1..=MAX_PROVIDER).contains(&name.len()) || !name.bytes().all(legal) {
        faults.add(path, "must be 1 to 64 of `a-z`, `0-9` and `-`");
    }
}

/// Rules about providers: each is tried for every request.
const MAX_RULES: usize = 256;
/// Prices: they are kept by every worker.
const MAX_PRICES: usize = 4_096;
/// Bytes of a provider's name.
const MAX_PROVIDER: usize = 64;
/// A thousand dollars for one token or one search is a slip of the pen.
const MAX_RATE: NanoUsd = NanoUsd::new(1_000_000_000_000_000_000);
