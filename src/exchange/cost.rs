//! What a call that is over costs, and by whose word.

use crate::config::CostSource;
use crate::gate::Target;
use crate::money::NanoUsd;
use crate::price::{Cost, Prices, Tariff, Terms, is_fine_tuned};
use crate::provider::{Evidence, Reported};
use crate::record::{Amount, Price, SaidCost};

use super::seconds;

/// What decides about the cost of a call, beside what it used.
pub(super) struct Bill<'a> {
    pub(super) prices: &'a Prices,
    /// Whose word counts.
    pub(super) source: CostSource,
    pub(super) target: &'a Target,
    pub(super) began_ms: u64,
    pub(super) evidence: &'a Evidence,
}

impl Bill<'_> {
    /// What `amount` costs, and what the provider says of it. `models` are the one that answered
    /// and the one that was asked for, which counts where the other has no price and it has its own.
    pub(super) fn of(
        &self,
        amount: &Amount,
        models: [Option<&str>; 2],
    ) -> (Price, Option<SaidCost>) {
        let Some(known) = amount.known() else { return (Price::Nothing, None) };
        let listed = self.listed(known, models);
        let said = match amount {
            Amount::Reported(reported) => reported.provider_cost,
            Amount::Estimated(_) | Amount::Absent => None,
        };
        let price_said = || said.map(|cost| Price::Of(cost, PROVIDER.to_owned()));
        let first = match self.source {
            CostSource::Book => None,
            CostSource::Provider => price_said(),
        };
        let listed_cost = listed.as_ref().and_then(Price::known);
        let price = first.or(listed).or_else(price_said).or_else(|| self.fallback(known));
        let said = said.map(|cost| SaidCost { cost, listed: listed_cost });
        (price.unwrap_or(Price::Unpriced), said)
    }

    fn listed(&self, known: &Reported, [answered, asked]: [Option<&str>; 2]) -> Option<Price> {
        let prices = self.prices;
        let provider = &self.target.provider;
        let models = [answered, asked];
        let by_answer = answered.and_then(|model| {
            self.by_tariff(known, (model, models), prices.find(provider, model)?)
        });
        by_answer.or_else(|| {
            let model = asked.filter(|_| !answered.is_some_and(is_fine_tuned))?;
            self.by_tariff(known, (model, models), prices.find_asked(provider, model)?)
        })
    }

    /// What it costs at the prices of its model, and what other models did at theirs.
    fn by_tariff(
        &self,
        known: &Reported,
        (model, models): (&str, [Option<&str>; 2]),
        tariff: Tariff<'_>,
    ) -> Option<Price> {
        let (provider, terms) = (&self.target.provider, self.terms());
        let tariff = tariff.with(self.prices.multiplier(provider, models, &terms));
        let own = known.parts.iter().fold(known.usage, |own, part| own.without(&part.usage));
        let mut sum = tariff.cost(&own, &terms)?;
        for part in &known.parts {
            let model = part.model.as_deref().unwrap_or(model);
            let multiplier = self.prices.multiplier(provider, [Some(model), None], &terms);
            let other = self.prices.find(provider, model).map(|tariff| tariff.with(multiplier));
            let beside = other.and_then(|tariff| tariff.cost(&part.usage, &terms));
            sum.complete &= beside.is_some_and(|beside| beside.complete);
            sum.amount = sum.amount.plus(beside.map_or(NanoUsd::ZERO, |beside| beside.amount));
        }
        Some(priced(known, sum, tariff.charged_by()))
    }

    fn fallback(&self, known: &Reported) -> Option<Price> {
        let tariff = self.prices.fallback()?;
        let cost = tariff.cost(&known.usage, &self.terms())?;
        Some(priced(known, cost, tariff.version().to_owned()))
    }

    fn terms(&self) -> Terms<'_> {
        Terms {
            at: seconds(self.began_ms),
            service_tier: self.evidence.service_tier.as_deref(),
            speed: self.evidence.speed.as_deref(),
            geo: self.evidence.geo.as_deref(),
            region: self.target.region.as_deref(),
            search_context: self.evidence.search_context.as_deref(),
            search_type: self.evidence.search_type.as_deref(),
            ..Terms::default()
        }
    }
}

const fn priced(known: &Reported, cost: Cost, version: String) -> Price {
    match cost.complete && !known.partial {
        true => Price::Of(cost.amount, version),
        false => Price::AtLeast(cost.amount, version),
    }
}

/// Stands for the version of the prices where the provider's own word counts.
const PROVIDER: &str = "provider";
