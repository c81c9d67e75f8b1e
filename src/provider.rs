//! What the providers send, and what it means.
//!
//! [`route`] tells which of them a call is for, [`Answer`] reads what comes back. A reader reports
//! usage and never knows what it costs. It takes bytes as they come, keeps a bounded part of them,
//! and its result does not depend on where they were cut.

mod answer;
mod anthropic;
mod api;
mod bedrock;
mod cohere;
mod cost;
mod count;
mod dialect;
mod frames;
mod google;
mod host;
mod local;
mod openai;
mod region;
mod responses;
mod route;

pub use answer::{Answer, Evidence, Places, Trouble};
pub use api::{Api, Shape};
pub use host::{needs_usage_option, provider_at};
pub use region::{is_region, region_at};
pub use route::{Route, route, with_model};

use serde_json::Value;

use crate::money::NanoUsd;
use crate::usage::{Part, Usage};

/// The count that a JSON value stands for, in whatever way it is written; `None` where it is none.
#[must_use]
pub fn count(value: &Value) -> Option<u64> {
    count::read(value).and_then(|count| u64::try_from(count).ok())
}

/// Usage as a provider reported it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// The quantities, of all models together.
    pub usage: Usage,
    /// What of that is charged at the prices of other models than the one that answered.
    pub parts: Vec<Part>,
    /// Tokens of the prompt that stand in two leaves: read from a cache and written to it again,
    /// and charged for both.
    pub overlap: u64,
    /// Whether the provider does not say it, and it follows from what it sent, such as pictures.
    pub inferred: bool,
    /// Whether parts were larger than their whole, and were clamped.
    pub inconsistent: bool,
    /// Whether a count was negative, or larger than any call can have: none of it is believed.
    pub absurd: bool,
    /// Whether something is charged for that these quantities do not have.
    pub partial: bool,
    /// What the provider itself says that the call cost.
    pub provider_cost: Option<NanoUsd>,
    /// Whether it does not say how long the prompt was, and says all else.
    pub prompt_unknown: bool,
}

impl Reported {
    /// All tokens of the prompt, each counted once.
    #[must_use]
    pub fn input_tokens(&self) -> u64 {
        self.usage.input_tokens().saturating_sub(self.overlap)
    }
}
