//! The plugin configuration, checked once at load.
//!
//! `Raw` is the JSON as the operator wrote it; [`Config`] is what the rest of the crate sees. The
//! only way from one to the other is [`Config::parse`], so a value that exists is a value that
//! holds. What cannot be used is refused with the path of the field and what it must be.

use core::fmt;
use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use crate::{
    price::{Priced, Times},
    rule::Rule,
    who::Source,
};

mod error;
mod log_field;
mod raw;
mod rule;
pub(crate) mod shape;
mod validate;
mod wire;

pub use self::{
    error::{ConfigError, Fault},
    log_field::LogField,
    rule::{By, Family, HostPattern, PathPattern, ProviderRule, Reads},
};

/// What the operator wants.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where the tenant's name stands, most trusted first. Default: nowhere.
    pub tenant: Vec<Source>,
    /// Where the name of the calling feature stands. Default: nowhere.
    pub feature: Vec<Source>,
    /// Where the name of the end user stands. Default: nowhere.
    pub user: Vec<Source>,
    /// Where the id of what calls are for stands, of the plan's own unit. Default: nowhere.
    pub unit: Vec<Source>,
    /// What becomes of a call without a tenant. Default: it counts for the tenant `anonymous`.
    pub anonymous: Anonymous,
    /// Request headers to remove before the upstream, in lower case. Default: none.
    pub strip: Vec<String>,
    /// Whether request headers are held until the body has been read. Default: no.
    pub hold_headers: bool,
    /// Bytes of a request body that may be held: 1,024 to 64 MiB. Default: 1,000,000.
    pub max_buffered: usize,
    /// Whether OpenAI's streams are asked for usage that their clients did not ask for. Default: yes.
    pub include_usage: bool,
    /// The fields written for the access log, in their own order. Default: all.
    pub access_log: Vec<LogField>,
    /// What is counted.
    pub metrics: Metrics,
    /// The quota service, if there is one. Default: none.
    pub service: Option<Service>,
    /// Budgets that are kept without a service: there are none beside one. Default: none.
    pub budgets: Vec<OwnBudget>,
    /// Where the days of these budgets begin. Default: UTC.
    pub time_zone: TimeZone,
    /// Who answers where; the first rule that applies wins. Default: none.
    pub providers: Vec<ProviderRule>,
    /// Prices that count for more than the built-in ones. Default: none.
    pub prices: Vec<PriceOverride>,
    /// Names under which the operator has other models; the first that applies wins. Default: none.
    pub models: Vec<ModelAlias>,
    /// How many times the book's prices are charged for some calls; the first that holds wins.
    /// Default: once.
    pub multipliers: Vec<PriceMultiplier>,
    /// What becomes of a call whose model has no price. Default: it passes.
    pub unpriced: Unpriced,
    /// Which cost counts where the provider says one. Default: the one by the prices.
    pub cost_source: CostSource,
    /// How often Envoy may send one call upstream. Default: as its own routes say.
    pub max_attempts: Option<u32>,
    /// What clients are told in headers. Default: nothing.
    pub tell: Tell,
}

/// What clients are told in headers of their answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tell {
    /// What is left of the budget that is nearest to its limit.
    pub remaining: bool,
    /// What is held for the call.
    pub cost: bool,
}

/// What becomes of a call of which no tenant is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Anonymous {
    /// It counts for this tenant.
    Tenant(String),
    /// It is answered with 401.
    Refuse,
}

/// The quota service, and what happens when it is away.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Service {
    /// The cluster of Envoy's configuration that it is.
    pub cluster: String,
    /// The `:authority` of what is sent to it. Default: the cluster's name.
    pub host: String,
    /// The secret that is sent with it, where Envoy does not add one. Default: none.
    pub secret: Option<String>,
    /// For how long an answer is waited for, in milliseconds: 1 to 10,000. Default: 200.
    pub timeout_ms: u32,
    /// How often calls are reported, in milliseconds: 100 to 60,000. Default: 1,000.
    pub sync_ms: u32,
    /// What becomes of calls that cannot be decided without it. Default: they pass.
    pub on_failure: OnFailure,
    /// What becomes of calls of tenants that it does not know. Default: they pass.
    pub unknown: Unknown,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The secret is for Envoy and the service alone.
        f.debug_struct("Service").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

/// What becomes of a call that cannot be decided because the service is away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// It passes, and is booked as not covered by a lease.
    #[default]
    Allow,
    /// It is refused with 503.
    Refuse,
}

/// What becomes of a call of a tenant that the service does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unknown {
    /// It passes, and counts as anonymous.
    #[default]
    Allow,
    /// It is refused with 403.
    Refuse,
}

/// What is counted, and how finely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Whether there are metrics at all. Default: yes.
    pub enabled: bool,
    /// Time series in all: 100 to 1,000,000. Default: 10,000.
    pub max_series: usize,
    /// Values of the label `tenant`: 1 to 1,000,000. Default: 1,000.
    pub max_tenants: usize,
    /// Values of the label `feature`: 1 to 1,000,000. Default: 100.
    pub max_features: usize,
    /// Values of the label `model`: 1 to 1,000,000. Default: 200.
    pub max_models: usize,
}

/// The price of one model, or of all whose names begin alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceOverride {
    /// The provider for which it holds, or `None` for all.
    pub provider: Option<String>,
    /// The model's name, or its beginning and a `*`.
    pub model: String,
    /// Nano-dollars per million units, or per hour of audio. There is at least one.
    pub rates: BTreeMap<Priced, u64>,
}

