//! One model's rates: by unit, by size of the prompt, by date and by terms of service.
//!
//! The rules are those of genai-prices, so that both compute the same cost from the same data: the
//! last dated price that is active holds, else the first; the first variant whose terms are met
//! replaces single rates of it; a tier applies to the whole call once its total input is above the
//! tier's start.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::clause::Clause;
use super::{Cost, Terms, unit};
use crate::money::NanoUsd;
use crate::usage::{Side, Unit, Usage};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Model {
    pub(super) id: Box<str>,
    #[serde(rename = "match")]
    pub(super) clause: Clause,
    pub(super) context_window: Option<u64>,
    /// From when on the book no longer vouches for these prices, in seconds since 1970.
    closed: Option<u64>,
    prices: Box<[Dated]>,
    #[serde(default)]
    variants: Box<[Variant]>,
}

impl Model {
    /// A model that always has the same rates.
    pub(super) fn with_rates(id: &str, rates: &[(Unit, NanoUsd)]) -> Self {
        let flat = |&(unit, rate): &(Unit, NanoUsd)| (unit, Rate::flat(rate.nanos()));
        Self {
            id: id.into(),
            clause: Clause::Equals(id.into()),
            context_window: None,
            closed: None,
            prices: [Dated { active: None, rates: Rates(rates.iter().map(flat).collect()) }].into(),
            variants: Box::default(),
        }
    }

    /// What `usage` costs at `at`; without `terms`, at the standard prices.
    ///
    /// `None` where a token has no rate, or nothing used has one.
    pub(super) fn cost(&self, usage: &Usage, at: u64, terms: Option<&Terms<'_>>) -> Option<Cost> {
        if self.closed.is_some_and(|end| at >= end) {
            return None;
        }
        let total_input = usage.input_tokens();
        let (mut sum, mut priced, mut missing) = (0_u128, false, false);
        for (unit, quantity) in usage.leaves() {
            let Some(rate) = self.rate(unit, at, terms) else {
                if unit.side() != Side::Item {
                    return None;
                }
                missing = true;
                continue;
            };
            priced = true;
            let price = u128::from(quantity).saturating_mul(u128::from(rate.at(total_input)));
            sum = sum.saturating_add(price);
        }
        (priced || !missing).then(|| Cost { amount: rounded(sum), complete: !missing })
    }

    fn rate(&self, unit: Unit, at: u64, terms: Option<&Terms<'_>>) -> Option<&Rate> {
        let standard = self.standard(at)?;
        let variants = || {
            let met = |v: &&Variant| is_active(v.active, at) && terms.is_some_and(|t| v.when.is(t));
            self.variants.iter().filter(met)
        };
        chain(unit).iter().find_map(|&unit| {
            variants().find_map(|v| v.rates.of(unit)).or_else(|| standard.rates.of(unit))
        })
    }

    fn standard(&self, at: u64) -> Option<&Dated> {
        self.prices.iter().rev().find(|p| is_active(p.active, at)).or_else(|| self.prices.first())
    }
}

/// The units whose rates `unit` is charged at, the first that the model has: ever less specific.
const fn chain(unit: Unit) -> &'static [Unit] {
    use Unit::{
        AudioMilli, CacheRead, CacheReadAudio, CacheReadImage, CacheReadVideo, CacheWrite,
        CacheWrite1h, CacheWrite5m, CacheWrite12h, Character, Citation, CodeSession, FileSearch,
        Image, Input, InputAudio, InputImage, InputTool, InputVideo, MapsSearch, Output,
        OutputAudio, OutputImage, OutputVideo, Page, Reasoning, SearchUnit, WebSearch,
    };
    match unit {
        Input => &[Input],
        CacheRead => &[CacheRead, Input],
        CacheWrite => &[CacheWrite, Input],
        CacheWrite5m => &[CacheWrite5m, CacheWrite, Input],
        CacheWrite1h => &[CacheWrite1h, CacheWrite, Input],
        CacheWrite12h => &[CacheWrite12h, CacheWrite, Input],
        InputTool => &[InputTool, Input],
        InputAudio => &[InputAudio, Input],
        CacheReadAudio => &[CacheReadAudio, InputAudio, CacheRead, Input],
        InputImage => &[InputImage, Input],
        CacheReadImage => &[CacheReadImage, InputImage, CacheRead, Input],
        InputVideo => &[InputVideo, Input],
        CacheReadVideo => &[CacheReadVideo, InputVideo, CacheRead, Input],
        Output => &[Output],
        Reasoning => &[Reasoning, Output],
        OutputAudio => &[OutputAudio, Output],
        OutputImage => &[OutputImage, Output],
        OutputVideo => &[OutputVideo, Output],
        Citation => &[Citation],
        WebSearch => &[WebSearch],
        MapsSearch => &[MapsSearch],
        FileSearch => &[FileSearch],
        CodeSession => &[CodeSession],
        SearchUnit => &[SearchUnit],
        Image => &[Image],
        Page => &[Page],
        Character => &[Character],
        AudioMilli => &[AudioMilli],
    }
}

