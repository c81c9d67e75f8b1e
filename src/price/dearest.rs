//! The most that tokens of a model can cost, on whatever terms the call is served.
//!
//! A promise that nothing is overspent must hold before it is known whether a prompt is read from
//! a cache or written to one, which class of service answers, and how long the prompt is. So the
//! dearest rate of all of them counts, for every token.

use super::rate::{PER_MILLION, Priced};
use super::{Tariff, Terms};
use crate::money::NanoUsd;
use crate::usage::Side;

/// The dearest rates of a model at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dearest {
    /// Of a token of the prompt, in fine parts of nano-dollars a million.
    input: u128,
    /// Of a token of the answer; `None` where it has none.
    output: Option<u128>,
    /// Of the call itself.
    request: u128,
}

impl Dearest {
    pub(super) fn of(tariff: &Tariff<'_>, terms: &Terms<'_>) -> Option<Self> {
        let (model, region) = (tariff.model, terms.region);
        let among = |counts: &dyn Fn(Priced) -> bool| {
            let rate = model.dearest(terms.at, region, counts)?;
            Some(tariff.times().at_most(rate))
        };
        let tokens = model.most(region, tariff.sold);
        let side = |of: fn(Side) -> bool| {
            among(&move |priced| match priced {
                Priced::Unit(unit) => of(unit.side()),
                Priced::Request => false,
            })
        };
        let prompt = |side| matches!(side, Side::Input | Side::CacheRead | Side::CacheWrite);
        Some(Self {
            input: tokens.at_most(side(prompt)?),
            output: side(|side| side == Side::Output).map(|rate| tokens.at_most(rate)),
            request: among(&|priced| priced == Priced::Request).unwrap_or(0),
        })
    }

    /// The most that so many tokens of a prompt and of answers can cost, rounded up; `None` where
    /// there are answers that have no price. What is too much to write down is the most there is.
    #[must_use]
    pub fn cost(&self, input: u64, output: u64) -> Option<NanoUsd> {
        let rate = match self.output {
            Some(rate) => rate,
            None if output == 0 => 0,
            None => return None,
        };
        let prompt = self.input.saturating_mul(input.into());
        let answers = rate.saturating_mul(output.into());
        let sum = prompt.saturating_add(answers).saturating_add(self.request);
        let nanos = sum.div_ceil(PER_MILLION);
        Some(NanoUsd::new(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}
