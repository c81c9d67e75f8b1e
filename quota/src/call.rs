//! A call that ended, as a gateway reports it: the `call` field of the access log.
//!
//! Only the fields that the ledger has are read, and only so much of each: whatever else a gateway
//! may say is dropped here, and never stored.

use std::collections::BTreeMap;

use serde::Deserialize;
use tollgate::{
    budget::Kinds,
    usage::{Side, Unit, Usage},
};

/// A call, ready to be booked.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Call {
    /// The gateway's id for it.
    pub id: String,
    /// When it began, in milliseconds since 1970 UTC, by the gateway's clock.
    #[serde(rename = "t")]
    pub began_ms: u64,
    /// How long it took.
    #[serde(default, rename = "ms")]
    pub duration_ms: u64,
    /// Whose it was, as the gateway named it.
    #[serde(default)]
    pub tenant: String,
    /// Which feature made it.
    #[serde(default)]
    pub feature: String,
    /// Which user made it.
    #[serde(default)]
    pub user: String,
    /// The id of the unit that it was for.
    #[serde(default)]
    pub unit: String,
    /// Who was to serve it.
    pub provider: String,
    /// Which kind of call it was.
    #[serde(default)]
    pub api: String,
    /// The model asked for.
    #[serde(default)]
    pub asked: String,
    /// The model that answered.
    #[serde(default)]
    pub model: String,
    /// The class of service.
    #[serde(default)]
    pub tier: String,
    /// The status of the answer, 0 if there was none.
    #[serde(default)]
    pub status: u32,
    /// How the usage is known: `reported`, `estimated` or `absent`.
    #[serde(default, rename = "usage")]
    pub quality: String,
    /// What was used, by unit.
    #[serde(default)]
    pub leaves: BTreeMap<String, u64>,
    /// Tokens of the prompt that stand in two of them.
    #[serde(default)]
    pub overlap: u64,
    /// What it cost in nano-dollars. `None`: not known, which is not zero.
    pub cost: Option<u64>,
    /// Whether something that was used has no price.
    #[serde(default)]
    pub short: bool,
    /// The version of the prices.
    #[serde(default)]
    pub prices: String,
    /// What was decided.
    #[serde(default)]
    pub decision: String,
}

impl Call {
    /// Reads a call, or nothing where it has no id, or amounts that no call can have.
    #[must_use]
    pub fn read(call: &serde_json::Value) -> Option<Self> {
        let mut call = Self::deserialize(call).ok()?;
        let amounts = call.cost.iter().chain(call.leaves.values());
        let sound = !call.id.is_empty()
            && !call.id.contains('\0')
            && call.id.len() <= MAX_TEXT
            && call.leaves.len() <= MAX_LEAVES
            && amounts.copied().all(|amount| amount <= MAX_AMOUNT);
        for text in call.texts() {
            cut(text);
        }
        sound.then_some(call)
    }

    /// Tokens of the prompt and of the answer.
    #[must_use]
    pub fn tokens(&self) -> (u64, u64) {
        let kinds = self.kinds();
        (kinds.input, kinds.output)
    }

    /// Its tokens by kind.
    #[must_use]
    pub fn kinds(&self) -> Kinds {
        let mut usage = Usage::default();
        for unit in Unit::ALL.into_iter().filter(|unit| unit.side() != Side::Item) {
            usage.add(unit, self.leaves.get(unit.label()).copied().unwrap_or(0));
        }
        Kinds::of(&usage, self.overlap)
    }

    /// Whether it was answered here, in the provider's place.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.decision == "refuse"
    }

    /// Whether it was let through and did not succeed.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        !self.is_refused() && !(200..300).contains(&self.status)
    }

    /// Whether its cost is not known, or not all of it.
    #[must_use]
    pub const fn is_unpriced(&self) -> bool {
        self.cost.is_none() || self.short
    }

    fn texts(&mut self) -> [&mut String; 12] {
        [
            &mut self.tenant,
            &mut self.feature,
            &mut self.user,
            &mut self.unit,
            &mut self.provider,
            &mut self.api,
            &mut self.asked,
            &mut self.model,
            &mut self.tier,
            &mut self.quality,
            &mut self.prices,
            &mut self.decision,
        ]
    }
}

/// Cuts a text to [`MAX_TEXT`] bytes, between characters. PostgreSQL's texts have no NUL.
fn cut(text: &mut String) {
    text.retain(|char| char != '\0');
    text.truncate(text.floor_char_boundary(MAX_TEXT));
}

/// As long as a name gets.
const MAX_TEXT: usize = 256;
/// More units than there are.
const MAX_LEAVES: usize = 64;
/// A million dollars, or so many tokens: no single call has more.
pub const MAX_AMOUNT: u64 = 1_000_000_000_000_000;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_the_ledger_knows_is_read() {
        let call = Call::read(&json!({
            "v": 1, "id": "c", "t": 5, "provider": "openai", "prompt": "secret",
            "leaves": {"input": 7, "cache_read": 2, "output": 3, "reasoning": 4, "web_search": 1, "new": 9},
            "cost": 12, "status": 200, "decision": "pass",
        }))
        .unwrap();
        assert_eq!(call.tokens(), (9, 7));
        assert_eq!(Call { overlap: 2, ..call.clone() }.tokens(), (7, 7));
        assert!(!call.is_unpriced() && !call.is_failed() && !call.is_refused());
        assert!(!format!("{call:?}").contains("secret"));
    }

    #[test]
    fn what_cannot_be_a_call_is_none() {
        let good = json!({"id": "c", "t": 5, "provider": "openai"});
        assert!(Call::read(&good).unwrap().is_unpriced());
        #[rustfmt::skip]
        let cases = [
            ("id",     json!("")),
            ("id",     json!("x".repeat(300))),
            ("id",     json!("c\0")),
            ("t",      json!(-1)),
            ("cost",   json!(u64::MAX)),
            ("leaves", json!({"input": u64::MAX})),
            ("leaves", json!([1])),
        ];
        for (field, value) in cases {
            let mut bad = good.clone();
            bad[field] = value.clone();
            assert!(Call::read(&bad).is_none(), "{field}: {value}");
        }
        assert!(Call::read(&json!(null)).is_none());
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        let call = json!({"id": "c", "t": 5, "provider": "openai", "model": "\0é".repeat(200)});
        assert_eq!(Call::read(&call).unwrap().model, "é".repeat(128));
    }
}
