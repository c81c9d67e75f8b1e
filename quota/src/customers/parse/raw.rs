//! `customers.yaml` as its writer sees it: the shape alone.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{
        self, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer,
        value::SeqAccessDeserializer,
    },
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) business: Business,
    #[serde(default)]
    pub(super) plans: Vec<Plan>,
    #[serde(default)]
    pub(super) customers: Vec<Customer>,
    #[serde(default)]
    pub(super) alerts: Alerts,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Business {
    pub(super) name: String,
    #[serde(default = "utc")]
    pub(super) time_zone: String,
    #[serde(default = "usd")]
    pub(super) currency: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plan {
    pub(super) name: String,
    pub(super) price: Dollars,
    pub(super) unit: Option<Unit>,
    #[serde(default)]
    pub(super) upgrade_url: String,
    #[serde(default)]
    pub(super) budgets: Vec<Budget>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Unit {
    pub(super) name: String,
    pub(super) feature: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Customer {
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) plan: Plans,
    pub(super) revenue: Option<Dollars>,
    #[serde(default)]
    pub(super) keys: Vec<String>,
    pub(super) token_sha256: Option<String>,
    #[serde(default)]
    pub(super) suspended: bool,
    #[serde(default)]
    pub(super) budgets: Vec<Budget>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Since {
    pub(super) plan: String,
    pub(super) from: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Budget {
    pub(super) id: Option<String>,
    pub(super) feature: Option<String>,
    pub(super) limit: Limit,
    pub(super) window: Window,
    pub(super) anchor_day: Option<i8>,
    pub(super) warn_at: Option<Vec<u32>>,
    #[serde(default)]
    pub(super) action: Action,
    #[serde(default)]
    pub(super) shadow: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Limit {
    Usd(Dollars),
    Tokens(u64),
    Requests(u64),
    Units(u64),
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Window {
    Day,
    Month,
}

#[derive(Default)]
pub(super) enum Action {
    Refuse {
        status: u16,
        message: String,
    },
    Downgrade {
        models: BTreeMap<String, String>,
        message: String,
    },
    #[default]
    Warn,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Alerts {
    pub(super) slack: Option<Slack>,
    pub(super) webhook: Option<Webhook>,
    pub(super) thresholds: Option<Vec<u32>>,
    pub(super) margin: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Slack {
    pub(super) url: Option<String>,
    pub(super) url_env: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Webhook {
    pub(super) url: Option<String>,
    pub(super) url_env: Option<String>,
    pub(super) secret_env: Option<String>,
}

/// A decimal, quoted or not.
pub(super) struct Dollars(pub(super) String);

impl<'de> Deserialize<'de> for Dollars {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => Ok(Self(text)),
            serde_json::Value::Number(number) => Ok(Self(number.to_string())),
            _ => Err(de::Error::custom("expected US dollars such as \"49\" or \"0.25\"")),
        }
    }
}

/// One plan, or a list of plans with their first days.
pub(super) struct Plans(pub(super) Vec<Since>);

impl<'de> Deserialize<'de> for Plans {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Plans;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a plan, or a list of `{plan, from}`")
            }

            fn visit_str<E: de::Error>(self, plan: &str) -> Result<Plans, E> {
                Ok(Plans(vec![Since { plan: plan.to_owned(), from: None }]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Plans, A::Error> {
                Deserialize::deserialize(SeqAccessDeserializer::new(list)).map(Plans)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum LongAction {
    Refuse(Refuse),
    Downgrade(Downgrade),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refuse {
    #[serde(default = "too_many_requests")]
    status: u16,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Downgrade {
    models: BTreeMap<String, String>,
    #[serde(default)]
    message: String,
}

impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Action;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`warn`, `refuse`, `{refuse: ..}` or `{downgrade: ..}`")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Action, E> {
                match word {
                    "warn" => Ok(Action::Warn),
                    "refuse" => {
                        Ok(Action::Refuse { status: too_many_requests(), message: String::new() })
                    }
                    _ => Err(E::invalid_value(de::Unexpected::Str(word), &self)),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Action, A::Error> {
                Ok(match LongAction::deserialize(MapAccessDeserializer::new(map))? {
                    LongAction::Refuse(Refuse { status, message }) => {
                        Action::Refuse { status, message }
                    }
                    LongAction::Downgrade(Downgrade { models, message }) => {
                        Action::Downgrade { models, message }
                    }
                })
            }
        }

        deserializer.deserialize_any(Either)
    }
}

const fn too_many_requests() -> u16 {
    429
}

fn utc() -> String {
    "UTC".to_owned()
}

fn usd() -> String {
    "USD".to_owned()
}