/// How many times the book's prices are charged for some calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceMultiplier {
    /// The provider for which it holds, or `None` for all.
    pub provider: Option<String>,
    /// The model's name, or its beginning and a `*`.
    pub model: String,
    /// The region for which it holds, or `None` for all.
    pub region: Option<String>,
    /// The first second since 1970 UTC of calls for which it holds.
    pub from: u64,
    /// How many times.
    pub times: Times,
}

/// A budget that stands in the configuration, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnBudget {
    /// Whose calls count.
    pub whose: Whose,
    /// How much they may use, and what happens then.
    pub rule: Rule,
    /// How its `units` are called in front of people, or nothing.
    pub unit_name: String,
    /// Where more can be bought, or nothing.
    pub upgrade_url: String,
}

impl OwnBudget {
    /// The tenant that it names, if it names one.
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        match &self.whose {
            Whose::Tenant(name) => Some(name),
            Whose::All | Whose::Each => None,
        }
    }
}

/// Whose calls count against a budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// All calls, together.
    All,
    /// Each tenant's by themselves.
    Each,
    /// This tenant's.
    Tenant(String),
}

/// The operator's own name for a model, or for all whose names begin alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelAlias {
    /// The provider at which it has this name, or `None` for all.
    pub provider: Option<String>,
    /// The name, or its beginning and a `*`.
    pub model: String,
    /// The provider and the model whose price it has.
    pub priced_as: (String, String),
}

/// What becomes of a call whose model has no price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unpriced {
    /// It passes, and its cost is unknown.
    Pass,
    /// It is answered with 403 before it costs anything.
    Refuse,
    /// It has these prices, in nano-dollars per million units, or per hour of audio.
    Fallback(BTreeMap<Priced, u64>),
}

/// Which cost of a call counts, where its provider says one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CostSource {
    /// The one by the prices.
    Book,
    /// The one that it says.
    Provider,
}

impl Config {
    /// Reads the configuration from JSON, or from a serialised `google.protobuf.Struct`. No bytes
    /// at all mean the default configuration.
    ///
    /// # Errors
    ///
    /// Returns what is wrong: the first fault if the text is not JSON of the expected shape, else
    /// all faults of the values.
    pub fn parse(json: &[u8]) -> Result<Self, ConfigError> {
        if json.is_empty() {
            return Ok(Self::default());
        }
        // A message begins with its first field's tag, which JSON takes for a line end.
        let wire = json.first().filter(|&&byte| byte == b'\n').and_then(|_| wire::object(json));
        let text = wire.map(|object| object.to_string());
        let json = text.as_ref().map_or(json, |text| text.as_bytes());
        let mut text = serde_json::Deserializer::from_slice(json);
        let shape::Object(raw) =
            serde_path_to_error::deserialize(&mut text).map_err(|e| ConfigError::of_type(&e))?;
        text.end().map_err(|e| ConfigError::of_syntax(&e))?;
        validate::config(raw)
    }

    /// What becomes of calls that cannot be decided because the service is away.
    #[must_use]
    pub fn on_failure(&self) -> OnFailure {
        self.service.as_ref().map_or_else(OnFailure::default, |service| service.on_failure)
    }

    /// For how long a call waits for the service in all, in milliseconds: for the ask that is under
    /// way when it comes, and for its own.
    #[must_use]
    pub fn patience_ms(&self) -> u64 {
        self.service.as_ref().map_or(0, |service| u64::from(service.timeout_ms).saturating_mul(2))
    }

    /// What becomes of calls of tenants that the service does not know.
    #[must_use]
    pub fn on_unknown(&self) -> Unknown {
        self.service.as_ref().map_or_else(Unknown::default, |service| service.unknown)
    }

    /// The JSON schema of the configuration.
    #[cfg(feature = "schema")]
    #[must_use]
    pub fn schema() -> schemars::Schema {
        schemars::schema_for!(raw::Raw)
    }
}

impl Default for Config {
    fn default() -> Self {
        validate::unchecked(raw::Raw::default(), &mut error::Faults::default())
    }
}

/// Bytes of a body that may be held: just below Envoy's own default limit of 1 MiB, at which Envoy
/// answers 413 by itself.
const MAX_BUFFERED: u64 = 1_000_000;
/// Less would not hold the head of a body, where model and user stand.
const MAX_BUFFERED_MIN: u64 = 1_024;
/// More would let a few requests fill a worker's memory.
const MAX_BUFFERED_MAX: u64 = 64 * 1_024 * 1_024;
/// Time series in all. Envoy never forgets one, and each takes some hundred bytes.
const MAX_SERIES: u64 = 10_000;
/// Less would leave no room beside the series without labels.
const MAX_SERIES_MIN: u64 = 100;
/// More would take gigabytes in Envoy, and as much in whatever scrapes it.
const MAX_SERIES_MAX: u64 = 1_000_000;
/// Values of the label `tenant`.
const MAX_TENANTS: u64 = 1_000;
/// Values of the label `feature`.
const MAX_FEATURES: u64 = 100;
/// Values of the label `model`.
const MAX_MODELS: u64 = 200;
/// No label can have more values than there may be series.
const MAX_VALUES_MAX: u64 = MAX_SERIES_MAX;

/// For how long an answer of the service is waited for.
const TIMEOUT_MS: u64 = 200;
/// Longer, and clients would notice.
const TIMEOUT_MS_MAX: u64 = 10_000;
/// How often calls are reported.
const SYNC_MS: u64 = 1_000;
/// More often, the service would have nothing else to do.
const SYNC_MS_MIN: u64 = 100;
/// More seldom, and leases would run out in between.
const SYNC_MS_MAX: u64 = 60_000;

#[cfg(test)]
mod tests;
