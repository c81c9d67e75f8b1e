//! What gateways and the quota service say to each other: the bodies of `POST /v1/sync`.
//!
//! One worker of a gateway asks, the service answers. Amounts are whole numbers of the budget's
//! unit: nano-dollars, tokens, requests, or the plan's own unit. Times are relative and counted on
//! the receiver's clock. `docs/protocol.md` says what follows from what.

mod holding;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use holding::Holding;

use crate::scope::{Facet, Match};

/// The version of the protocol that this module speaks.
pub const VERSION: u8 = 1;
/// What of budgets a gateway of this version keeps: 1 is `match`, `per` and `of`. One that does not
/// say its level keeps none of these, and is not told of budgets that have them.
pub const LEVEL: u8 = 1;

/// What a worker says and wants to know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// [`VERSION`].
    pub v: u8,
    /// The sender's [`LEVEL`].
    #[serde(default, skip_serializing_if = "is_none")]
    pub level: u8,
    /// The incarnation of the gateway's process, as the gateway made it at its first call.
    pub gateway: String,
    /// The gateway's name in Envoy's configuration: a label, not an identity.
    #[serde(default)]
    pub node: String,
    /// The worker's number in its process.
    pub worker: u64,
    /// Counts the asks of this worker, from 1. An ask that got no answer is sent again as it was.
    pub seq: u64,
    /// Calls that have ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<Row>,
    /// Tenants to look up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tenants: Vec<String>,
    /// Leases to make or to enlarge.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wants: Vec<Want>,
    /// What is given back of leases.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub returns: Vec<Return>,
    /// Units of budgets that are used up, of which it is asked whether they are counted already.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<Counted>,
    /// What the worker has of prices. A gateway that says nothing of it is sent none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prices: Option<Knows>,
}

/// What a worker has of prices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Knows {
    /// The version of its price book.
    pub version: String,
    /// The version of one that it was sent and could not use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// A call that has ended: a row of the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The `call` field of the access log, as it stands there.
    pub call: Document,
    /// What the call is charged to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub charges: Vec<Charge>,
}

/// A JSON document that is passed on as it stands, and read by whom it is for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Document(Box<RawValue>);

impl Document {
    /// The document of this text, or `null` where it is none.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned()))
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.get()
    }
}

impl Default for Document {
    fn default() -> Self {
        Self(RawValue::NULL.to_owned())
    }
}

impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Document {}

/// What one call takes of one budget.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// The budget, by the id that [`Budget::id`] gave.
    pub budget: String,
    /// The window in which the call was admitted.
    pub window: u64,
    /// How much it used.
    pub amount: u64,
    /// How much of that was not covered by the lease, because the call used more than it held or
    /// was let through without a lease.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub beyond: u64,
    /// Of a budget in the plan's own unit, the id of the unit that the call was for: it counts once
    /// in a window. Empty where each call counts.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
}

/// A unit that counts once in a window of a budget.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// The budget.
    pub budget: String,
    /// The window.
    pub window: u64,
    /// The unit's id, as the gateway found it in a request.
    pub unit: String,
}

/// A wish for a lease.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    /// The budget.
    pub budget: String,
    /// The window as far as the gateway knows it.
    pub window: u64,
    /// Less is of no use: a call waits that needs so much. Zero where none waits.
    pub need: u64,
    /// What the gateway would like, by its pace. At least `need`.
    pub want: u64,
}

/// What is given back of a lease.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Return {
    /// The budget.
    pub budget: String,
    /// The window of the lease.
    pub window: u64,
    /// How much.
    pub amount: u64,
}

/// What the service says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// [`VERSION`].
    pub v: u8,
    /// The `seq` of the ask.
    pub seq: u64,
    /// The edition of the customers by which it was written: another one, if they have changed.
    /// Zero from a service that does not say.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub edition: u64,
    /// The tenants asked for, and those of known tenants that have changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tenants: Vec<Tenant>,
    /// The names among those asked for that no customer has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
    /// What is lent. There is one for each [`Want`], though its amount may be zero.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<Grant>,
    /// Leases of which others need what no call of this gateway does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recalls: Vec<Recall>,
    /// The units among those asked for that are counted: calls for them take nothing more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counted: Vec<Counted>,
    /// A newer price book than the worker has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prices: Option<Edition>,
}

