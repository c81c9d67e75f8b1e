//! `customers.yaml` as its writer sees it: the shape alone.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, SeqAccess, Visitor, value::SeqAccessDeserializer},
};
use tollgate::rule::{Dollars, RawAmount, RawRule};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) business: Business,
    #[serde(default)]
    pub(super) plans: Vec<Plan>,
    #[serde(default)]
    pub(super) budgets: Vec<RawRule>,
    #[serde(default)]
    pub(super) pools: Vec<Pool>,
    #[serde(default)]
    pub(super) customers: Vec<Customer>,
    pub(super) newcomers: Option<Newcomers>,
    #[serde(default)]
    pub(super) alerts: Alerts,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Newcomers {
    pub(super) plan: String,
    #[serde(default = "a_thousand")]
    pub(super) at_most: u64,
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
    pub(super) budgets: Vec<RawRule>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Unit {
    pub(super) name: String,
    pub(super) feature: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pool {
    pub(super) name: String,
    pub(super) customers: Vec<String>,
    pub(super) budgets: Vec<RawRule>,
    #[serde(default)]
    pub(super) raises: Vec<Raise>,
    #[serde(default)]
    pub(super) credits: Vec<Credit>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raise {
    pub(super) budget: String,
    pub(super) limit: RawAmount,
    pub(super) from: Option<String>,
    pub(super) until: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Credit {
    pub(super) budget: String,
    pub(super) amount: RawAmount,
    pub(super) on: String,
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
    pub(super) budgets: Vec<RawRule>,
    #[serde(default)]
    pub(super) raises: Vec<Raise>,
    #[serde(default)]
    pub(super) credits: Vec<Credit>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Since {
    pub(super) plan: String,
    pub(super) from: Option<String>,
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

const fn a_thousand() -> u64 {
    1_000
}

fn utc() -> String {
    "UTC".to_owned()
}

fn usd() -> String {
    "USD".to_owned()
}
