//! The configuration as operators write it.
//!
//! These types say which fields there are and of which JSON type; `validate` says which values they
//! may hold. Their doc comments become the descriptions of the JSON schema.

#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::Deserialize;

#[cfg(feature = "schema")]
use super::LogField;
mod budget;
mod price;

pub(super) use budget::RawBudget;
#[cfg(feature = "schema")]
use price::RawMultiplier;
pub(super) use price::{RawCostSource, RawModel, RawPrice, RawUnpriced, RawUnpricedWord};

use super::{
    MAX_BUFFERED, MAX_FEATURES, MAX_MODELS, MAX_SERIES, MAX_TENANTS,
    shape::{Object, Pairs, Whole, Word, whole},
};

/// The configuration of the Tollgate filter. Every field is optional.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema), schemars(rename = "Tollgate"))]
#[serde(default, deny_unknown_fields)]
pub(super) struct Raw {
    /// Where the tenant's name stands. The first source with a usable value wins.
    pub(super) tenant: Vec<Object<RawSource>>,
    /// Where the name of the feature that makes the call stands.
    pub(super) feature: Vec<Object<RawSource>>,
    /// Where the name of the end user stands.
    pub(super) user: Vec<Object<RawSource>>,
    /// Where the id of that stands which calls are for, in the plan's own unit, such as one AI
    /// analysis. Budgets of `units` count each id once in a window; without it, each successful call.
    pub(super) unit: Vec<Object<RawSource>>,
    /// What becomes of a call of which no tenant is known: it counts for the tenant named here
    /// (`{"tenant": "anonymous"}`), or it is answered with 401 (`"refuse"`).
    pub(super) anonymous: RawAnonymous,
    /// Request headers to remove before the request goes upstream.
    pub(super) strip: Vec<String>,
    /// Whether request headers are held until the body has been read. It must say what Envoy's
    /// `allow_on_headers_stop_iteration` says.
    pub(super) hold_headers: bool,
    /// Bytes of a request body that may be held. It must stay below Envoy's buffer limit.
    #[serde(deserialize_with = "whole")]
    #[cfg_attr(feature = "schema", schemars(range(min = super::MAX_BUFFERED_MIN, max = super::MAX_BUFFERED_MAX)))]
    pub(super) max_buffered: u64,
    /// Whether OpenAI's streams are asked for their usage (`stream_options.include_usage`) where the
    /// client does not ask. What comes of it is taken out of the client's stream.
    pub(super) include_usage: bool,
    /// The fields to write for the access log: `"all"`, or a list of names.
    pub(super) access_log: RawAccessLog,
    /// What is counted, and how finely.
    pub(super) metrics: Object<RawMetrics>,
    /// The quota service that keeps customers, budgets and the ledger.
    pub(super) service: Option<Object<RawService>>,
    /// Budgets that this filter keeps by itself, for one Envoy process. They are not for use beside
    /// `service`, which has its own.
    pub(super) budgets: Vec<Object<RawBudget>>,
    /// Where the days of `budgets` begin: a name of the IANA database, such as `Europe/Berlin`.
    pub(super) time_zone: String,
    /// Rules that say who answers at a host or in a cluster. They count for more than what the path
    /// and the host say by themselves; the first that applies wins.
    pub(super) providers: Vec<Object<RawProvider>>,
    /// Prices that count for more than the built-in ones.
    pub(super) prices: Vec<Object<RawPrice>>,
    /// Your own names for models, such as deployments and inference profiles, and the models whose
    /// prices they have. The first that applies counts for more than the book.
    pub(super) models: Vec<Object<RawModel>>,
    /// How many times the book's prices are charged for some calls: a contract, or a region of which
    /// the book does not know. The first that holds counts.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<RawMultiplier>"))]
    pub(super) multipliers: Vec<Pairs<String>>,
    /// What becomes of a call whose model has no price: it passes unpriced (`"pass"`), it is
    /// answered with 403 before it costs anything (`"refuse"`), or it has these prices
    /// (`{"rates": {"input": "15", "output": "75"}}`).
    pub(super) unpriced: RawUnpriced,
    /// Which cost counts where the provider itself says what a call cost: `"book"`, the one by
    /// these prices, or `"provider"`, the one that it says.
    pub(super) cost_source: Word<RawCostSource>,
    /// How often Envoy may send one call upstream: one, and one for each retry. Envoy is told so
    /// (`x-envoy-max-retries`), and what holds the most that a call can come to holds so many. If
    /// absent, Envoy's own routes say how often, and such calls are sent once.
    pub(super) max_attempts: Option<Whole>,
    /// What clients are told in headers of their answers: `remaining`, what is left of the budget
    /// that is nearest to its limit (`x-ratelimit-limit`, `-remaining`, `-reset`); `cost`, what is
    /// held for the call, in dollars (`x-tollgate-cost-held`).
    pub(super) tell: Vec<Word<RawTell>>,
}

