//! Rates: what a measure of each unit costs, by the size of the prompt.

use core::fmt;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

use super::times::Times;
use crate::money::NanoUsd;
use crate::usage::{Side, Unit};

/// Something with a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priced {
    /// A quantity of the usage.
    Unit(Unit),
    /// The call itself, once.
    Request,
}

impl Priced {
    /// Everything that can have a rate.
    pub fn all() -> impl Iterator<Item = Self> {
        Unit::ALL.into_iter().map(Self::Unit).chain([Self::Request])
    }

    /// The name in books and configurations.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unit(unit) => unit.label(),
            Self::Request => "request",
        }
    }

    /// What `label` stands for.
    #[must_use]
    pub fn named(label: &str) -> Option<Self> {
        Self::all().find(|priced| priced.label() == label)
    }

    /// Whether it is counted in tokens.
    pub(super) const fn is_token(self) -> bool {
        match self {
            Self::Unit(unit) => !matches!(unit.side(), Side::Item),
            Self::Request => false,
        }
    }

    /// How many times [`COMMON`] the measure is that a rate is for: a million, or an hour of audio.
    const fn share(self) -> u128 {
        match self {
            Self::Unit(Unit::AudioMilli) => COMMON / HOUR,
            Self::Unit(_) | Self::Request => COMMON / MILLION,
        }
    }
}

/// The rates of a model at one time and on some terms.
#[derive(Debug, Deserialize)]
#[serde(try_from = "BTreeMap<Box<str>, Vec<Number>>")]
pub(super) struct Rates(Box<[(Priced, Rate)]>);

impl Rates {
    /// Rates that do not depend on the size of the prompt, in nano-dollars per measure.
    pub(super) fn flat(rates: &[(Priced, NanoUsd)]) -> Self {
        let flat = |&(priced, nanos): &(Priced, NanoUsd)| {
            (priced, Rate { base: Number::whole(nanos.nanos()), tiers: Box::default() })
        };
        Self(rates.iter().map(flat).collect())
    }

    pub(super) fn of(&self, priced: Priced) -> Option<&Rate> {
        self.0.iter().find(|(p, _)| *p == priced).map(|(_, rate)| rate)
    }

    /// The dearest rate of those that count.
    pub(super) fn dearest(&self, counts: &dyn Fn(Priced) -> bool) -> Option<u128> {
        let counting = self.0.iter().filter(|(priced, _)| counts(*priced));
        counting.map(|(_, rate)| rate.dearest()).max()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<BTreeMap<Box<str>, Vec<Number>>> for Rates {
    type Error = &'static str;

    fn try_from(raw: BTreeMap<Box<str>, Vec<Number>>) -> Result<Self, Self::Error> {
        let rate = |(label, numbers): (Box<str>, Vec<Number>)| {
            Ok((Priced::named(&label).ok_or("a rate of an unknown unit")?, Rate::read(&numbers)?))
        };
        raw.into_iter().map(rate).collect::<Result<_, _>>().map(Self)
    }
}

/// What a measure of something costs.
#[derive(Debug)]
pub(super) struct Rate {
    base: Number,
    /// Total input above which a rate holds, and that rate; ascending.
    tiers: Box<[(u64, Number)]>,
}

impl Rate {
    fn read(numbers: &[Number]) -> Result<Self, &'static str> {
        let (&base, tiers) = numbers.split_first().ok_or("a rate without a number")?;
        let (pairs, []) = tiers.as_chunks::<2>() else {
            return Err("a tier without a rate");
        };
        let tier = |&[start, rate]: &[Number; 2]| Some((start.as_whole()?, rate));
        let tiers: Option<Box<[_]>> = pairs.iter().map(tier).collect();
        let tiers = tiers.ok_or("a tier that starts at no whole number")?;
        if !tiers.is_sorted_by_key(|&(start, _)| start) {
            return Err("tiers out of order");
        }
        Ok(Self { base, tiers })
    }

    /// The dearest rate, whatever the size of the prompt.
    pub(super) fn dearest(&self) -> u128 {
        self.tiers.iter().fold(self.base.0, |most, (_, rate)| most.max(rate.0))
    }

    const fn at(&self, total_input: u64) -> Number {
        let mut rate = self.base;
        let mut rest: &[(u64, Number)] = &self.tiers;
        while let [(start, next), tail @ ..] = rest {
            if total_input > *start {
                rate = *next;
            }
            rest = tail;
        }
        rate
    }
}

/// An exact sum of money, finer than it is ever charged.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    tokens: u128,
    others: u128,
}

impl Sum {
    /// Adds `quantity` at `rate`, for a call with `total_input`.
    pub(super) const fn add(&mut self, priced: Priced, quantity: u64, rate: &Rate, total: u64) {
        let price = (quantity as u128).saturating_mul(rate.at(total).0);
        let sum = if priced.is_token() { &mut self.tokens } else { &mut self.others };
        *sum = sum.saturating_add(price.saturating_mul(priced.share()));
    }

