//! Which call a request makes, told by its method and path alone.

use std::borrow::Cow;

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The call.
    pub api: Api,
    /// The model, or Azure's deployment, that the path names, decoded.
    pub model: Option<String>,
}

/// The call that a request makes, or `None` where it is not one that is read.
///
/// A path is read as the most lenient server would: what some server may take for a call must not
/// pass for none here.
#[must_use]
pub fn route(method: &str, path: &str) -> Option<Route> {
    if !method.eq_ignore_ascii_case("POST") {
        return None;
    }
    let path = decoded(path.split(['?', '#']).next().unwrap_or_default());
    let segments = segments(&path);
    let ends = |first: &str, last: &str| match segments.as_slice() {
        [.., a, b] => a.eq_ignore_ascii_case(first) && b.eq_ignore_ascii_case(last),
        _ => false,
    };
    if ends("chat", "completions") {
        let deployment = segments.iter().skip_while(|name| **name != "deployments").nth(1);
        let model = deployment.map(|name| (*name).to_owned());
        return Some(Route { api: Api::OpenAiChat, model });
    }
    if ends("v1", "messages") {
        return Some(Route { api: Api::AnthropicMessages, model: None });
    }
    let (model, method) = segments.last()?.rsplit_once(':')?;
    let api = match method {
        _ if method.eq_ignore_ascii_case("generateContent") => Api::GeminiGenerate,
        _ if method.eq_ignore_ascii_case("streamGenerateContent") => Api::GeminiStream,
        _ => return None,
    };
    Some(Route { api, model: Some(model.to_owned()).filter(|model| !model.is_empty()) })
}

/// The names in a path, without parameters, blanks and what stands for nothing.
fn segments(path: &str) -> Vec<&str> {
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
fn decoded(path: &str) -> Cow<'_, str> {
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
            assert_eq!(route("POST", path), expected, "{path}");
        }
        assert_eq!(route("GET", "/v1/chat/completions"), None);
    }
}