/// A price book.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edition {
    /// Its version. Texts are compared: the greatest is the newest.
    pub version: String,
    /// The book as [`crate::price::pack`] makes it, in base64.
    pub packed: String,
}

/// A lease that is called back: what of it no call holds is to be given back now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recall {
    /// The budget.
    pub budget: String,
    /// The window of the lease.
    pub window: u64,
}

/// A customer, as a gateway needs to know it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// The name that the gateway asked for.
    pub name: String,
    /// The customer's id, by which it is known from now on.
    pub id: String,
    /// The name of its plan.
    #[serde(default)]
    pub plan: String,
    /// Whether none of its calls may pass.
    #[serde(default)]
    pub suspended: bool,
    /// Where it can buy more.
    #[serde(default)]
    pub upgrade_url: String,
    /// Its budgets.
    #[serde(default)]
    pub budgets: Vec<Budget>,
    /// For how many milliseconds this holds; then the gateway asks again.
    pub ttl_ms: u64,
}

/// A budget of a customer, in its current window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// The id by which charges, wants and grants name it: unique over all customers.
    pub id: String,
    /// The feature whose calls count, or `None` for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feature: Option<String>,
    /// Which calls count besides.
    #[serde(default, rename = "match", skip_serializing_if = "Match::is_all")]
    pub matches: Match,
    /// What is counted by itself: each such part has a balance with the id of [`crate::scope::id`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub per: Vec<Facet>,
    /// What is counted.
    pub unit: Unit,
    /// Which tokens, where those are counted.
    #[serde(default, rename = "of", skip_serializing_if = "Tokens::is_total")]
    pub tokens: Tokens,
    /// How the unit is called in front of people, such as `AI analyses`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit_name: String,
    /// The most that may be used in a window.
    pub limit: u64,
    /// What had been used when the answer was written.
    #[serde(default)]
    pub used: u64,
    /// The current window.
    pub window: Window,
    /// Percentages of the limit from which on a call is passed with a warning.
    #[serde(default)]
    pub warn_at: Vec<u32>,
    /// What happens at the limit.
    #[serde(default)]
    pub action: Action,
    /// Whether what would happen at the limit is only recorded.
    #[serde(default)]
    pub shadow: bool,
    /// How calls are held against it.
    #[serde(default, skip_serializing_if = "Holding::is_default")]
    pub holding: Holding,
}

impl Budget {
    /// Whether what a call holds of it is the most that the call can take.
    #[must_use]
    pub const fn is_firm(&self) -> bool {
        self.unit.is_counted() || self.holding.worst_case
    }
}

impl Budget {
    /// What is counted.
    #[must_use]
    pub const fn measure(&self) -> Measure {
        Measure { unit: self.unit, tokens: self.tokens }
    }

    /// The [`LEVEL`] that a gateway must have to keep it.
    #[must_use]
    pub fn level(&self) -> u8 {
        let plain = self.matches.is_all() && self.per.is_empty() && self.tokens.is_total();
        u8::from(!plain)
    }
}

/// What exactly a budget counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measure {
    /// In what.
    pub unit: Unit,
    /// Which tokens, where it is tokens.
    pub tokens: Tokens,
}

/// Which tokens of a call count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tokens {
    /// Those of the prompt and of the answer.
    #[default]
    Total,
    /// Those of the prompt, cached or not.
    Input,
    /// Those of the answer, with what was thought.
    Output,
    /// Those of the prompt that came from a cache.
    CacheRead,
    /// Those of the prompt that went into a cache.
    CacheWrite,
    /// Those of the answer that were thought and not said.
    Reasoning,
}

impl Tokens {
    /// Whether all count.
    #[must_use]
    pub const fn is_total(&self) -> bool {
        matches!(self, Self::Total)
    }

