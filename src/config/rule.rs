//! Rules that say who answers at a host or in a cluster.

use crate::provider::{Api, Shape};

/// Who answers at a place, where the host does not say it or says it wrongly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderRule {
    /// Where it holds.
    pub by: By,
    /// The provider's name: `a-z`, `0-9` and `-`.
    pub provider: String,
    /// The only API whose calls are read there, or `None` for all.
    pub api: Option<Family>,
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
    pub fn applies(&self, authority: &str, cluster: &str) -> bool {
        match &self.by {
            By::Host(pattern) => pattern.matches(authority),
            By::Cluster(name) => name == cluster,
        }
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
    fn patterns_are_host_names() {
        for text in ["", "*", "*.", "a.*.b", "**.b", "a:443", "[::1]", "http://a", "*..b", "ü.b"] {
            assert_eq!(HostPattern::parse(text), None, "{text}");
        }
    }
}
