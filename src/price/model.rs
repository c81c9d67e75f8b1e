//! One model's rates: by unit, by size of the prompt, by date and by terms of service.
//!
//! The rules are those of genai-prices, so that both compute the same cost from the same data: the
//! last dated price that is active holds, else the first; the first variant whose terms are met
//! replaces single rates of it; a tier applies to the whole call once its total input is above the
//! tier's start.

use serde::Deserialize;

use super::clause::Clause;
use super::rate::{Priced, Rate, Rates, Sum};
use super::surcharge::Surcharge;
use super::terms::{Terms, When};
use super::times::Times;
use super::{Cost, Sold};
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
    /// The least that is charged of a unit, if anything is.
    least: Option<Least>,
    prices: Box<[Dated]>,
    #[serde(default)]
    variants: Box<[Variant]>,
    /// Of several that hold the first counts.
    #[serde(default)]
    surcharges: Box<[Surcharge]>,
}

impl Model {
    /// A model that always has the same rates.
    pub(super) fn with_rates(id: &str, rates: &[(Priced, NanoUsd)]) -> Self {
        Self {
            id: id.into(),
            clause: Clause::Equals(id.into()),
            context_window: None,
            closed: None,
            least: None,
            prices: [Dated { active: None, rates: Rates::flat(rates) }].into(),
            variants: Box::default(),
            surcharges: Box::default(),
        }
    }

    /// Whether anything has a price at `at`.
    pub(super) fn is_priced(&self, at: u64) -> bool {
        !self.is_closed(at) && self.standard(at).is_some_and(|dated| !dated.rates.is_empty())
    }

    /// What `usage` costs on `terms`, as far as they count where it is `sold`, `times` over.
    ///
    /// `None` where a token has no rate, or nothing used has one.
    pub(super) fn cost(
        &self,
        usage: &Usage,
        terms: &Terms<'_>,
        (sold, times): (Sold<'_>, Times),
    ) -> Option<Cost> {
        if self.is_closed(terms.at) {
            return None;
        }
        let total_input = usage.input_tokens();
        let (mut sum, mut priced, mut missing) = (Sum::default(), false, false);
        let request = [(Priced::Request, 1)];
        let leaves = usage.leaves().map(|(unit, n)| (Priced::Unit(unit), self.charged(unit, n)));
        for (item, quantity) in leaves.chain(request) {
            match (self.rate(item, terms, sold), item) {
                (Some(rate), _) => {
                    priced = true;
                    sum.add(item, quantity, rate, total_input);
                }
                (None, Priced::Request) => {}
                (None, Priced::Unit(unit)) if unit.side() != Side::Item => return None,
                (None, Priced::Unit(_)) => missing = true,
            }
        }
        let here = Surcharge::of(&self.surcharges, terms, sold);
        let complete = !missing && !self.is_too_cheap(terms, sold) && here.is_some();
        let amount = || sum.rounded(here.unwrap_or(Times::ONE), times);
        (priced || !missing).then(|| Cost { amount: amount(), complete })
    }

    /// The dearest rate at `at` in `region`, on whatever terms, of what counts.
    #[inline(never)]
    pub(super) fn dearest(
        &self,
        at: u64,
        region: Option<&str>,
        counts: &dyn Fn(Priced) -> bool,
    ) -> Option<u128> {
        if self.is_closed(at) {
            return None;
        }
        let standard = self.standard(at).and_then(|dated| dated.rates.dearest(counts));
        let may = |v: &&Variant| is_active(v.active, at) && v.when.may_be_in(region);
        let variants = self.variants.iter().filter(may);
        variants.filter_map(|variant| variant.rates.dearest(counts)).chain(standard).max()
    }

    /// The most that its tokens are charged at in `region`.
    pub(super) fn most(&self, region: Option<&str>, sold: Sold<'_>) -> Times {
        Surcharge::most(&self.surcharges, region, sold)
    }

    fn charged(&self, unit: Unit, quantity: u64) -> u64 {
        match &self.least {
            Some(Least(label, least)) if **label == *unit.label() => quantity.max(*least),
            _ => quantity,
        }
    }

    /// Whether the call was served on dear terms that have no rates here.
    fn is_too_cheap(&self, terms: &Terms<'_>, sold: Sold<'_>) -> bool {
        terms.are_dearer()
            && match sold {
                Sold::Contract => false,
                Sold::Resold(_) => true,
                Sold::Own => !self.variants(terms, sold).any(|v| v.when.is_of_tier()),
            }
    }

    fn rate(&self, item: Priced, terms: &Terms<'_>, sold: Sold<'_>) -> Option<&Rate> {
        let standard = self.standard(terms.at)?;
        let of = |item| {
            let variant = self.variants(terms, sold).find_map(|v| v.rates.of(item));
            variant.or_else(|| standard.rates.of(item))
        };
        match item {
            Priced::Request => of(item),
            Priced::Unit(unit) => chain(unit).iter().find_map(|&unit| of(Priced::Unit(unit))),
        }
    }

    /// The rates that replace the standard ones, the first that has one first.
    fn variants(&self, terms: &Terms<'_>, sold: Sold<'_>) -> impl Iterator<Item = &Variant> {
        let met = move |v: &&Variant| {
            sold == Sold::Own && is_active(v.active, terms.at) && v.when.is(terms)
        };
        self.variants.iter().filter(met)
    }

    fn is_closed(&self, at: u64) -> bool {
        self.closed.is_some_and(|end| at >= end)
    }

    fn standard(&self, at: u64) -> Option<&Dated> {
        self.prices.iter().rev().find(|p| is_active(p.active, at)).or_else(|| self.prices.first())
    }
}

/// A unit and how much of it is charged at least.
#[derive(Debug, Deserialize)]
struct Least(Box<str>, u64);

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
    Daily((u64, u64)),
    /// The same from Monday to Friday, of windows that do not reach into another day.
    Workdays((u64, u64)),
    /// From one second since 1970 to before another.
    Between((u64, u64)),
}

#[inline(never)]
fn is_active(active: Option<Active>, at: u64) -> bool {
    let second = at % DAY;
    match active {
        None => true,
        Some(Active::From(start)) => at >= start,
        Some(Active::Workdays((start, end))) => (start..end).contains(&second) && is_workday(at),
        Some(Active::Between((start, end))) => (start..end).contains(&at),
        Some(Active::Daily((start, end))) if end < start => second >= start || second < end,
        Some(Active::Daily((start, end))) => (start..end).contains(&second),
    }
}

/// Whether the UTC day of `at` is none of a weekend: 1970 began with a Thursday.
const fn is_workday(at: u64) -> bool {
    !matches!(at / DAY % 7, 2 | 3)
}

/// Seconds in a day.
const DAY: u64 = 86_400;