/// What clients are told in headers of their answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema), schemars(rename = "Tell"))]
#[serde(rename_all = "lowercase")]
pub(super) enum RawTell {
    /// What is left of the budget that is nearest to its limit.
    Remaining,
    /// What is held for the call, in dollars.
    Cost,
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            tenant: Vec::new(),
            feature: Vec::new(),
            user: Vec::new(),
            unit: Vec::new(),
            anonymous: RawAnonymous::Tenant(Object(RawTenant { tenant: "anonymous".to_owned() })),
            strip: Vec::new(),
            hold_headers: false,
            max_buffered: MAX_BUFFERED,
            include_usage: true,
            access_log: RawAccessLog::All(All::All),
            metrics: Object(RawMetrics::default()),
            service: None,
            budgets: Vec::new(),
            time_zone: "UTC".to_owned(),
            providers: Vec::new(),
            prices: Vec::new(),
            models: Vec::new(),
            multipliers: Vec::new(),
            unpriced: RawUnpriced::default(),
            cost_source: Word::default(),
            max_attempts: None,
            tell: Vec::new(),
        }
    }
}

/// One place where a name may stand: exactly one of `header`, `jwt`, `san` and `body`.
#[derive(Debug, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(JsonSchema),
    schemars(rename = "Source", extend("oneOf" = [
        {"required": ["header"]}, {"required": ["jwt"]}, {"required": ["san"]}, {"required": ["body"]}
    ]))
)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSource {
    /// The name of a request header.
    pub(super) header: Option<String>,
    /// A claim of a token that Envoy's `jwt_authn` has verified.
    pub(super) jwt: Option<Object<RawJwt>>,
    /// The first subject alternative name of this type in the client's certificate.
    pub(super) san: Option<Word<RawSan>>,
    /// A JSON pointer into the request body, such as `/user`.
    pub(super) body: Option<String>,
    /// A regular expression that cuts the name out of the value: its first group, or all that it
    /// matches if it has no group. A value that it does not match is passed over.
    pub(super) capture: Option<String>,
}

/// A claim in the dynamic metadata of `jwt_authn`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema), schemars(rename = "Jwt"))]
#[serde(deny_unknown_fields)]
pub(super) struct RawJwt {
    /// What `payload_in_metadata` says in Envoy's configuration.
    pub(super) payload: String,
    /// A JSON pointer to the claim, such as `/sub` or `/org/id`.
    pub(super) claim: String,
}

/// A type of subject alternative name.
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema), schemars(rename = "San"))]
#[serde(rename_all = "lowercase")]
pub(super) enum RawSan {
    /// A URI, such as a SPIFFE id.
    Uri,
    /// A DNS name.
    Dns,
}

/// What becomes of a call of which no tenant is known.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema), schemars(rename = "Anonymous"))]
#[serde(untagged, expecting = "must be \"refuse\" or an object with only `tenant`, a string")]
pub(super) enum RawAnonymous {
    /// It is answered with 401.
    Refuse(Refuse),
    /// It counts for the tenant named here.
    Tenant(Object<RawTenant>),
}

/// The word `refuse`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(super) enum Refuse {
    /// It is answered with 401.
    Refuse,
}

/// The tenant of all calls of which none is known.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema), schemars(rename = "Tenant"))]
#[serde(deny_unknown_fields)]
pub(super) struct RawTenant {
    /// Its name.
    pub(super) tenant: String,
}

/// Which fields are written for the access log.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema), schemars(rename = "AccessLog"))]
#[serde(untagged, expecting = "must be \"all\" or a list of field names")]
pub(super) enum RawAccessLog {
    /// All there are.
    All(All),
    /// These.
    Names(#[cfg_attr(feature = "schema", schemars(schema_with = "log_fields"))] Vec<String>),
}

/// The word `all`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(super) enum All {
    /// All there are.
    All,
}

/// What is counted, and how finely.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema), schemars(rename = "Metrics"))]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawMetrics {
    /// Whether there are metrics at all.
    pub(super) enabled: bool,
    /// How many time series there may be in all. Beyond it, labels become `other`.
    #[serde(deserialize_with = "whole")]
    #[cfg_attr(feature = "schema", schemars(range(min = super::MAX_SERIES_MIN, max = super::MAX_SERIES_MAX)))]
    pub(super) max_series: u64,
    /// How many values each label may have. Beyond it, a new value becomes `other`.
    pub(super) max_values: Object<RawMaxValues>,
}

