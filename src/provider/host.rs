//! Who serves a call, told by the host it goes to.

use super::Api;

/// The provider behind a host (`:authority`, with or without a port), or the dialect's owner where
/// the host says nothing.
#[must_use]
pub fn provider_of(api: Api, authority: &str) -> &'static str {
    let host = authority.rsplit_once(':').map_or(authority, |(host, port)| {
        if port.bytes().all(|b| b.is_ascii_digit()) { host } else { authority }
    });
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let of = |&&(suffix, provider): &&(&str, &str)| {
        // Only Vertex has regions in front of its name, as in `us-central1-aiplatform`.
        let regional = |head: &str| provider == "vertex" && head.ends_with('-');
        let above = |head: &str| head.is_empty() || head.ends_with('.') || regional(head);
        host.strip_suffix(suffix).is_some_and(above)
    };
    HOSTS.iter().find(of).map_or(api.owner(), |&(_, provider)| provider)
}

/// Host suffixes, and the provider behind each; the names are those of the price book.
#[rustfmt::skip]
const HOSTS: &[(&str, &str)] = &[
    ("api.openai.com",                     "openai"),
    ("openai.azure.com",                   "azure"),
    ("cognitiveservices.azure.com",        "azure"),
    ("services.ai.azure.com",              "azure"),
    ("api.anthropic.com",                  "anthropic"),
    ("generativelanguage.googleapis.com",  "google"),
    ("aiplatform.googleapis.com",          "vertex"),
    ("api.mistral.ai",                     "mistral"),
    ("api.groq.com",                       "groq"),
    ("api.deepseek.com",                   "deepseek"),
    ("api.x.ai",                           "xai"),
    ("openrouter.ai",                      "openrouter"),
    ("api.perplexity.ai",                  "perplexity"),
    ("api.together.ai",                    "together"),
    ("api.together.xyz",                   "together"),
    ("api.fireworks.ai",                   "fireworks"),
    ("api.cerebras.ai",                    "cerebras"),
    ("api.z.ai",                           "zai"),
    ("open.bigmodel.cn",                   "zai"),
    ("api.moonshot.ai",                    "moonshot"),
    ("api.moonshot.cn",                    "moonshot"),
    ("ai-gateway.vercel.sh",               "vercel"),
    ("router.huggingface.co",              "huggingface"),
    ("ollama.com",                         "ollama"),
    ("snowflakecomputing.com",             "snowflake"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_tells_the_provider() {
        #[rustfmt::skip]
        let cases = [
            ("api.openai.com",                         "openai"),
            ("API.X.AI:443",                           "xai"),
            ("res.openai.azure.com",                   "azure"),
            ("us-central1-aiplatform.googleapis.com",  "vertex"),
            ("notapi.x.ai.evil.example",               "openai"),
            ("myapi.groq.com",                         "openai"),
            ("evil-api.x.ai",                          "openai"),
            ("api.groq.com.",                          "groq"),
            ("localhost:11434",                        "openai"),
            ("[::1]:8080",                             "openai"),
            ("",                                       "openai"),
        ];
        for (host, provider) in cases {
            assert_eq!(provider_of(Api::OpenAiChat, host), provider, "{host}");
        }
        assert_eq!(provider_of(Api::AnthropicMessages, "gateway.internal"), "anthropic");
    }
}
