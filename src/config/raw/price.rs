//! What operators write about prices.

#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::shape::{Object, Pairs, Word};
#[cfg(feature = "schema")]
use crate::price::Priced;
use crate::rule::Dollars;

/// The price of one model, or of all whose names begin alike.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema), schemars(rename = "Price"))]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawPrice {
    /// The provider for which it holds; every provider if absent.
    pub(in crate::config) provider: Option<String>,
    /// The model's name; `name*` means all that begin with `name`.
    pub(in crate::config) model: String,
    /// Dollars per million units, by unit; of `audio_ms`, dollars per hour.
    #[cfg_attr(feature = "schema", schemars(schema_with = "rates"))]
    pub(in crate::config) rates: Pairs<Dollars>,
}

/// The schema of the rates: one optional member per unit.
#[cfg(feature = "schema")]
fn rates(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let dollars = generator.subschema_for::<Dollars>();
    let members: serde_json::Map<_, _> = Priced::all()
        .map(|priced| (priced.label().to_owned(), dollars.clone().to_value()))
        .collect();
    schemars::json_schema!({
        "type": "object",
        "properties": members,
        "additionalProperties": false,
        "minProperties": 1
    })
}

/// The operator's own name for a model, or for all whose names begin alike.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema), schemars(rename = "Model"))]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawModel {
    /// The provider at which it has this name; every provider if absent.
    pub(in crate::config) provider: Option<String>,
    /// The name; `name*` means all that begin with `name`.
    pub(in crate::config) model: String,
    /// The provider and the model whose price it has, such as `openai/gpt-5`.
    #[serde(rename = "as")]
    pub(in crate::config) priced_as: String,
}

// It is read as pairs, which takes less of the filter.
/// How many times the book's prices are charged for some calls.
#[cfg(feature = "schema")]
#[derive(JsonSchema)]
#[schemars(rename = "Multiplier", deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
pub(in crate::config) struct RawMultiplier {
    /// The provider for which it holds; every provider if absent.
    provider: Option<String>,
    /// The model's name; `name*` means all that begin with `name`.
    model: String,
    /// The region for which it holds, instead of what the book says of that; every region, and
    /// beside what the book says, if absent.
    region: Option<String>,
    /// The first day of calls for which it holds, in UTC: `2027-01-01`. Always if absent.
    from: Option<String>,
    /// A decimal such as `"0.9"`, above 0, at most 1000, with at most six decimals.
    times: String,
}

/// What becomes of a call whose model has no price.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema), schemars(rename = "Unpriced"))]
#[serde(untagged, expecting = "must be \"pass\", \"refuse\" or an object with only `rates`")]
pub(in crate::config) enum RawUnpriced {
    /// As one word says.
    Word(Word<RawUnpricedWord>),
    /// It has these prices.
    Fallback(Object<RawFallback>),
}

impl Default for RawUnpriced {
    fn default() -> Self {
        Self::Word(Word::default())
    }
}

/// What becomes of a call whose model has no price, in one word.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema), schemars(rename = "UnpricedWord"))]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum RawUnpricedWord {
    /// It passes, and its cost is unknown.
    #[default]
    Pass,
    /// It is answered with 403 before it costs anything.
    Refuse,
}

/// The prices of all that has no other.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema), schemars(rename = "Fallback"))]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawFallback {
    /// Dollars per million units, by unit; of `audio_ms`, dollars per hour.
    #[cfg_attr(feature = "schema", schemars(schema_with = "rates"))]
    pub(in crate::config) rates: Pairs<Dollars>,
}

/// Which cost counts where the provider says one.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema), schemars(rename = "CostSource"))]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum RawCostSource {
    /// The one by the prices.
    #[default]
    Book,
    /// The one that it says.
    Provider,
}
