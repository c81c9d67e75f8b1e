//! Which call a request makes, told by its method and path alone.

use std::borrow::Cow;

use super::Api;

/// What a path says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The call.
    pub api: Api,
    /// The model, or Azure's deployment, that the path names, decoded.
    pub model: Option<String>,
}

/// The call that a request makes, or `None` where it is not one that is known. `provider` is the one
/// that the host tells, where it tells any.
///
/// A path is read as the most lenient server would: what some server may take for a call must not
/// pass for none here.
#[must_use]
pub fn route(method: &str, path: &str, provider: Option<&str>) -> Option<Route> {
    let path = decoded(path.split(['?', '#']).next().unwrap_or_default());
    let segments = segments(&path);
    let lower: Vec<String> = segments.iter().map(|name| name.to_ascii_lowercase()).collect();
    let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
    if method.eq_ignore_ascii_case("GET") {
        return poll(&lower).map(|api| Route { api, model: None });
    }
    if !method.eq_ignore_ascii_case("POST") {
        return None;
    }
    let known = openai(&lower).or_else(|| others(&lower, provider));
    if let Some(api) = known.or_else(|| hosted(&lower, provider)) {
        let model = named(&segments, &lower);
        return Some(Route { api, model: model.map(str::to_owned) });
    }
    let by_model = bedrock(&segments, &lower).or_else(|| google(&segments, &lower));
    by_model.or_else(|| cloudflare(&segments, &lower))
}

/// Azure's deployments, Databricks' endpoints, and the engines of OpenAI before models.
fn named<'a>(segments: &[&'a str], lower: &[&str]) -> Option<&'a str> {
    let at = match lower {
        [head @ .., "serving-endpoints", _, "invocations"] => head.len(),
        _ => lower.iter().position(|name| matches!(*name, "deployments" | "engines"))?,
    };
    segments.get(at.checked_add(1)?).copied()
}

/// What asks for the outcome of a call made before.
fn poll(path: &[&str]) -> Option<Api> {
    match path {
        [.., "responses", id] if !id.is_empty() => Some(Api::OpenAiResponsePoll),
        [.., "interactions", id] if !id.is_empty() => Some(Api::GeminiInteractionPoll),
        [.., "threads", _, "runs", _] => Some(Api::OpenAiRunPoll),
        [.., "chat", "deferred-completion", _] => Some(Api::XaiDeferredPoll),
        [.., "async", "chat", "completions", _] | [.., "async", "sonar", _] => {
            Some(Api::PerplexityAsyncPoll)
        }
        _ => None,
    }
}

fn openai(path: &[&str]) -> Option<Api> {
    Some(match path {
        [.., "async", "chat", "completions"] | [.., "async", "sonar"] => Api::PerplexityAsync,
        // Perplexity's newer path.
        [.., "chat", "completions"] | [.., "v1", "sonar"] => Api::OpenAiChat,
        [.., "completions"] | [.., "v1", "edits"] => Api::OpenAiCompletions,
        [.., "responses"] => Api::OpenAiResponses,
        [.., "responses", "compact"] => Api::OpenAiCompact,
        [.., "responses", _, "cancel"] => Api::OpenAiResponsePoll,
        [.., "api", "embeddings"] => Api::OllamaEmbed,
        [.., "embeddings"] => Api::OpenAiEmbeddings,
        [.., "images", "generations" | "edits" | "variations"] => Api::OpenAiImages,
        [.., "audio", "transcriptions"] => Api::OpenAiTranscriptions,
        [.., "audio", "translations"] => Api::OpenAiTranslations,
        [.., "audio", "speech"] => Api::OpenAiSpeech,
        [.., "moderations"] => Api::OpenAiModerations,
        [.., "threads", "runs"] | [.., "threads", _, "runs"] => Api::OpenAiRuns,
        [.., "threads", _, "runs", _, "submit_tool_outputs"] => Api::OpenAiRuns,
        [.., "threads", _, "runs", _] | [.., "threads", _, "runs", _, "cancel"] => {
            Api::OpenAiRunPoll
        }
        _ => return None,
    })
}

