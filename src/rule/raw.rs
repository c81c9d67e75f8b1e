//! The shape of a budget, without a look at its values.

use core::fmt;

use jiff::civil::Weekday;
#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::hold::{RawHold, RawOutrun, RawTooLarge};
use crate::config::shape::{Object, Pairs, Texts, Whole, Word};
use crate::money::NanoUsd;
use crate::scope::Facet;

/// A budget as it is written, of whosever calls count.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRule {
    pub(crate) id: Option<String>,
    pub(crate) feature: Option<String>,
    #[serde(rename = "match")]
    pub(crate) matches: Option<Object<RawMatch>>,
    pub(crate) per: Option<Vec<Word<Facet>>>,
    pub(crate) limit: Object<RawLimit>,
    pub(crate) window: Option<Word<RawWindow>>,
    pub(crate) rolling: Option<String>,
    pub(crate) roll_over: Option<Object<RawLimit>>,
    pub(crate) anchor_day: Option<Whole>,
    pub(crate) anchor_month: Option<Whole>,
    pub(crate) week_begins: Option<Word<RawDay>>,
    pub(crate) warn_at: Option<Vec<Whole>>,
    #[serde(default)]
    pub(crate) action: RawAction,
    #[serde(default)]
    pub(crate) shadow: bool,
    pub(crate) hold: Option<Word<RawHold>>,
    pub(crate) too_large: Option<Word<RawTooLarge>>,
    pub(crate) outrun: Option<Word<RawOutrun>>,
    pub(crate) wait_ms: Option<Whole>,
}

/// Which calls count: each field is a name, a beginning and a `*`, or a list of such, of which one
/// must fit.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema), schemars(rename = "Match"))]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RawMatch {
    /// Of the tenant.
    pub(crate) tenant: Texts,
    /// Of the tenant's plan: in the quota service's `customers.yaml` only.
    pub(crate) plan: Texts,
    /// Of the feature.
    pub(crate) feature: Texts,
    /// Of the model that the call asks for, or was moved to.
    pub(crate) model: Texts,
    /// Of who serves it.
    pub(crate) provider: Texts,
    /// Of the key, or another name, by which the tenant is seen: in `customers.yaml` only.
    pub(crate) key: Texts,
}

/// An amount of what a budget counts, written as a limit is.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct RawAmount(pub(crate) Object<RawLimit>);

/// The most in a window: exactly one of these.
#[derive(Debug, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(JsonSchema),
    schemars(rename = "Limit", extend("oneOf" = [
        {"required": ["usd"]}, {"required": ["tokens"]}, {"required": ["input_tokens"]},
        {"required": ["output_tokens"]}, {"required": ["cache_read_tokens"]},
        {"required": ["cache_write_tokens"]}, {"required": ["reasoning_tokens"]},
        {"required": ["requests"]}, {"required": ["units"]}
    ]))
)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawLimit {
    /// US dollars.
    pub(crate) usd: Option<Dollars>,
    /// Tokens of prompts and answers.
    pub(crate) tokens: Option<Whole>,
    /// Tokens of prompts.
    pub(crate) input_tokens: Option<Whole>,
    /// Tokens of answers.
    pub(crate) output_tokens: Option<Whole>,
    /// Tokens of prompts that came from a cache.
    pub(crate) cache_read_tokens: Option<Whole>,
    /// Tokens of prompts that went into a cache.
    pub(crate) cache_write_tokens: Option<Whole>,
    /// Tokens of answers that were thought and not said.
    pub(crate) reasoning_tokens: Option<Whole>,
    /// Calls that were let through.
    pub(crate) requests: Option<Whole>,
    /// Calls that were answered with success.
    pub(crate) units: Option<Whole>,
}

/// How often a budget begins anew, by the clock and calendar of the time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema), schemars(rename = "Window"))]
#[serde(rename_all = "lowercase")]
pub(crate) enum RawWindow {
    /// Each minute of the clock.
    Minute,
    /// Each hour of the clock.
    Hour,
    /// At midnight.
    Day,
    /// At midnight of `week_begins`.
    Week,
    /// On `anchor_day` of each month.
    Month,
    /// On `anchor_day` of every third month, counted from `anchor_month`.
    Quarter,
    /// On `anchor_day` of `anchor_month`.
    Year,
    /// Never.
    Once,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema), schemars(rename = "Weekday"))]
