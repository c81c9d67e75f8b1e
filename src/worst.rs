//! The most that a call can come to: what a firm budget holds for it.
//!
//! A prompt has at most one token for each byte of the request, and three for a byte that is not
//! ASCII, because some tokenizers compose characters anew (Unicode's NFC makes at most three bytes
//! of one); and what a provider puts around it. If the request refers to content that it does not carry,
//! the model's context window bounds it. What neither bounds has no bound, and must not pass where
//! nothing may be overspent: a guess here would be a promise that nobody keeps.

mod grammar;
mod survey;

use crate::budget::{Demand, Expected};
use crate::config::CostSource;
use crate::price::{Tariff, Terms};
use crate::provider::{Api, Shape};

pub use survey::{Survey, survey};

/// Why no bound can be given for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unbounded {
    /// Its API is not one of those whose requests are understood in full.
    Api,
    /// The request is not one JSON document.
    NotJson,
    /// Its coding cannot be taken off, or leaves more than may be held.
    Coding,
    /// It has something that may change what is done or charged, and is not known here.
    Parameter,
    /// It lets the provider's own tools run, as often as they like.
    Tools,
    /// It names no maximum for its answer, or refers to content it does not carry, and the book
    /// does not know how much the model takes.
    Window,
    /// Its model has no price.
    Unpriced,
    /// Envoy may send it again, and nobody has said how often.
    Retries,
    /// The provider's own word about the cost counts.
    Provider,
}

impl Unbounded {
    /// The reason, for people.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Api => "calls of this kind have no upper bound",
            Self::NotJson => "the request is not one JSON document",
            Self::Coding => "the request's content coding cannot be read, or leaves too much",
            Self::Parameter => "the request has parameters that this gateway does not know",
            Self::Tools => "the request lets the provider run tools of its own",
            Self::Window => {
                "the request names no largest answer, or refers to content that it does not carry, and the model's limits are not known"
            }
            Self::Unpriced => "the model has no known price",
            Self::Retries => "the gateway may send the request more than once",
            Self::Provider => "the provider says the cost afterwards",
        }
    }
}

/// What decides about the most that a call can come to, beside its request.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// Which call it is.
    pub api: Api,
    /// Who serves it.
    pub provider: &'a str,
    /// The model that it asks for.
    pub model: Option<&'a str>,
    /// What that costs.
    pub tariff: Option<Tariff<'a>>,
    /// How often Envoy sends it at most, if that is known.
    pub attempts: Option<u64>,
    /// Whose word about the cost counts.
    pub cost_source: CostSource,
    /// When it began and where it goes.
    pub terms: Terms<'a>,
}

/// The most that a request that was looked through can come to.
///
/// # Errors
///
/// Returns why there is no bound.
pub fn demand(
    survey: &Result<Survey, Unbounded>,
    around: &Circumstances<'_>,
) -> Result<Demand, Unbounded> {
    let survey = survey.as_ref().map_err(|why| *why)?;
    if around.cost_source == CostSource::Provider {
        return Err(Unbounded::Provider);
    }
    let model = around.model.unwrap_or_default();
    if around.provider == SEARCHER || AGENTS.iter().any(|agent| model.contains(agent)) {
        return Err(Unbounded::Tools);
    }
    let attempts = around.attempts.ok_or(Unbounded::Retries)?;
    let tariff = around.tariff.ok_or(Unbounded::Unpriced)?;
    let dearest = tariff.dearest(&around.terms).ok_or(Unbounded::Unpriced)?;
    let window = tariff.context_window().map(|window| match around.api.shape() {
        // A header of the client may ask for the long window of a model that has two.
        Shape::Anthropic => window.max(LONG_WINDOW),
        _ => window,
    });
    let input = match survey.refers {
        true => window.ok_or(Unbounded::Window)?,
        false => survey.tokens(),
    };
    let output = match survey.output {
        _ if !around.api.writes() => 0,
        Some(most) => most,
        None => window.ok_or(Unbounded::Window)?,
    };
    let expected = |output: u64| {
        let output = output.saturating_mul(survey.choices);
        let cost = dearest.cost(input, output).ok_or(Unbounded::Unpriced)?;
        let (nanos, tokens) = (cost.nanos(), input.saturating_add(output));
        Ok(Expected {
            nano_usd: nanos.saturating_mul(attempts),
            tokens: tokens.saturating_mul(attempts),
            output: output.saturating_mul(attempts),
        })
    };
    Ok(Demand { most: expected(output)?, least: expected(0)?, output })
}

/// Who searches the web with every call.
const SEARCHER: &str = "perplexity";
/// Models that run tools unasked.
const AGENTS: [&str; 4] = ["search", "deep-research", "compound", "agent"];
/// The longest context window of a model that has two.
const LONG_WINDOW: u64 = 1_000_000;

#[cfg(test)]
mod tests;
