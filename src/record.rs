//! What is known of a call once it is over: the fields of the access log.

use serde::Serialize;

use crate::config::LogField;
use crate::money::NanoUsd;
use crate::provider::{Api, Reported, Trouble};
use crate::usage::Unit;

/// One call, over and settled.
#[derive(Clone, Debug)]
pub struct Record {
    /// The id that the filter made for the call.
    pub call_id: String,
    /// When it began, in milliseconds since 1970 UTC.
    pub began_ms: u64,
    /// How long it took in milliseconds.
    pub duration_ms: u64,
    /// When the first byte of the answer came, in milliseconds after the beginning.
    pub ttft_ms: Option<u64>,
    /// Whose call it was.
    pub tenant: Option<String>,
    /// Which feature made it.
    pub feature: Option<String>,
    /// Which user made it.
    pub user: Option<String>,
    /// The id of the unit that it was for.
    pub unit: Option<String>,
    /// Who was to serve it.
    pub provider: String,
    /// Which call it was.
    pub api: Api,
    /// The model that was asked for.
    pub request_model: Option<String>,
    /// The model that answered, else the one asked for.
    pub model: Option<String>,
    /// Whether the model exists: somebody answered as it, or it has a price. What a client asks for
    /// in vain is only a word.
    pub model_exists: bool,
    /// Whether the answer was to be streamed.
    pub stream: bool,
    /// The class of service that the provider says it gave.
    pub service_tier: Option<String>,
    /// The region of the endpoint that it went to.
    pub region: Option<String>,
    /// The status of the answer, or 0 where none came.
    pub status: u32,
    /// What it used.
    pub amount: Amount,
    /// How often it was sent upstream.
    pub attempts: u64,
    /// What that costs.
    pub price: Price,
    /// What the provider itself says that it costs.
    pub said_cost: Option<SaidCost>,
    /// What was decided about it.
    pub decision: Decision,
    /// The budget for which it was decided so.
    pub budget: Option<String>,
    /// Whether what it held was the most that it could use; `None` where it held nothing.
    pub firm: Option<bool>,
    /// How it ended.
    pub outcome: Outcome,
    /// What could not be read.
    pub trouble: Option<Trouble>,
}

/// The usage of a call, and how it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Amount {
    /// As the provider reported it.
    Reported(Reported),
    /// The provider did not say: by the best evidence there was.
    Estimated(Reported),
    /// Nothing was used, or nothing that is charged for.
    Absent,
}

impl Amount {
    /// This and what was probably used beside it.
    #[must_use]
    pub fn and_estimated(self, beside: Reported) -> Self {
        Self::Estimated(match self {
            Self::Absent => beside,
            Self::Reported(own) | Self::Estimated(own) => {
                Reported { usage: own.usage.and(&beside.usage), ..own }
            }
        })
    }
}

impl Price {
    /// The cost as far as it is known, or `None` where nothing is.
    #[must_use]
    pub const fn known(&self) -> Option<NanoUsd> {
        match self {
            Self::Of(cost, _) | Self::AtLeast(cost, _) => Some(*cost),
            Self::Nothing => Some(NanoUsd::ZERO),
            Self::Unpriced => None,
        }
    }

    /// The version of the prices that were used.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        match self {
            Self::Of(_, version) | Self::AtLeast(_, version) => Some(version),
            Self::Nothing | Self::Unpriced => None,
        }
    }

    /// Whether something that was used has no price.
    #[must_use]
    pub const fn is_short(&self) -> bool {
        matches!(self, Self::AtLeast(..) | Self::Unpriced)
    }
}

impl Amount {
    /// The quantities, if there are any.
    #[must_use]
    pub const fn known(&self) -> Option<&Reported> {
        match self {
            Self::Reported(reported) | Self::Estimated(reported) => Some(reported),
            Self::Absent => None,
        }
    }

    const fn label(&self) -> &'static str {
        match self {
            Self::Reported(_) => "reported",
            Self::Estimated(_) => "estimated",
            Self::Absent => "absent",
        }
    }
}

/// What a call costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Price {
    /// This much, by this version of the prices.
    Of(NanoUsd, String),
    /// This much and more: something that was done beside the tokens has no price.
    AtLeast(NanoUsd, String),
    /// The model has no price: unknown, not free.
    Unpriced,
    /// Nothing was used.
    Nothing,
}

/// What a provider says that a call cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaidCost {
    /// The cost that it says.
    pub cost: NanoUsd,
    /// The cost by the prices, if they have one.
    pub listed: Option<NanoUsd>,
}

