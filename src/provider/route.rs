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

/// A Gemini path with its model changed, which is percent-encoded where need be; `None` where the
/// path names none.
#[must_use]
pub fn with_model(path: &str, model: &str) -> Option<String> {
    let (before, query) = path.split_at(path.find(['?', '#']).unwrap_or(path.len()));
    let colon = before.rfind(':').or_else(|| before.rfind("%3A"))?;
    let (head, method) = before.split_at(colon);
    let (parent, _) = head.rsplit_once('/')?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let encoded = model.bytes().map(|b| match plain(b) {
        true => char::from(b).to_string(),
        false => format!("%{b:02X}"),
    });
    Some(format!("{parent}/{}{method}{query}", encoded.collect::<String>()))
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
