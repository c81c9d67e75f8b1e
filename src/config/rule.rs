//! Rules that say who answers at a host or in a cluster.

use crate::provider::{Api, Shape};

/// Who answers at a place, where the host does not say it or says it wrongly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderRule {
    /// Where it holds; everywhere if absent.
    pub by: Option<By>,
    /// For which paths, or all if absent.
    pub path: Option<PathPattern>,
    /// The provider's name: `a-z`, `0-9` and `-`.
    pub provider: String,
    /// The region of the endpoint there; as host and path say, if absent.
    pub region: Option<String>,
    /// What is read there.
    pub reads: Reads,
    /// Whether streams are asked for usage there, or `None` for what holds elsewhere.
    pub include_usage: Option<bool>,
}

/// What is read at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// What the path says.
    ByPath,
    /// What the path says, if it is of this family.
    Only(Family),
    /// This call, whatever the path says.
    As(Api),
}

impl Reads {
    /// Reads the name of a family or of a call.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let family = Family::ALL.into_iter().find(|family| family.name() == name);
        let api = || Api::ALL.into_iter().find(|api| !api.is_poll() && api.label() == name);
        family.map(Self::Only).or_else(|| api().map(Self::As))
    }
}

/// A path, or the beginning of paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern(String);

impl PathPattern {
    /// Reads a pattern, or returns `None` where the text is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let stem = text.strip_suffix('*').unwrap_or(text);
        let legal = |b: u8| b.is_ascii_graphic() && !b"*?#".contains(&b);
        (text.starts_with('/') && stem.bytes().all(legal)).then(|| Self(text.to_owned()))
    }

    /// Whether the path of a request, which may have a query, is meant.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        match self.0.strip_suffix('*') {
            Some(stem) => path.starts_with(stem),
            None => path == self.0,
        }
    }
}

/// Where a rule holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// At the hosts that the client calls by such a name.
    Host(HostPattern),
    /// In the cluster of this name.
    Cluster(String),
}

/// A family of APIs that are read alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Chat completions as OpenAI defined them.
    OpenAi,
    /// Anthropic's Messages.
    Anthropic,
    /// Google's generateContent.
    Gemini,
}

impl Family {
    /// Every family.
    pub const ALL: [Self; 3] = [Self::OpenAi, Self::Anthropic, Self::Gemini];

    /// The name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
        }
    }

    /// Whether a call belongs to the family.
    #[must_use]
    pub fn has(self, api: Api) -> bool {
        api.shape()
            == match self {
                Self::OpenAi => Shape::OpenAi,
                Self::Anthropic => Shape::Anthropic,
                Self::Gemini => Shape::Google,
            }
    }
}

impl ProviderRule {
    /// Whether the rule holds for a call to `authority` that Envoy routes to `cluster`.
    #[must_use]
    pub fn applies(&self, authority: &str, cluster: &str, path: &str) -> bool {
        let here = match &self.by {
            Some(By::Host(pattern)) => pattern.matches(authority),
            Some(By::Cluster(name)) => name == cluster,
            None => true,
        };
        here && self.path.as_ref().is_none_or(|pattern| pattern.matches(path))
    }
}

/// The name of a host, or `*.` and a name for all hosts below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern(String);

impl HostPattern {
    /// Reads a pattern, or returns `None` where the text is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let name = text.strip_prefix("*.").unwrap_or(text);
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
        let fits = (1..=MAX_HOST).contains(&name.len()) && name.bytes().all(legal);
        (fits && !name.starts_with('.')).then(|| Self(text.to_ascii_lowercase()))
    }

    /// Whether `authority`, a host with or without a port, is meant.
    #[must_use]
    pub fn matches(&self, authority: &str) -> bool {
        let host = authority.split_once(':').map_or(authority, |(host, _)| host);
        let Some(parent) = self.0.strip_prefix('*') else {
            return host.eq_ignore_ascii_case(&self.0);
        };
        let Some((below, end)) =
            host.len().checked_sub(parent.len()).and_then(|at| host.split_at_checked(at))
        else {
            return false;
        };
        !below.is_empty() && end.eq_ignore_ascii_case(parent)
    }
}

/// Bytes of a host's name in the DNS.
const MAX_HOST: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_match_by_name_whatever_the_case_and_the_port() {
        #[rustfmt::skip]
        let cases = [
            // pattern             authority                 expected
            ("llm.internal",       "llm.internal",           true),
            ("LLM.internal",       "llm.Internal:8443",      true),
            ("llm.internal",       "a.llm.internal",         false),
            ("*.openai.azure.com", "acme.openai.azure.com",  true),
            ("*.openai.azure.com", "A.B.OpenAI.azure.com:1", true),
            ("*.openai.azure.com", "openai.azure.com",       false),
            ("*.openai.azure.com", ".openai.azure.com",      false),
            ("*.openai.azure.com", "evilopenai.azure.com",   false),
            ("*.b",                "ü.b",                    true),
            ("*.b",                "ü",                      false),
            ("llm.internal",       "",                       false),
        ];
        for (pattern, authority, expected) in cases {
            let pattern = HostPattern::parse(pattern).unwrap();
            assert_eq!(pattern.matches(authority), expected, "{pattern:?} {authority}");
        }
    }

    #[test]
    fn paths_match_as_a_whole_or_by_their_beginning() {
        #[rustfmt::skip]
        let cases = [
            ("/llm",   "/llm?x=/v1",  true),
            ("/llm",   "/llm/a",      false),
            ("/llm/*", "/llm/a?b",    true),
            ("/llm/*", "/llm",        false),
            ("/*",     "/",           true),
        ];
        for (pattern, path, expected) in cases {
            assert_eq!(
                PathPattern::parse(pattern).unwrap().matches(path),
                expected,
                "{pattern} {path}"
            );
        }
        for text in ["", "llm", "/a*b", "/a?b", "/a b", "*"] {
            assert_eq!(PathPattern::parse(text), None, "{text}");
        }
    }

    #[test]
    fn families_and_calls_have_names_and_polls_have_none() {
        assert_eq!(Reads::named("openai"), Some(Reads::Only(Family::OpenAi)));
        assert_eq!(Reads::named("openai.responses"), Some(Reads::As(Api::OpenAiResponses)));
        assert_eq!(Reads::named("openai.chats"), None);
    }

    #[test]
    fn patterns_are_host_names() {
        for text in ["", "*", "*.", "a.*.b", "**.b", "a:443", "[::1]", "http://a", "*..b", "ü.b"] {
            assert_eq!(HostPattern::parse(text), None, "{text}");
        }
    }
}
