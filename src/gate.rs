//! What all calls of one configuration share.

use core::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::config::{By, Config, Reads, Unpriced};
use crate::desk::Own;
use crate::money::NanoUsd;
use crate::price::{Alias, Book, BookError, Multiplier, Override, OverrideError, Priced, Prices};
use crate::provider::{
    Api, Places, Route, Shape, needs_usage_option, provider_at, region_at, route,
};
use crate::request::Questions;
use crate::who::{Origin, Source};

/// One loaded configuration, ready for calls. A call keeps the gate it came in by.
#[derive(Debug)]
pub struct Gate {
    /// What the operator wants.
    pub config: Config,
    prices: RefCell<Rc<Prices>>,
    /// The budgets of the configuration, if it has any.
    pub own: Option<Own>,
    /// What answers are asked for.
    pub places: Places,
    questions: RefCell<Vec<(Api, Rc<Questions>)>>,
}

/// Why a configuration cannot be loaded.
#[derive(Debug)]
#[non_exhaustive]
pub enum GateError {
    /// The built-in price book cannot be read.
    Book(BookError),
    /// A price of the configuration cannot be used.
    Price(OverrideError),
}

impl core::fmt::Display for GateError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Book(error) => write!(f, "the price book: {error}"),
            Self::Price(error) => write!(f, "`prices`: {error}"),
        }
    }
}

/// Where a call goes, and what is known of it from that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The call.
    pub api: Api,
    /// The model that the path names, decoded.
    pub model: Option<String>,
    /// Who serves it.
    pub provider: String,
    /// The region of the endpoint, where that has one.
    pub region: Option<String>,
    /// Whether streams are asked for usage that the client did not ask for.
    pub asks_usage: bool,
    /// Whether the client has signed it, so that nothing of it may be changed.
    pub signed: bool,
}

impl Target {
    /// Whether the path's name for the model is the one that the call is charged by: Bedrock's own
    /// names have prices, those in the bodies of its vendors need not. An ARN may name no model.
    #[must_use]
    pub fn is_charged_by_path(&self) -> bool {
        let is_name = |model: &str| !model.starts_with("arn:");
        self.api.shape() == Shape::Bedrock && self.model.as_deref().is_some_and(is_name)
    }
}

impl Gate {
    /// Makes a configuration ready.
    ///
    /// # Errors
    ///
    /// Returns what of the prices cannot be used.
    pub fn new(config: Config) -> Result<Self, GateError> {
        Ok(Self {
            prices: RefCell::new(Rc::new(prices(&config)?)),
            questions: RefCell::default(),
            places: Places::default(),
            own: Own::of(&config),
            config,
        })
    }

    /// What calls cost that come in now.
    #[must_use]
    pub fn prices(&self) -> Rc<Prices> {
        Rc::clone(&self.prices.borrow())
    }

    /// Takes another book for calls to come, if it is newer; tells whether it is.
    pub fn take_book(&self, book: &Rc<Book>) -> bool {
        let now = self.prices();
        let newer = book.version() > now.version();
        if newer {
            self.prices.replace(Rc::new(now.with_book(Rc::clone(book))));
        }
        newer
    }

    /// What a request of this call is asked for, made at the first of them.
    #[must_use]
    pub fn questions(&self, api: Api) -> Rc<Questions> {
        let mut made = self.questions.borrow_mut();
        if let Some((_, questions)) = made.iter().find(|(own, _)| *own == api) {
            return Rc::clone(questions);
        }
        let pointers: Vec<&[String]> = body_pointers(&self.config).collect();
        let questions = Rc::new(Questions::new(api, &pointers));
        made.push((api, Rc::clone(&questions)));
        questions
    }

    /// Whether calls are decided by budgets, so that their requests wait for their bodies.
    #[must_use]
    pub const fn decides(&self) -> bool {
        self.config.service.is_some() || self.own.is_some()
    }

    /// Whether any rule wants to know the cluster.
    #[must_use]
    pub fn asks_for_cluster(&self) -> bool {
        self.config.providers.iter().any(|rule| matches!(rule.by, Some(By::Cluster(_))))
    }

    /// Where a request goes, or `None` if it is no call that is read.
    #[must_use]
    pub fn target(&self, method: &str, path: &str, host: &str, cluster: &str) -> Option<Target> {
        let rule = self.config.providers.iter().find(|rule| rule.applies(host, cluster, path));
        let provider = rule.map(|rule| rule.provider.as_str()).or_else(|| provider_at(host));
        let by_path = route(method, path, provider);
        let Route { api, model } = match rule.map_or(Reads::ByPath, |rule| rule.reads) {
            Reads::ByPath => by_path?,
            Reads::Only(family) => by_path.filter(|route| family.has(route.api))?,
            Reads::As(api) if method.eq_ignore_ascii_case("POST") => {
                Route { api, model: by_path.and_then(|route| route.model) }
            }
            Reads::As(_) => by_path?,
        };
        let provider = provider.unwrap_or(api.owner()).to_owned();
        let region = rule.and_then(|rule| rule.region.clone());
        let region = region.or_else(|| region_at(&provider, host, path));
        let region = region.filter(|region| region != GLOBAL);
        let asks_usage = rule.and_then(|rule| rule.include_usage);
        let asks_usage = asks_usage
            .unwrap_or_else(|| self.config.include_usage && needs_usage_option(&provider));
        let asks_usage = asks_usage && api.has_usage_option();
        Some(Target { api, model, provider, region, asks_usage, signed: false })
    }
}

/// What no region is called.
const GLOBAL: &str = "global";