impl Default for RawMetrics {
    fn default() -> Self {
        let max_values = Object(RawMaxValues::default());
        Self { enabled: true, max_series: MAX_SERIES, max_values }
    }
}

/// How many values each label may have.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema), schemars(rename = "MaxValues"))]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawMaxValues {
    /// Tenants.
    #[serde(deserialize_with = "whole")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = super::MAX_VALUES_MAX)))]
    pub(super) tenant: u64,
    /// Features.
    #[serde(deserialize_with = "whole")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = super::MAX_VALUES_MAX)))]
    pub(super) feature: u64,
    /// Models.
    #[serde(deserialize_with = "whole")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = super::MAX_VALUES_MAX)))]
    pub(super) model: u64,
}

impl Default for RawMaxValues {
    fn default() -> Self {
        Self { tenant: MAX_TENANTS, feature: MAX_FEATURES, model: MAX_MODELS }
    }
}

/// Who answers at a host, in a cluster, or for a path.
#[derive(Debug, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(JsonSchema),
    schemars(
        rename = "Provider",
        extend(
            "anyOf" = [{"required": ["host"]}, {"required": ["cluster"]}, {"required": ["path"]}],
            "not" = {"required": ["host", "cluster"]}
        )
    )
)]
#[serde(deny_unknown_fields)]
pub(super) struct RawProvider {
    /// The host that the client calls, without a port; `*.example.com` means all below it.
    pub(super) host: Option<String>,
    /// The name of the cluster that Envoy routes to.
    pub(super) cluster: Option<String>,
    /// The path of the requests, without a query; with a `*` at its end, all that begin so.
    pub(super) path: Option<String>,
    /// The provider's name in metrics, access log and price book: `a-z`, `0-9` and `-`.
    pub(super) provider: String,
    /// The region of the endpoint there, which some models cost more in: `eu`, `us-gov-west-1`. Host
    /// and path say it for OpenAI, Vertex and Bedrock, if they are the provider's own.
    pub(super) region: Option<String>,
    /// `openai`, `anthropic`, `gemini`: only calls of this family are read there, others pass
    /// untouched. A call such as `openai.chat`: every `POST` there is this call, whatever its path.
    pub(super) api: Option<String>,
    /// Whether streams there are asked for the usage that their clients did not ask for; what the
    /// configuration's `include_usage` says if absent.
    pub(super) include_usage: Option<bool>,
}

/// The schema of a list of log fields.
#[cfg(feature = "schema")]
fn log_fields(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let names = LogField::ALL.map(LogField::name);
    schemars::json_schema!({"type": "array", "items": {"enum": names}})
}

/// The quota service.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema), schemars(rename = "Service"))]
#[serde(deny_unknown_fields)]
pub(super) struct RawService {
    /// The cluster of Envoy's configuration that it is.
    pub(super) cluster: String,
    /// The `:authority` of what is sent to it, if not the cluster's name.
    pub(super) host: Option<String>,
    /// The secret that is sent with it as a bearer token. Better let Envoy's credential injector
    /// add it: what stands here stands in Envoy's configuration dump.
    pub(super) secret: Option<String>,
    /// For how long an answer is waited for, in milliseconds.
    #[serde(default = "timeout_ms", deserialize_with = "whole")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = super::TIMEOUT_MS_MAX)))]
    pub(super) timeout_ms: u64,
    /// How often calls are reported, in milliseconds.
    #[serde(default = "sync_ms", deserialize_with = "whole")]
    #[cfg_attr(feature = "schema", schemars(range(min = super::SYNC_MS_MIN, max = super::SYNC_MS_MAX)))]
    pub(super) sync_ms: u64,
    /// What becomes of calls that cannot be decided because the service is away.
    #[serde(default)]
    pub(super) on_failure: Word<RawPolicy>,
    /// What becomes of calls of tenants that the service does not know.
    #[serde(default)]
    pub(super) unknown: Word<RawPolicy>,
}

/// Whether calls pass.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema), schemars(rename = "Policy"))]
#[serde(rename_all = "lowercase")]
pub(super) enum RawPolicy {
    /// They pass.
    #[default]
    Allow,
    /// They are refused.
    Refuse,
}

const fn timeout_ms() -> u64 {
    super::TIMEOUT_MS
}

const fn sync_ms() -> u64 {
    super::SYNC_MS
}