/// What was decided about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It went through.
    Pass,
    /// It went through, and a threshold of a budget or a limit that only warns has been reached.
    Warn,
    /// It went through on a cheaper model.
    Downgrade,
    /// It went through, though a limit that is only watched has been reached.
    Shadow,
    /// It was answered in the provider's place.
    Refuse,
    /// It went through, and its stream was ended here: it had outgrown what there was.
    End,
}

impl Decision {
    /// The name in the access log.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Downgrade => "downgrade",
            Self::Shadow => "shadow",
            Self::Refuse => "refuse",
            Self::End => "end",
        }
    }
}

/// The decision about a request that is no call: it is not looked at.
pub const SKIPPED: &str = "skip";

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Answered with success, to the end.
    Ok,
    /// Answered with a status that blames the request.
    ClientError,
    /// Answered with another failure, cut off by the upstream, or not answered.
    UpstreamError,
    /// The client left before the end.
    Aborted,
    /// Refused here.
    Refused,
}

impl Outcome {
    /// The value of the `outcome` label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ClientError => "client_error",
            Self::UpstreamError => "upstream_error",
            Self::Aborted => "aborted",
            Self::Refused => "refused",
        }
    }
}

impl Record {
    /// The text of a field, or `None` where the call has no such thing.
    #[must_use]
    pub fn field(&self, field: LogField) -> Option<String> {
        let known = self.amount.known();
        let tokens = |count: fn(&Reported) -> u64| known.map(|known| count(known).to_string());
        match field {
            LogField::CallId => Some(self.call_id.clone()),
            LogField::Tenant => self.tenant.clone(),
            LogField::Feature => self.feature.clone(),
            LogField::User => self.user.clone(),
            LogField::Provider => Some(self.provider.clone()),
            LogField::Api => Some(self.api.label().to_owned()),
            LogField::RequestModel => self.request_model.clone(),
            LogField::Model => self.model.clone(),
            LogField::Stream => Some(self.stream.to_string()),
            LogField::InputTokens => tokens(Reported::input_tokens),
            LogField::CacheReadTokens => tokens(|known| known.usage.cache_read_tokens()),
            LogField::CacheWriteTokens => tokens(|known| known.usage.cache_write_tokens()),
            LogField::OutputTokens => tokens(|known| known.usage.output_tokens()),
            LogField::ReasoningTokens => tokens(|known| known.usage.of(Unit::Reasoning)),
            LogField::CostNanoUsd => Some(self.cost(|cost| cost.nanos().to_string())),
            LogField::CostUsd => Some(self.cost(|cost| cost.to_string())),
            LogField::ProviderCostNanoUsd => {
                self.said_cost.map(|said| said.cost.nanos().to_string())
            }
            LogField::PriceVersion => self.price.version().map(str::to_owned),
            LogField::Usage => Some(self.amount.label().to_owned()),
            LogField::Decision => Some(self.decision.label().to_owned()),
            LogField::Budget => self.budget.clone(),
            LogField::Hold => self.hold().map(str::to_owned),
            LogField::Attempts => Some(self.attempts.to_string()),
            LogField::TtftMs => self.ttft_ms.map(|ms| ms.to_string()),
            LogField::Call => Some(self.call()),
        }
    }

    /// The text of the `call` field, which is what the ledger is told too.
    #[must_use]
    pub fn call(&self) -> String {
        serde_json::to_string(&Compact::of(self)).unwrap_or_default()
    }

    const fn hold(&self) -> Option<&'static str> {
        match self.firm {
            Some(true) => Some("firm"),
            Some(false) => Some("soft"),
            None => None,
        }
    }

    fn cost(&self, show: impl Fn(NanoUsd) -> String) -> String {
        self.price.known().map_or_else(|| UNPRICED.to_owned(), show)
    }
}

/// All of a call that a ledger row needs, under short names: `docs/access-log.md` lists them.
#[derive(Serialize)]
struct Compact<'a> {
    v: u8,
    id: &'a str,
    t: u64,
    ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    feature: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<&'a str>,
    provider: &'a str,
    api: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    asked: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<&'a str>,
    status: u32,
    #[serde(skip_serializing_if = "is_one")]
    attempts: u64,
    usage: &'static str,
    #[serde(skip_serializing_if = "Leaves::is_empty")]
    leaves: Leaves<'a>,
    #[serde(skip_serializing_if = "is_zero")]
    overlap: u64,
    /// Nano-dollars; missing where the call is unpriced.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    said_cost: Option<u64>,
    /// Whether something that was used has no price.
    #[serde(skip_serializing_if = "is_false")]
    short: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    prices: Option<&'a str>,
    decision: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<&'a str>,
}