    /// `all` times the sum, and of that `tokens` times its tokens. Half a nano-dollar and more counts
    /// as a whole one; too much to write down, as the most.
    pub(super) fn rounded(self, tokens: Times, all: Times) -> NanoUsd {
        let [by_tokens, once] = [tokens, Times::ONE].map(Times::millionths);
        let all = all.millionths();
        let weighed = |of: fn(u128) -> u128| {
            let tokens = of(self.tokens).saturating_mul(by_tokens);
            tokens.saturating_add(of(self.others).saturating_mul(once)).saturating_mul(all)
        };
        // Wholes and rests apart, because together they may be more than there is room for.
        let rests = weighed(|sum| sum % PER_NANO) / PER_NANO;
        let parts = weighed(|sum| sum / PER_NANO).saturating_add(rests);
        let nanos = parts.saturating_add(PARTS / 2) / PARTS;
        NanoUsd::new(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// Billionths of nano-dollars: in books a number of nano-dollars, or a text where that has decimals.
#[derive(Clone, Copy, Debug)]
struct Number(u128);

impl Number {
    const fn whole(nanos: u64) -> Self {
        Self((nanos as u128).saturating_mul(FINE))
    }

    fn as_whole(self) -> Option<u64> {
        u64::try_from(self.0 / FINE).ok().filter(|_| self.0.is_multiple_of(FINE))
    }

    fn from_text(text: &str) -> Option<Self> {
        let (whole, decimals) = text.split_once('.')?;
        let missing = u32::try_from(DECIMALS.checked_sub(decimals.len())?).ok()?;
        let fraction = decimals.parse::<u64>().ok()?;
        let fraction = u128::from(fraction).checked_mul(10_u128.checked_pow(missing)?)?;
        Some(Self(Self::whole(whole.parse().ok()?).0.saturating_add(fraction)))
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Numbers)
    }
}

struct Numbers;

impl Visitor<'_> for Numbers {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nano-dollars, as text with at most nine decimals if they are not whole")
    }

    fn visit_u64<E: Error>(self, nanos: u64) -> Result<Number, E> {
        Ok(Number::whole(nanos))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
        Number::from_text(text).ok_or_else(|| E::custom("no number of nano-dollars"))
    }
}

/// How many of a unit a rate is for.
const MILLION: u128 = 1_000_000;
/// The same for audio, whose prices per hour have no end in milliseconds.
const HOUR: u128 = 3_600_000;
/// The smallest multiple of both.
const COMMON: u128 = 18_000_000;
/// Parts of a nano-dollar in which rates are kept: some sellers quote twelfths of a dollar.
const FINE: u128 = 1_000_000_000;
/// Parts of a rate for a million that are a nano-dollar for one.
pub(super) const PER_MILLION: u128 = MILLION * FINE;
/// Decimals that these can hold.
const DECIMALS: usize = 9;
/// Parts of a [`Sum`] that are a nano-dollar.
const PER_NANO: u128 = COMMON * FINE;
/// Parts of a nano-dollar that are left when it was multiplied twice, by millionths.
const PARTS: u128 = MILLION * MILLION;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_exactly_or_not_at_all() {
        #[rustfmt::skip]
        let cases = [
            ("7",                     Some(7_000_000_000)),
            ("\"83333333.33333334\"", Some(83_333_333_333_333_340)),
            ("\"0.000000001\"",       Some(1)),
            ("\"0.0000000001\"",      None),
            ("\"7\"",                 None),
            ("\"7.\"",                None),
            ("\".7\"",                None),
            ("\"-7.0\"",              None),
            ("7.5",                   None),
            ("-7",                    None),
        ];
        for (text, number) in cases {
            let read = serde_json::from_str::<Number>(text).ok();
            assert_eq!(read.map(|number| number.0), number, "{text}");
        }
    }

    #[test]
    fn audio_is_priced_by_the_hour_and_all_else_by_the_million() {
        let rate = |nanos| Rate { base: Number::whole(nanos), tiers: Box::default() };
        let price = |unit, quantity, nanos| {
            let mut sum = Sum::default();
            sum.add(Priced::Unit(unit), quantity, &rate(nanos), 0);
            sum.rounded(Times::ONE, Times::ONE).nanos()
        };
        assert_eq!(price(Unit::AudioMilli, 3_600_000, 111_000_000), 111_000_000);
        assert_eq!(price(Unit::AudioMilli, 10_000, 111_000_000), 308_333);
        assert_eq!(price(Unit::Page, 3, 4_000_000_000_000), 12_000_000);
    }
}