/// Half a nano-dollar and more counts as a whole one; too much to write down, as the most.
fn rounded(sum: u128) -> NanoUsd {
    let nanos = sum.saturating_add(PER / 2) / PER;
    NanoUsd::new(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Rates, and when they hold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dated {
    active: Option<Active>,
    rates: Rates,
}

/// Rates that replace the standard ones on some terms.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Variant {
    when: When,
    active: Option<Active>,
    rates: Rates,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Active {
    /// From this second since 1970 on.
    From(u64),
    /// From one second of each day, UTC, to before another, which may be on the next day.
    Daily(u64, u64),
}

fn is_active(active: Option<Active>, at: u64) -> bool {
    let second = at % DAY;
    match active {
        None => true,
        Some(Active::From(start)) => at >= start,
        Some(Active::Daily(start, end)) if end < start => second >= start || second < end,
        Some(Active::Daily(start, end)) => (start..end).contains(&second),
    }
}

/// Terms that must all be met.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct When {
    processing: Option<Processing>,
    service_tier: Option<Box<str>>,
    speed: Option<Box<str>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Processing {
    Batch,
}

impl When {
    fn is(&self, terms: &Terms<'_>) -> bool {
        let said = |wanted: &Option<Box<str>>, is: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| is == Some(wanted))
        };
        (self.processing.is_none() || terms.batch)
            && said(&self.service_tier, terms.service_tier)
            && said(&self.speed, terms.speed)
    }
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "BTreeMap<Box<str>, Vec<u64>>")]
struct Rates(Box<[(Unit, Rate)]>);

impl Rates {
    fn of(&self, unit: Unit) -> Option<&Rate> {
        self.0.iter().find(|(u, _)| *u == unit).map(|(_, rate)| rate)
    }
}

impl TryFrom<BTreeMap<Box<str>, Vec<u64>>> for Rates {
    type Error = &'static str;

    fn try_from(raw: BTreeMap<Box<str>, Vec<u64>>) -> Result<Self, Self::Error> {
        let rate = |(label, numbers): (Box<str>, Vec<u64>)| {
            Ok((unit(&label).ok_or("a rate of an unknown unit")?, Rate::read(&numbers)?))
        };
        raw.into_iter().map(rate).collect::<Result<_, _>>().map(Self)
    }
}

#[derive(Debug)]
struct Rate {
    base: u64,
    /// Total input above which a rate holds, and that rate; ascending.
    tiers: Box<[(u64, u64)]>,
}

impl Rate {
    fn flat(base: u64) -> Self {
        Self { base, tiers: Box::default() }
    }

    fn read(numbers: &[u64]) -> Result<Self, &'static str> {
        let (&base, tiers) = numbers.split_first().ok_or("a rate without a number")?;
        let (pairs, []) = tiers.as_chunks::<2>() else {
            return Err("a tier without a rate");
        };
        let tiers: Box<[_]> = pairs.iter().map(|&[start, rate]| (start, rate)).collect();
        if !tiers.is_sorted_by_key(|&(start, _)| start) {
            return Err("tiers out of order");
        }
        Ok(Self { base, tiers })
    }

    fn at(&self, total_input: u64) -> u64 {
        let tier = self.tiers.iter().rev().find(|&&(start, _)| total_input > start);
        tier.map_or(self.base, |&(_, rate)| rate)
    }
}

/// How many of a unit a rate is for.
const PER: u128 = 1_000_000;
/// Seconds in a day.
const DAY: u64 = 86_400;
