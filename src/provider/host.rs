//! Who serves a call, told by the host it goes to.

/// The provider behind a host (`:authority`, with or without a port), where the host tells.
#[must_use]
pub fn provider_at(authority: &str) -> Option<&'static str> {
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
    let amazon = host.contains(".amazonaws.com") || host.ends_with(".api.aws");
    let bedrock = host.starts_with("bedrock") && amazon;
    let listed = HOSTS.iter().find(of).map(|&(_, provider)| provider);
    listed.or(bedrock.then_some("bedrock"))
}

/// Whether streams of this provider tell usage only if asked to, and it is known to take the option
/// in every version of its API.
#[must_use]
pub fn needs_usage_option(provider: &str) -> bool {
    ASKED_FOR_USAGE.contains(&provider)
}

/// Providers that take the option, and without it say nothing in some streams at least.
const ASKED_FOR_USAGE: [&str; 9] = [
    "openai",
    "alibaba",
    "avian",
    "baseten",
    "cloudflare",
    "databricks",
    "doubleword",
    "fireworks",
    "ovhcloud",
];

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
    ("api-inference.huggingface.co",       "huggingface"),
    ("api.cohere.com",                     "cohere"),
    ("api.cohere.ai",                      "cohere"),
    ("api.voyageai.com",                   "voyage"),
    ("api.writer.com",                     "writer"),
    ("api.studio.nebius.com",              "nebius"),
    ("api.studio.nebius.ai",               "nebius"),
    ("api.novita.ai",                      "novita"),
    ("api.deepinfra.com",                  "deepinfra"),
    ("api.hyperbolic.xyz",                 "hyperbolic"),
    ("api.sambanova.ai",                   "sambanova"),
    ("integrate.api.nvidia.com",           "nvidia"),
    ("dashscope.aliyuncs.com",             "alibaba"),
    ("dashscope-intl.aliyuncs.com",        "alibaba"),
    ("api.minimax.io",                     "minimax"),
    ("api.minimax.chat",                   "minimax"),
    ("api.githubcopilot.com",              "github-copilot"),
    ("models.github.ai",                   "github"),
    ("api.portkey.ai",                     "portkey"),
    ("inference.do-ai.run",                "digitalocean"),
    ("api.venice.ai",                      "venice"),
    ("ollama.com",                         "ollama"),
    ("azuredatabricks.net",                "databricks"),
    ("cloud.databricks.com",               "databricks"),
    ("gcp.databricks.com",                 "databricks"),
    ("api.cloudflare.com",                 "cloudflare"),
    ("ml.cloud.ibm.com",                   "watsonx"),
    ("api.aleph-alpha.com",                "aleph-alpha"),
    ("api.reka.ai",                        "reka"),
    ("api.jina.ai",                        "jina"),
    ("inference.baseten.co",               "baseten"),
    ("api.doubleword.ai",                  "doubleword"),
    ("api.avian.io",                       "avian"),
    ("endpoints.ai.cloud.ovh.net",         "ovhcloud"),
    ("api.tokenfactory.nebius.com",        "nebius"),
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
            ("bedrock-runtime.us-east-1.amazonaws.com", "bedrock"),
            ("bedrock-mantle.us-east-1.api.aws",       "bedrock"),
            ("adb-1.2.azuredatabricks.net",            "databricks"),
            ("eu-de.ml.cloud.ibm.com",                 "watsonx"),
            ("lambda.us-east-1.api.aws",               ""),
            ("bedrock.api.aws.evil.example",           ""),
            ("notapi.x.ai.evil.example",               ""),
            ("myapi.groq.com",                         ""),
            ("evil-api.x.ai",                          ""),
            ("api.groq.com.",                          "groq"),
            ("localhost:11434",                        ""),
            ("[::1]:8080",                             ""),
            ("",                                       ""),
        ];
        for (host, provider) in cases {
            assert_eq!(provider_at(host), Some(provider).filter(|name| !name.is_empty()), "{host}");
        }
    }
}