fn others(path: &[&str], provider: Option<&str>) -> Option<Api> {
    Some(match path {
        [.., "v1", "messages"] => Api::AnthropicMessages,
        [.., "v1", "messages", "count_tokens"] => Api::AnthropicCountTokens,
        [.., "v1", "complete"] => Api::AnthropicComplete,
        [.., "interactions"] => Api::GeminiInteractions,
        [.., "interactions", _, "cancel"] => Api::GeminiInteractionPoll,
        [.., "api", "chat"] => Api::OllamaChat,
        [.., "api", "generate"] => Api::OllamaGenerate,
        [.., "api", "embed"] => Api::OllamaEmbed,
        [.., "v1", "chat"] if provider == Some("writer") => Api::OpenAiChat,
        [.., "v1", "chat"] => Api::CohereV1Chat,
        [.., "v2", "chat"] => Api::CohereChat,
        [.., "v1", "generate"] => Api::CohereV1Generate,
        [.., "v1" | "v2", "embed"] => Api::CohereEmbed,
        [.., "rerank"] => Api::Rerank,
        [.., "ocr"] => Api::MistralOcr,
        [.., "generate" | "generate_stream"] => Api::TgiGenerate,
        [.., "models", _, _] if provider == Some("huggingface") => Api::HfInference,
        _ => return None,
    })
}

/// Calls that vendors have at paths of their own, and that speak what others speak.
fn hosted(path: &[&str], provider: Option<&str>) -> Option<Api> {
    Some(match path {
        // watsonx
        [.., "text", "chat" | "chat_stream"] => Api::VendorChat,
        [.., "text", "generation" | "generation_stream"] if path.contains(&"ml") => {
            Api::TgiGenerate
        }
        [.., "generation", "text" | "text_stream"] if path.contains(&"ml") => Api::TgiGenerate,
        // Databricks, Snowflake, MiniMax
        [.., "serving-endpoints", _, "invocations"] => Api::OpenAiChat,
        [.., "cortex", "inference:complete"] => Api::OpenAiChat,
        [.., "cortex", "inference:embed"] => Api::OpenAiEmbeddings,
        [.., "text", "chatcompletion_v2" | "chatcompletion_pro"] => Api::OpenAiChat,
        // DashScope
        [.., "services", "aigc", "text-generation" | "multimodal-generation", "generation"] => {
            Api::VendorChat
        }
        [.., "services", "embeddings", _, _] => Api::OpenAiEmbeddings,
        [.., "services", "rerank", _, _] => Api::Rerank,
        // Voyage
        [.., "multimodalembeddings" | "contextualizedembeddings"] => Api::OpenAiEmbeddings,
        // llama.cpp
        [.., "completion" | "infill"] if provider.is_none() => Api::TgiGenerate,
        [.., "conversations"] | [.., "conversations", _] | [.., "conversations", _, "restart"]
            if provider == Some("mistral") =>
        {
            Api::VendorChat
        }
        [.., "inference", _, _] if provider == Some("deepinfra") => Api::TgiGenerate,
        [.., "complete"] if provider == Some("aleph-alpha") => Api::TgiGenerate,
        [.., "models", _, _, "pipeline", _] if provider == Some("huggingface") => Api::HfInference,
        _ => return None,
    })
}

/// `…/run/@cf/{owner}/{model}`, and the same behind Cloudflare's gateway, of models that write.
fn cloudflare(path: &[&str], lower: &[&str]) -> Option<Route> {
    let at = lower.iter().position(|name| matches!(*name, "@cf" | "@hf"))?;
    let before = lower.get(at.checked_sub(1)?)?;
    let model = path.get(at..)?.join("/");
    let writes = !OTHER_THAN_TEXT.iter().any(|word| model.contains(word));
    (writes && matches!(*before, "run" | "workers-ai"))
        .then_some(Route { api: Api::VendorChat, model: Some(model) })
}

/// `…/model/{id}/{verb}`. The id of a resource has slashes of its own.
fn bedrock(path: &[&str], lower: &[&str]) -> Option<Route> {
    let (verb, _) = lower.split_last()?;
    let api = match *verb {
        "converse" => Api::BedrockConverse,
        "converse-stream" => Api::BedrockConverseStream,
        "invoke" => Api::BedrockInvoke,
        "invoke-with-response-stream" => Api::BedrockInvokeStream,
        "count-tokens" => Api::BedrockCountTokens,
        _ => return None,
    };
    let start = lower.iter().position(|name| *name == "model")?.checked_add(1)?;
    let id = path.get(start..path.len().checked_sub(1)?)?.join("/");
    (!id.is_empty()).then_some(Route { api, model: Some(id) })
}