#[serde(rename_all = "lowercase")]
pub(crate) enum RawDay {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl RawDay {
    pub(super) const fn weekday(self) -> Weekday {
        match self {
            Self::Monday => Weekday::Monday,
            Self::Tuesday => Weekday::Tuesday,
            Self::Wednesday => Weekday::Wednesday,
            Self::Thursday => Weekday::Thursday,
            Self::Friday => Weekday::Friday,
            Self::Saturday => Weekday::Saturday,
            Self::Sunday => Weekday::Sunday,
        }
    }
}

/// Dollars, written as text (`"0.0375"`) or as a number.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(untagged, expecting = "must be dollars, such as \"0.25\"")]
pub enum Dollars {
    /// Exact.
    Text(String),
    /// As exact as a double prints.
    Number(f64),
}

impl Dollars {
    /// The amount, if it is one.
    #[must_use]
    pub fn read(&self) -> Option<NanoUsd> {
        match self {
            Self::Text(text) => NanoUsd::from_dollars(text),
            // A double prints the shortest decimal that stands for it: what the operator wrote.
            Self::Number(number) => NanoUsd::from_dollars(&number.to_string()),
        }
    }
}

/// What happens at the limit.
#[derive(Debug)]
#[cfg_attr(feature = "schema", derive(JsonSchema), schemars(untagged, rename = "Action"))]
pub(crate) enum RawAction {
    /// In one word.
    Word(Written),
    /// With what belongs to it: exactly one of `refuse` and `downgrade`.
    Long(Object<RawLongAction>),
}

/// An action that needs nothing more.
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema), schemars(rename = "ActionWord"))]
#[serde(rename_all = "lowercase")]
pub(crate) enum Written {
    /// The call is refused with 429.
    Refuse,
    /// The call passes, with a warning.
    Warn,
}

/// An action, and what belongs to it.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema), schemars(rename = "LongAction"))]
#[serde(deny_unknown_fields)]
pub(crate) struct RawLongAction {
    /// The call is refused.
    pub(crate) refuse: Option<Object<RawRefuse>>,
    /// The call is sent to a cheaper model.
    pub(crate) downgrade: Option<Object<RawDowngrade>>,
}

/// How a call is refused.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema), schemars(rename = "Refuse"))]
#[serde(deny_unknown_fields)]
pub(crate) struct RawRefuse {
    /// 402, 403 or 429.
    #[serde(default = "too_many_requests")]
    pub(crate) status: Whole,
    /// The sentence for the client. `{used}`, `{limit}`, `{unit}`, `{window}`, `{resets_at}` and
    /// `{upgrade_url}` are filled in.
    #[serde(default)]
    pub(crate) message: String,
}

/// To which models calls are sent.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema), schemars(rename = "Downgrade"))]
#[serde(deny_unknown_fields)]
pub(crate) struct RawDowngrade {
    /// From the model asked for, or its beginning and a `*`, to the one that answers instead. Calls
    /// of other models are refused.
    #[cfg_attr(feature = "schema", schemars(with = "std::collections::BTreeMap<String, String>"))]
    pub(crate) models: Pairs<String>,
    /// The sentence for a client whose model is not named.
    #[serde(default)]
    pub(crate) message: String,
}

impl Default for RawAction {
    fn default() -> Self {
        Self::Word(Written::Warn)
    }
}

impl<'de> Deserialize<'de> for RawAction {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Either)
    }
}

struct Either;

impl<'de> Visitor<'de> for Either {
    type Value = RawAction;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`warn`, `refuse`, `{refuse: ..}` or `{downgrade: ..}`")
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<RawAction, E> {
        match word {
            "warn" => Ok(RawAction::Word(Written::Warn)),
            "refuse" => Ok(RawAction::Word(Written::Refuse)),
            _ => Err(E::invalid_value(de::Unexpected::Str(word), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawAction, A::Error> {
        let long = RawLongAction::deserialize(MapAccessDeserializer::new(map))?;
        Ok(RawAction::Long(Object(long)))
    }
}

const fn too_many_requests() -> Whole {
    Whole(429)
}