    /// How they are called in configuration and ids.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Total => "tokens",
            Self::Input => "input_tokens",
            Self::Output => "output_tokens",
            Self::CacheRead => "cache_read_tokens",
            Self::CacheWrite => "cache_write_tokens",
            Self::Reasoning => "reasoning_tokens",
        }
    }

    /// How they are called in front of people.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Total => "tokens",
            Self::Input => "input tokens",
            Self::Output => "output tokens",
            Self::CacheRead => "cached tokens",
            Self::CacheWrite => "cache-write tokens",
            Self::Reasoning => "reasoning tokens",
        }
    }
}

/// What a budget counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Nano-dollars.
    #[default]
    Usd,
    /// Tokens, of the prompt and of the answer.
    Tokens,
    /// Calls that were let through.
    Requests,
    /// The plan's own unit: distinct ids if the gateway's configuration says where one stands,
    /// else successful calls.
    Units,
}

impl Unit {
    /// Whether it is known before a call begins how much it can take: one, or nothing.
    #[must_use]
    pub const fn is_counted(self) -> bool {
        match self {
            Self::Usd | Self::Tokens => false,
            Self::Requests | Self::Units => true,
        }
    }
}

/// A stretch of time on the business's calendar.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// When it began, in seconds since 1970 UTC: its id.
    pub id: u64,
    /// How it is called, such as `month`.
    pub name: String,
    /// In how many milliseconds it ends.
    pub ends_in_ms: u64,
    /// When the next one begins, as people of the business read it: RFC 3339 with its offset.
    pub resets_at: String,
    /// In seconds, how long each of the next ones is: of a budget that rolls along, they follow
    /// without a word. Zero where the calendar says when the next one begins.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub step: u64,
}

/// What happens when a budget is used up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Action {
    /// The call is refused.
    Refuse {
        /// The status: 402, 403 or 429.
        #[serde(default = "too_many_requests")]
        status: u16,
        /// The sentence for the customer, with `{used} {limit} {unit} {window} {resets_at}
        /// {upgrade_url} {plan}` in it. Empty: the default sentence.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        message: String,
    },
    /// The call goes to a cheaper model; a model that the map does not name is refused.
    Downgrade {
        /// From the model asked for to the one that answers instead. A key may end in `*`.
        models: std::collections::BTreeMap<String, String>,
        /// As in `Refuse`, for models that are not in the map.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        message: String,
    },
    /// The call passes, with a warning.
    #[default]
    Warn,
}

/// A lease, or an enlargement of one: it is added to what the gateway has of the same window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The budget.
    pub budget: String,
    /// The window: another than that of the want if a new one has begun.
    pub window: u64,
    /// How much is lent. Zero where nothing is left, or less than is needed.
    pub amount: u64,
    /// What is left in the budget that is neither used nor lent.
    pub left: u64,
    /// What had been used when the answer was written.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub used: u64,
    /// What is lent, to whomever, and may yet come back.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lent: u64,
    /// For how many milliseconds calls may be admitted on it and on what was lent before.
    pub admit_ms: u64,
}

const fn too_many_requests() -> u16 {
    429
}

const fn is_none(level: &u8) -> bool {
    *level == 0
}

const fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        let answer = Answer {
            v: VERSION,
            seq: 7,
            tenants: vec![Tenant {
                name: "acme".into(),
                budgets: vec![Budget {
                    action: Action::Refuse { status: 402, message: "No more {unit}.".into() },
                    ..Budget::default()
                }],
                ..Tenant::default()
            }],
            grants: vec![Grant { amount: 5, ..Grant::default() }],
            ..Answer::default()
        };
        let text = serde_json::to_string(&answer).unwrap();
        assert_eq!(serde_json::from_str::<Answer>(&text).unwrap(), answer);
    }

    #[test]
    fn unknown_fields_of_a_newer_service_are_passed_over() {
        let budget: Budget = serde_json::from_str(
            r#"{"id":"b","unit":"tokens","limit":9,"new":1,"action":{"do":"refuse","x":2},
                "window":{"id":1,"name":"day","ends_in_ms":1,"resets_at":""}}"#,
        )
        .unwrap();
        assert_eq!(budget.action, Action::Refuse { status: 429, message: String::new() });
    }
}