fn prices(config: &Config) -> Result<Prices, GateError> {
    let book = Book::embedded().map_err(GateError::Book)?;
    let overrides = config
        .prices
        .iter()
        .map(|price| Override::new(price.provider.as_deref(), &price.model, &rates(&price.rates)));
    let overrides = overrides.collect::<Result<_, _>>().map_err(GateError::Price)?;
    let aliases = config.models.iter().map(|alias| {
        let (provider, model) = &alias.priced_as;
        Alias::new(alias.provider.as_deref(), &alias.model, (provider, model))
    });
    let aliases = aliases.collect::<Result<_, _>>().map_err(GateError::Price)?;
    let multipliers = config.multipliers.iter().map(|one| {
        let of = (one.provider.as_deref(), one.model.as_str());
        Multiplier::new(of, one.region.as_deref(), one.from, one.times)
    });
    let multipliers = multipliers.collect::<Result<_, _>>().map_err(GateError::Price)?;
    let prices = Prices::new(book, overrides).with_aliases(aliases).with_multipliers(multipliers);
    Ok(match &config.unpriced {
        Unpriced::Pass | Unpriced::Refuse => prices,
        Unpriced::Fallback(fallback) => prices.with_fallback(&rates(fallback)),
    })
}

fn rates(rates: &BTreeMap<Priced, u64>) -> Vec<(Priced, NanoUsd)> {
    rates.iter().map(|(&of, &nanos)| (of, NanoUsd::new(nanos))).collect()
}

/// The body pointers of all sources, in the order in which their values are asked for.
fn body_pointers(config: &Config) -> impl Iterator<Item = &[String]> {
    let sources =
        [&config.tenant, &config.feature, &config.user, &config.unit].into_iter().flatten();
    sources.filter_map(|source: &Source| match &source.origin {
        Origin::Body(pointer) => Some(pointer.tokens()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(json: &str) -> Gate {
        Gate::new(Config::parse(json.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn rules_count_for_more_than_hosts() {
        let gate = gate(
            r#"{"providers":[{"host":"llm.internal","provider":"mistral"},
                             {"cluster":"claude","provider":"anthropic"}]}"#,
        );
        let provider = |host, cluster| {
            gate.target("POST", "/v1/chat/completions", host, cluster).map(|t| t.provider)
        };
        assert_eq!(provider("llm.internal:8080", "x").as_deref(), Some("mistral"));
        assert_eq!(provider("api.groq.com", "claude").as_deref(), Some("anthropic"));
        assert_eq!(provider("api.groq.com", "x").as_deref(), Some("groq"));
    }

    #[test]
    fn a_rule_may_say_which_call_a_path_is() {
        let gate = gate(
            r#"{"providers":[{"path":"/ask/*","provider":"vllm","api":"openai.chat"},
                             {"host":"claude","provider":"anthropic","api":"anthropic"}]}"#,
        );
        let target = |method, path, host| gate.target(method, path, host, "").map(|t| t.api);
        assert_eq!(target("POST", "/ask/me?x", "h"), Some(Api::OpenAiChat));
        assert_eq!(target("GET", "/ask/me", "h"), None);
        assert_eq!(target("POST", "/v1/messages", "claude"), Some(Api::AnthropicMessages));
        assert_eq!(target("POST", "/v1/chat/completions", "claude"), None);
    }

    #[test]
    fn a_rule_or_the_endpoint_says_the_region() {
        let gate = gate(
            r#"{"providers":[{"host":"llm.internal","provider":"azure","region":"eu"},
                             {"cluster":"world","provider":"openai","region":"global"}]}"#,
        );
        let region = |host, cluster| {
            gate.target("POST", "/v1/chat/completions", host, cluster).and_then(|t| t.region)
        };
        assert_eq!(region("llm.internal", "x").as_deref(), Some("eu"));
        assert_eq!(region("us.api.openai.com", "x").as_deref(), Some("us"));
        assert_eq!(region("us.api.openai.com", "world"), None);
        assert_eq!(region("api.openai.com", "x"), None);
    }

    #[test]
    fn usage_is_asked_for_where_it_is_known_to_be_understood_or_the_operator_says_so() {
        let rules = r#""providers":[{"host":"vllm.internal","provider":"vllm","include_usage":true},
            {"host":"old.internal","provider":"openai","include_usage":false},
            {"host":"new.internal","provider":"openai"}]"#;
        let on = gate(&format!("{{{rules}}}"));
        let off = gate(&format!(r#"{{"include_usage":false,{rules}}}"#));
        let (chat, old) = ("/v1/chat/completions", "/v1/completions");
        #[rustfmt::skip]
        let cases = [
            // host                  path                 on     off
            ("api.openai.com",       chat,                true,  false),
            ("api.openai.com",       old,                 true,  false),
            ("gateway.internal",     chat,                true,  false),
            ("new.internal",         chat,                true,  false),
            ("old.internal",         chat,                false, false),
            ("vllm.internal",        chat,                true,  true),
            ("vllm.internal",        "/v1/embeddings",    false, false),
            ("api.openai.com",       "/v1/responses",     false, false),
            ("api.anthropic.com",    "/v1/messages",      false, false),
            ("a.openai.azure.com",   chat,                false, false),
            ("api.mistral.ai",       chat,                false, false),
        ];
        for (host, path, with, without) in cases {
            let asks = |gate: &Gate| gate.target("POST", path, host, "").unwrap().asks_usage;
            assert_eq!((asks(&on), asks(&off)), (with, without), "{host} {path}");
        }
    }
}