/// `…/{model}:{method}`.
fn google(path: &[&str], lower: &[&str]) -> Option<Route> {
    let (model, _) = path.last()?.rsplit_once(':')?;
    let (_, method) = lower.last()?.rsplit_once(':')?;
    let publisher = lower.iter().skip_while(|name| **name != "publishers").nth(1);
    let api = match (method, publisher.copied()) {
        ("generatecontent", _) => Api::GeminiGenerate,
        ("streamgeneratecontent", _) => Api::GeminiStream,
        ("embedcontent" | "batchembedcontents" | "asyncbatchembedcontent", _) => Api::GeminiEmbed,
        ("counttokens", _) => Api::GeminiCountTokens,
        ("predict" | "predictlongrunning", _) => Api::VertexPredict,
        ("rawpredict", Some("anthropic")) if model.eq_ignore_ascii_case("count-tokens") => {
            Api::AnthropicCountTokens
        }
        ("rawpredict" | "streamrawpredict", Some("anthropic")) => Api::VertexAnthropic,
        ("rawpredict" | "streamrawpredict", _) => Api::VertexOpenAi,
        _ => return None,
    };
    // Google's code assistant has the version of its API there, and the model in the body.
    let model = Some(model).filter(|model| !model.is_empty() && *model != "v1internal");
    Some(Route { api, model: model.map(str::to_owned) })
}

/// What models at Cloudflare are called that draw, listen or speak: they are not charged by the token.
const OTHER_THAN_TEXT: [&str; 8] =
    ["flux", "diffusion", "dreamshaper", "leonardo", "whisper", "deepgram", "tts", "resnet"];

/// The names in a path, without parameters, blanks and what stands for nothing.
pub(super) fn segments(path: &str) -> Vec<&str> {
    let mut segments = Vec::with_capacity(10);
    for segment in path.split(['/', '\\']) {
        match segment.split([';', '?', '#']).next().unwrap_or_default().trim() {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            name => segments.push(name),
        }
    }
    segments
}

/// A path without its percent-encoding; what is none stays as it is.
pub(super) fn decoded(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return path.into();
    }
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let pair = tail.first_chunk().filter(|_| byte == b'%').and_then(|pair| hex(*pair));
        bytes.push(pair.unwrap_or(byte));
        rest = if pair.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned().into()
}

fn hex(pair: [u8; 2]) -> Option<u8> {
    let text = core::str::from_utf8(&pair).ok().filter(|text| !text.starts_with('+'))?;
    u8::from_str_radix(text, 16).ok()
}

