//! Which call a request makes, told by its method and path alone.

/// A call that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// `POST …/chat/completions`.
    OpenAiChat,
    /// `POST …/v1/messages`.
    AnthropicMessages,
    /// `POST …/models/{model}:generateContent`.
    GeminiGenerate,
    /// `POST …/models/{model}:streamGenerateContent`.
    GeminiStream,
}

/// Whose error bodies a client of the call understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `{"error":{"message":…,"type":…,"code":…}}`.
    OpenAi,
    /// `{"type":"error","error":{"type":…,"message":…}}`.
    Anthropic,
    /// `{"error":{"code":…,"message":…,"status":…}}`.
    Google,
}

impl Api {
    /// The name in the access log.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::OpenAiChat => "openai.chat",
            Self::AnthropicMessages => "anthropic.messages",
            Self::GeminiGenerate => "gemini.generateContent",
            Self::GeminiStream => "gemini.streamGenerateContent",
        }
    }

    /// The shape of its errors.
    #[must_use]
    pub const fn shape(self) -> Shape {
        match self {
            Self::OpenAiChat => Shape::OpenAi,
            Self::AnthropicMessages => Shape::Anthropic,
            Self::GeminiGenerate | Self::GeminiStream => Shape::Google,
        }
    }

    /// Who serves the call where neither host nor configuration says otherwise.
    #[must_use]
    pub const fn owner(self) -> &'static str {
        match self {
            Self::OpenAiChat => "openai",
            Self::AnthropicMessages => "anthropic",
            Self::GeminiGenerate | Self::GeminiStream => "google",
        }
    }
}

/// What a path says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route<'a> {
    /// The call.
    pub api: Api,
    /// The model, or Azure's deployment, that the path names, percent-encoded as it stands there.
    pub model: Option<&'a str>,
}

/// The call that a request makes, or `None` where it is not one that is read.
#[must_use]
pub fn route<'a>(method: &str, path: &'a str) -> Option<Route<'a>> {
    if !method.eq_ignore_ascii_case("POST") {
        return None;
    }
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.ends_with("/chat/completions") {
        return Some(Route { api: Api::OpenAiChat, model: after(path, "/deployments/") });
    }
    if path.ends_with("/v1/messages") {
        return Some(Route { api: Api::AnthropicMessages, model: None });
    }
    let (head, method) = path.rsplit_once(':').or_else(|| path.rsplit_once("%3A"))?;
    let api = match method {
        "generateContent" => Api::GeminiGenerate,
        "streamGenerateContent" => Api::GeminiStream,
        _ => return None,
    };
    Some(Route { api, model: head.rsplit('/').next().filter(|model| !model.is_empty()) })
}

/// The path segment behind `marker`.
fn after<'a>(path: &'a str, marker: &str) -> Option<&'a str> {
    let (_, tail) = path.split_once(marker)?;
    tail.split('/').next().filter(|segment| !segment.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_tells_the_call() {
        use Api::{AnthropicMessages, GeminiGenerate, GeminiStream, OpenAiChat};
        #[rustfmt::skip]
        let cases = [
            ("/v1/chat/completions",                                  Some((OpenAiChat, None))),
            ("/v1/chat/completions/",                                 Some((OpenAiChat, None))),
            ("/openai/v1/chat/completions?x=/v1/messages",            Some((OpenAiChat, None))),
            ("//openai/deployments/gpt-4o/chat/completions?api-version=1", Some((OpenAiChat, Some("gpt-4o")))),
            ("/v1/messages?beta=true",                                Some((AnthropicMessages, None))),
            ("/anthropic/v1/messages",                                Some((AnthropicMessages, None))),
            ("/v1/messages/count_tokens",                             None),
            ("/v1/messages/batches",                                  None),
            ("/v1beta/models/gemini-2.5-pro:generateContent",         Some((GeminiGenerate, Some("gemini-2.5-pro")))),
            ("/v1beta/models/gemini-2.5-pro%3AgenerateContent",       Some((GeminiGenerate, Some("gemini-2.5-pro")))),
            ("/v1/projects/p/locations/l/publishers/google/models/g:streamGenerateContent?alt=sse", Some((GeminiStream, Some("g")))),
            ("/v1beta/models/g:countTokens",                          None),
            ("/v1/models",                                            None),
            ("/chat/completions",                                     Some((OpenAiChat, None))),
            ("",                                                      None),
        ];
        for (path, expected) in cases {
            let expected = expected.map(|(api, model)| Route { api, model });
            assert_eq!(route("POST", path), expected, "{path}");
        }
        assert_eq!(route("GET", "/v1/chat/completions"), None);
    }
}
