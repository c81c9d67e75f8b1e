//! What all calls of one configuration share.

use crate::config::{By, Config, Family, ProviderRule};
use crate::money::NanoUsd;
use crate::price::{Book, BookError, Override, OverrideError, Prices};
use crate::provider::{Api, Places, Route, Shape, provider_of, route};
use crate::request::Questions;
use crate::who::{Origin, Source};

/// One loaded configuration, ready for calls. A call keeps the gate it came in by.
#[derive(Debug)]
pub struct Gate {
    /// What the operator wants.
    pub config: Config,
    /// What calls cost.
    pub prices: Prices,
    /// What answers are asked for.
    pub places: Places,
    openai: Questions,
    anthropic: Questions,
    google: Questions,
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
}

impl Gate {
    /// Makes a configuration ready.
    ///
    /// # Errors
    ///
    /// Returns what of the prices cannot be used.
    pub fn new(config: Config) -> Result<Self, GateError> {
        let book = Book::embedded().map_err(GateError::Book)?;
        let overrides = config.prices.iter().map(|price| {
            let rates = price.rates.iter().map(|(&of, &nanos)| (of, NanoUsd::new(nanos)));
            Override::new(price.provider.as_deref(), &price.model, &rates.collect::<Vec<_>>())
        });
        let overrides = overrides.collect::<Result<_, _>>().map_err(GateError::Price)?;
        let pointers: Vec<&[String]> = body_pointers(&config).collect();
        let questions = |shape| Questions::new(shape, &pointers);
        Ok(Self {
            openai: questions(Shape::OpenAi),
            anthropic: questions(Shape::Anthropic),
            google: questions(Shape::Google),
            prices: Prices::new(book, overrides),
            places: Places::default(),
            config,
        })
    }

    /// What a request of this shape is asked for.
    #[must_use]
    pub const fn questions(&self, shape: Shape) -> &Questions {
        match shape {
            Shape::OpenAi => &self.openai,
            Shape::Anthropic => &self.anthropic,
            Shape::Google => &self.google,
        }
    }

    /// Whether calls are decided by budgets, so that their requests wait for their bodies.
    #[must_use]
    pub const fn decides(&self) -> bool {
        self.config.service.is_some()
    }

    /// Whether any rule wants to know the cluster.
    #[must_use]
    pub fn asks_for_cluster(&self) -> bool {
        self.config.providers.iter().any(|rule| matches!(rule.by, By::Cluster(_)))
    }

    /// Where a request goes, or `None` if it is no call that is read.
    #[must_use]
    pub fn target(&self, method: &str, path: &str, host: &str, cluster: &str) -> Option<Target> {
        let rule = self.config.providers.iter().find(|rule| rule.applies(host, cluster));
        let Route { api, model } = route(method, path)?;
        if rule.and_then(|rule| rule.api).is_some_and(|family| family != family_of(api)) {
            return None;
        }
        let provider = match rule {
            Some(ProviderRule { provider, .. }) => provider.clone(),
            None => provider_of(api, host).to_owned(),
        };
        Some(Target { api, model, provider })
    }
}

/// The body pointers of all sources, in the order in which their values are asked for.
fn body_pointers(config: &Config) -> impl Iterator<Item = &[String]> {
    let sources = config.tenant.iter().chain(&config.feature).chain(&config.user);
    sources.filter_map(|source: &Source| match &source.origin {
        Origin::Body(pointer) => Some(pointer.tokens()),
        _ => None,
    })
}

const fn family_of(api: Api) -> Family {
    match api.shape() {
        Shape::OpenAi => Family::OpenAi,
        Shape::Anthropic => Family::Anthropic,
        Shape::Google => Family::Gemini,
    }
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
}