/// A Gemini path with its model changed, which is percent-encoded where need be; `None` where the
/// path names none.
#[must_use]
pub fn with_model(path: &str, model: &str) -> Option<String> {
    let (before, query) = path.split_at(path.find(['?', '#']).unwrap_or(path.len()));
    let colon = before.rfind(':').or_else(|| before.to_ascii_uppercase().rfind("%3A"))?;
    let (head, method) = before.split_at(colon);
    let (parent, _) = head.rsplit_once('/')?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let encoded = model.bytes().map(|b| match plain(b) {
        true => char::from(b).to_string(),
        false => format!("%{b:02X}"),
    });
    Some(format!("{parent}/{}{method}{query}", encoded.collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_in_a_path_is_changed_and_nothing_else() {
        #[rustfmt::skip]
        let cases = [
            ("/v1beta/models/gemini-2.5-pro:generateContent?key=a:b", Some("/v1beta/models/small%2F1:generateContent?key=a:b")),
            ("/v1/models/g%3AstreamGenerateContent",                  Some("/v1/models/small%2F1%3AstreamGenerateContent")),
            ("/v1/chat/completions",                                  None),
        ];
        for (path, expected) in cases {
            assert_eq!(with_model(path, "small/1").as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn the_path_tells_the_call() {
        use Api::*;
        #[rustfmt::skip]
        let cases = [
            ("/v1/chat/completions",                                  Some((OpenAiChat, None))),
            ("/v1/chat/completions/",                                 Some((OpenAiChat, None))),
            ("/openai/v1/chat/completions?x=/v1/messages",            Some((OpenAiChat, None))),
            ("//openai/deployments/gpt-4o/chat/completions?api-version=1", Some((OpenAiChat, Some("gpt-4o")))),
            ("/v1/messages?beta=true",                                Some((AnthropicMessages, None))),
            ("/anthropic/v1/messages",                                Some((AnthropicMessages, None))),
            ("/v1/messages/count_tokens",                             Some((AnthropicCountTokens, None))),
            ("/v1/messages/batches",                                  None),
            ("/v1beta/models/gemini-2.5-pro:generateContent",         Some((GeminiGenerate, Some("gemini-2.5-pro")))),
            ("/v1beta/models/gemini-2.5-pro%3AgenerateContent",       Some((GeminiGenerate, Some("gemini-2.5-pro")))),
            ("/v1/projects/p/locations/l/publishers/google/models/g:streamGenerateContent?alt=sse", Some((GeminiStream, Some("g")))),
            ("/v1beta/models/g:countTokens",                          Some((GeminiCountTokens, Some("g")))),
            ("/v1/completions",                                       Some((OpenAiCompletions, None))),
            ("/v1/edits",                                             Some((OpenAiCompletions, None))),
            ("/v1/fim/completions",                                   Some((OpenAiCompletions, None))),
            ("/v1/engines/davinci/completions",                       Some((OpenAiCompletions, Some("davinci")))),
            ("/v1/proxy/openai/v1/chat/completions?a=1&b=/v1/files#x", Some((OpenAiChat, None))),
            ("/v1/acct/gw/openai/chat/completions",                   Some((OpenAiChat, None))),
            ("/api/v1/messages",                                      Some((AnthropicMessages, None))),
            ("/inference/v1/completions",                             Some((OpenAiCompletions, None))),
            ("/v1/projects/p/locations/l/endpoints/openapi/chat/completions", Some((OpenAiChat, None))),
            ("/v1alpha/models/g:generateContent",                     Some((GeminiGenerate, Some("g")))),
            ("/v1beta1/publishers/google/models/g:generateContent",   Some((GeminiGenerate, Some("g")))),
            ("/v1beta/tunedModels/t:streamGenerateContent?%24alt=sse", Some((GeminiStream, Some("t")))),
            ("/proxy/bedrock/model/m/converse",                       Some((BedrockConverse, Some("m")))),
            ("/async/chat/completions",                               Some((PerplexityAsync, None))),
            ("/v1/sonar",                                             Some((OpenAiChat, None))),
            ("/v1/async/sonar",                                       Some((PerplexityAsync, None))),
            ("/v1/batches",                                           None),
            ("/v1/files",                                             None),
            ("/v1/realtime",                                          None),
            ("/v1/realtime/client_secrets",                           None),
            ("/v1/fine_tuning/jobs",                                  None),
            ("/v1/vector_stores/v/search",                            None),
            ("/v1/chat/completions/chatcmpl-1",                       None),
            ("/v1/responses/input_tokens",                            None),
            ("/v1beta/models/g:batchGenerateContent",                 None),
            ("/v1beta/cachedContents",                                None),
            ("/upload/v1beta/files",                                  None),
            ("/model/m/async-invoke",                                 None),
            ("/guardrail/g/version/1/apply",                          None),
            ("/v1/tokenize",                                          None),
            ("/openai/v1/responses",                                  Some((OpenAiResponses, None))),
            ("/v1/responses/compact",                                 Some((OpenAiCompact, None))),
            ("/v1/threads/t/runs",                                    Some((OpenAiRuns, None))),
            ("/api/v1/embeddings",                                    Some((OpenAiEmbeddings, None))),
            ("/api/embeddings",                                       Some((OllamaEmbed, None))),
            ("/api/chat",                                             Some((OllamaChat, None))),
            ("/v1/chat",                                              Some((CohereV1Chat, None))),
            ("/v2/chat",                                              Some((CohereChat, None))),
            ("/v1/generate",                                          Some((CohereV1Generate, None))),
            ("/generate_stream",                                      Some((TgiGenerate, None))),
            ("/models/HuggingFaceH4/zephyr",                          None),
            ("/model/us.anthropic.claude-v1%3A0/converse",            Some((BedrockConverse, Some("us.anthropic.claude-v1:0")))),
            ("/model/arn%3Aaws%3Abedrock%3Aus%3A1%3Aapplication-inference-profile%2Fab/invoke", Some((BedrockInvoke, Some("arn:aws:bedrock:us:1:application-inference-profile/ab")))),
            ("/model/m/invoke-with-response-stream",                  Some((BedrockInvokeStream, Some("m")))),
            ("/model/converse",                                       None),
            ("/v1/projects/p/locations/l/publishers/anthropic/models/c@1:streamRawPredict", Some((VertexAnthropic, Some("c@1")))),
            ("/v1/projects/p/locations/l/publishers/mistralai/models/m:rawPredict", Some((VertexOpenAi, Some("m")))),
            ("/v1/projects/p/locations/l/publishers/google/models/t:predict", Some((VertexPredict, Some("t")))),
            ("/v1/models",                                            None),
            ("/ml/v1/text/chat_stream?version=1",                     Some((VendorChat, None))),
            ("/ml/v1/deployments/d/text/generation_stream",           Some((TgiGenerate, Some("d")))),
            ("/ml/v1-beta/generation/text",                           Some((TgiGenerate, None))),
            ("/images/text/generation",                               None),
            ("/serving-endpoints/My-Claude/invocations",              Some((OpenAiChat, Some("My-Claude")))),
            ("/serving-endpoints/chat/completions",                   Some((OpenAiChat, None))),
            ("/api/v2/cortex/inference:complete",                     Some((OpenAiChat, None))),
            ("/v1/text/chatcompletion_v2",                            Some((OpenAiChat, None))),
            ("/api/v1/services/aigc/multimodal-generation/generation", Some((VendorChat, None))),
            ("/api/v1/services/embeddings/text-embedding/text-embedding", Some((OpenAiEmbeddings, None))),
            ("/v1/multimodalembeddings",                              Some((OpenAiEmbeddings, None))),
            ("/completion",                                           Some((TgiGenerate, None))),
            ("/client/v4/accounts/a/ai/run/@cf/meta/Llama-3",         Some((VendorChat, Some("@cf/meta/Llama-3")))),
            ("/v1/a/gw/workers-ai/@cf/meta/llama-3",                  Some((VendorChat, Some("@cf/meta/llama-3")))),
            ("/client/v4/accounts/a/ai/run/@cf/black-forest-labs/flux-1-schnell", None),
            ("/users/@cf/x",                                          None),
            ("/v1internal:streamGenerateContent?alt=sse",             Some((GeminiStream, None))),
            ("/v1/chat%2Fcompletions;a=b//%20",                       Some((OpenAiChat, None))),
            ("/v1/%63hat/./x/../completions%3Fa",                     Some((OpenAiChat, None))),
            ("//V1//Messages%2f",                                     Some((AnthropicMessages, None))),
            ("/v1beta/models/a%zz%+1%3agenerateContent",              Some((GeminiGenerate, Some("a%zz%+1")))),
            ("/chat/completions",                                     Some((OpenAiChat, None))),
            ("",                                                      None),
        ];
        for (path, expected) in cases {
            let expected: Option<(Api, Option<&str>)> = expected;
            let expected =
                expected.map(|(api, model)| Route { api, model: model.map(str::to_owned) });
            assert_eq!(route("POST", path, None), expected, "{path}");
        }
        let got = |path| route("GET", path, None).map(|route| route.api);
        for method in ["HEAD", "OPTIONS", "DELETE", "PUT", "PATCH", ""] {
            assert_eq!(route(method, "/v1/chat/completions", None), None, "{method}");
        }
        assert_eq!(got("/v1/chat/completions"), None);
        assert_eq!(got("/v1/realtime?model=gpt-realtime"), None);
        assert_eq!(got("/v1/responses/resp_1?stream=true"), Some(OpenAiResponsePoll));
        assert_eq!(got("/v1/responses/resp_1/input_items"), None);
        assert_eq!(got("/v1/threads/t/runs/r"), Some(OpenAiRunPoll));
        assert_eq!(got("/v1/chat/deferred-completion/r"), Some(XaiDeferredPoll));
        assert_eq!(got("/async/chat/completions/p"), Some(PerplexityAsyncPoll));
        assert_eq!(got("/v1/async/sonar/p"), Some(PerplexityAsyncPoll));
        for path in
            ["/async/chat/completions", "/v1/async/sonar", "/v1/batches/b", "/v1/files/f/content"]
        {
            assert_eq!(got(path), None, "{path}");
        }
        assert_eq!(got("/v1beta/interactions/v1_x?stream=true"), Some(GeminiInteractionPoll));
        let inference = route("POST", "/models/a/b", Some("huggingface"));
        assert_eq!(inference.map(|route| route.api), Some(HfInference));
        #[rustfmt::skip]
        let at_home = [
            ("writer",      "/v1/chat",                           OpenAiChat),
            ("reka",        "/v1/chat",                           CohereV1Chat),
            ("mistral",     "/v1/conversations/c/restart",        VendorChat),
            ("deepinfra",   "/v1/inference/meta/llama",           TgiGenerate),
            ("aleph-alpha", "/complete",                          TgiGenerate),
            ("huggingface", "/hf-inference/models/a/b/pipeline/x", HfInference),
        ];
        for (provider, path, api) in at_home {
            let here = route("POST", path, Some(provider)).map(|route| route.api);
            let elsewhere = route("POST", path, Some("openai")).map(|route| route.api);
            assert_eq!(here, Some(api), "{provider} {path}");
            assert!(elsewhere.is_none() || path == "/v1/chat", "{path}");
        }
    }
}