impl<'a> Compact<'a> {
    fn of(record: &'a Record) -> Self {
        let known = record.amount.known();
        Self {
            v: 1,
            id: &record.call_id,
            t: record.began_ms,
            ms: record.duration_ms,
            tenant: record.tenant.as_deref(),
            feature: record.feature.as_deref(),
            user: record.user.as_deref(),
            unit: record.unit.as_deref(),
            provider: &record.provider,
            api: record.api.label(),
            asked: record.request_model.as_deref(),
            model: record.model.as_deref(),
            tier: record.service_tier.as_deref(),
            region: record.region.as_deref(),
            status: record.status,
            attempts: record.attempts,
            usage: record.amount.label(),
            leaves: Leaves(known),
            overlap: known.map_or(0, |known| known.overlap),
            cost: record.price.known().map(NanoUsd::nanos),
            said_cost: record.said_cost.map(|said| said.cost.nanos()),
            short: record.price.is_short(),
            prices: record.price.version(),
            decision: record.decision.label(),
            budget: record.budget.as_deref(),
        }
    }
}

/// The leaves as an object of unit and quantity.
struct Leaves<'a>(Option<&'a Reported>);

impl Leaves<'_> {
    const fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl Serialize for Leaves<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let leaves = self.0.into_iter().flat_map(|known| known.usage.leaves());
        serializer.collect_map(leaves.map(|(unit, quantity)| (unit.label(), quantity)))
    }
}

const fn is_one(number: &u64) -> bool {
    *number == 1
}

const fn is_zero(number: &u64) -> bool {
    *number == 0
}

const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// Stands where a cost would: unknown is not zero.
const UNPRICED: &str = "unpriced";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::Usage;

    fn record() -> Record {
        let usage =
            Usage::default().with(Unit::Input, 7).with(Unit::CacheRead, 2).with(Unit::Output, 1);
        Record {
            call_id: "c-1".into(),
            began_ms: 1_000,
            duration_ms: 20,
            ttft_ms: Some(5),
            tenant: Some("a\"b".into()),
            feature: None,
            user: None,
            unit: None,
            provider: "openai".into(),
            api: Api::OpenAiChat,
            request_model: Some("gpt-5".into()),
            model: Some("gpt-5-2025-08-07".into()),
            model_exists: true,
            stream: true,
            service_tier: None,
            region: None,
            status: 200,
            attempts: 1,
            amount: Amount::Reported(Reported { usage, ..Reported::default() }),
            price: Price::Of(NanoUsd::new(1_500), "v1".into()),
            said_cost: None,
            decision: Decision::Pass,
            budget: None,
            firm: None,
            outcome: Outcome::Ok,
            trouble: None,
        }
    }

    fn shown(record: &Record) -> Vec<(&'static str, String)> {
        let fields = LogField::ALL.into_iter();
        fields.filter_map(|field| Some((field.name(), record.field(field)?))).collect()
    }

    #[test]
    fn a_call_shows_normalised_numbers() {
        let fields = shown(&record());
        for (name, text) in [
            ("tenant", "a\"b"),
            ("stream", "true"),
            ("input_tokens", "9"),
            ("cache_read_tokens", "2"),
            ("cache_write_tokens", "0"),
            ("output_tokens", "1"),
            ("cost_nano_usd", "1500"),
            ("cost_usd", "0.000001500"),
            ("usage", "reported"),
            ("decision", "pass"),
        ] {
            assert!(fields.contains(&(name, text.to_owned())), "{name}: {fields:?}");
        }
        assert!(!fields.iter().any(|(name, _)| *name == "feature"));
    }

    #[test]
    fn what_is_not_known_shows_no_number() {
        let silent = Record { amount: Amount::Absent, price: Price::Unpriced, ..record() };
        let fields = shown(&silent);
        assert!(fields.contains(&("cost_nano_usd", "unpriced".to_owned())));
        assert!(!fields.iter().any(|(name, _)| name.ends_with("_tokens")), "{fields:?}");
    }

    #[test]
    fn the_compact_field_has_all_leaves() {
        let call: serde_json::Value =
            serde_json::from_str(&record().field(LogField::Call).unwrap()).unwrap();
        assert_eq!(call["leaves"], serde_json::json!({"input": 7, "cache_read": 2, "output": 1}));
        assert_eq!((&call["tenant"], &call["cost"]), (&"a\"b".into(), &1_500.into()));
    }
}
