//! Where a request says how long its answer may become, and how that is cut down.

use std::rc::Rc;

use super::edit::{place, splice};
use crate::json::{Found, How, Scanner, Spec};
use crate::provider::{Api, Shape};

/// How long an answer may become at most, and where a request says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Most {
    site: &'static Site,
    /// In tokens.
    tokens: u64,
}

/// Where requests of a dialect say how long an answer may become.
#[derive(Debug, PartialEq, Eq)]
struct Site {
    /// The objects that it may stand in; none: the document itself.
    within: &'static [&'static str],
    /// Its names.
    keys: &'static [&'static str],
}

impl Most {
    /// The place in requests of `api` to `provider`; `None` where there is none.
    #[must_use]
    pub fn of(api: Api, provider: &str, tokens: u64) -> Option<Self> {
        let site = match api {
            // Newer models of OpenAI's refuse the older name, and servers of others the newer one.
            Api::OpenAiChat if matches!(provider, "openai" | "azure") => &CHAT_NEW,
            Api::OpenAiChat => &CHAT,
            Api::OpenAiResponses => &RESPONSES,
            Api::OpenAiCompletions
            | Api::AnthropicMessages
            | Api::VertexAnthropic
            | Api::CohereV1Chat
            | Api::CohereChat => &PLAIN,
            Api::GeminiGenerate | Api::GeminiStream => &GEMINI,
            Api::BedrockConverse | Api::BedrockConverseStream => &CONVERSE,
            Api::OllamaChat | Api::OllamaGenerate => &OLLAMA,
            _ => return None,
        };
        debug_assert!(api.shape() != Shape::Bedrock || !site.within.is_empty());
        Some(Self { site, tokens })
    }

    /// The tokens.
    #[must_use]
    pub const fn tokens(&self) -> u64 {
        self.tokens
    }

    /// The keys of the document whose values say it, or hold what does.
    pub(super) fn roots(&self) -> impl Iterator<Item = &'static str> {
        let within = self.site.within;
        let roots = if within.is_empty() { self.site.keys } else { within };
        roots.iter().copied()
    }

    /// What the value of such a key is changed to; `None` where it stays.
    pub(super) fn changed(&self, value: &[u8]) -> Option<Vec<u8>> {
        if self.site.within.is_empty() { self.number(value) } else { self.object(value) }
    }

    fn number(&self, value: &[u8]) -> Option<Vec<u8>> {
        let given = serde_json::from_slice::<u64>(value).ok();
        // What is no number, or none that limits, must not stay beside what was decided.
        let fits = given.is_some_and(|given| given > 0 && given <= self.tokens);
        (!fits).then(|| self.tokens.to_string().into_bytes())
    }

    fn object(&self, value: &[u8]) -> Option<Vec<u8>> {
        if value.first() != Some(&b'{') {
            return Some(self.alone());
        }
        let mut spec = Spec::default();
        for key in self.site.keys {
            let _ = spec.add_keys(&[(*key).to_owned()], 0);
        }
        let (mut edits, mut said) = (Vec::new(), false);
        Scanner::new(Rc::new(spec)).feed(value, &mut |found| {
            if let Found::Value(_, raw) = found {
                said = true;
                let new = self.number(raw).zip(place(value, raw));
                edits.extend(new.map(|(new, place)| (place, new)));
            }
        });
        if !said {
            let is_empty = value.get(1..)?.trim_ascii_start().first() == Some(&b'}');
            let comma = if is_empty { "" } else { "," };
            edits.push(((1, 1), format!("{}{comma}", self.pair()).into_bytes()));
        }
        if edits.is_empty() { None } else { splice(value, &edits) }
    }

    /// What is put into a document that says nothing of it.
    pub(super) fn whole(&self) -> Vec<u8> {
        match self.site.within.first() {
            None => self.pair().into_bytes(),
            Some(key) => [format!("\"{key}\":").into_bytes(), self.alone()].concat(),
        }
    }

    fn alone(&self) -> Vec<u8> {
        format!("{{{}}}", self.pair()).into_bytes()
    }

    fn pair(&self) -> String {
        let key = self.site.keys.first().copied().unwrap_or_default();
        format!("\"{key}\":{}", self.tokens)
    }
}

/// The places that are asked of a scanner.
pub(super) fn add_to(spec: &mut Spec, most: Option<&Most>, pick: crate::json::Pick) {
    for key in most.into_iter().flat_map(Most::roots) {
        let _ = spec.add(&format!("/{key}"), pick, How::Take);
    }
}

static CHAT: Site = Site { within: &[], keys: &["max_tokens", "max_completion_tokens"] };
static CHAT_NEW: Site = Site { within: &[], keys: &["max_completion_tokens", "max_tokens"] };
static PLAIN: Site = Site { within: &[], keys: &["max_tokens"] };
static RESPONSES: Site = Site { within: &[], keys: &["max_output_tokens"] };
static GEMINI: Site = Site {
    within: &["generationConfig", "generation_config"],
    keys: &["maxOutputTokens", "max_output_tokens"],
};
static CONVERSE: Site = Site { within: &["inferenceConfig"], keys: &["maxTokens"] };
static OLLAMA: Site = Site { within: &["options"], keys: &["num_predict"] };

#[cfg(test)]
mod tests {
    use super::super::{Change, edited};
    use super::*;

    fn lowered(api: Api, provider: &str, body: &str) -> Option<String> {
        let most = Most::of(api, provider, 50);
        let bytes = edited(body.as_bytes(), Change { most, ..Change::default() })?;
        Some(String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn the_longest_answer_is_cut_down_and_all_else_stays() {
        use Api::{AnthropicMessages, GeminiGenerate, OllamaChat, OpenAiChat, OpenAiResponses};
        #[rustfmt::skip]
        let cases = [
            (OpenAiChat, "openai", r#"{"max_tokens":900,"n":1}"#,          Some(r#"{"max_tokens":50,"n":1}"#)),
            (OpenAiChat, "openai", r#"{"n":1}"#,                           Some(r#"{"n":1,"max_completion_tokens":50}"#)),
            (OpenAiChat, "groq",   r#"{"n":1} "#,                          Some(r#"{"n":1,"max_tokens":50} "#)),
            (OpenAiChat, "groq",   "{ }",                                  Some("{ \"max_tokens\":50}")),
            (OpenAiChat, "vllm",   r#"{"max_tokens":-1}"#,                 Some(r#"{"max_tokens":50}"#)),
            (OpenAiChat, "vllm",   r#"{"max_tokens":0}"#,                  Some(r#"{"max_tokens":50}"#)),
            (OpenAiChat, "x",      r#"{"max_tokens":99,"max_completion_tokens":"9"}"#, Some(r#"{"max_tokens":50,"max_completion_tokens":50}"#)),
            (OpenAiChat, "x",      r#"{"max_tokens":99,"max_tokens":40}"#, Some(r#"{"max_tokens":50,"max_tokens":40}"#)),
            (OpenAiChat, "x",      r#"{"max\u005ftokens":99}"#,            Some(r#"{"max\u005ftokens":50}"#)),
            (OpenAiChat, "x",      r#"{"a":{"max_tokens":99}}"#,           Some(r#"{"a":{"max_tokens":99},"max_tokens":50}"#)),
            (OpenAiResponses, "x", r#"{"max_output_tokens":null}"#,        Some(r#"{"max_output_tokens":50}"#)),
            (AnthropicMessages, "anthropic", r#"{"max_tokens":51}"#,       Some(r#"{"max_tokens":50}"#)),
            (GeminiGenerate, "google", r#"{"contents":[]}"#,               Some(r#"{"contents":[],"generationConfig":{"maxOutputTokens":50}}"#)),
            (GeminiGenerate, "google", r#"{"generationConfig":{"topK":1}}"#, Some(r#"{"generationConfig":{"maxOutputTokens":50,"topK":1}}"#)),
            (GeminiGenerate, "google", r#"{"generationConfig": {} }"#,     Some(r#"{"generationConfig": {"maxOutputTokens":50} }"#)),
            (GeminiGenerate, "google", r#"{"generation_config":{"max_output_tokens":77}}"#, Some(r#"{"generation_config":{"max_output_tokens":50}}"#)),
            (OllamaChat, "ollama", r#"{"options":{"num_predict":-2}}"#,    Some(r#"{"options":{"num_predict":50}}"#)),
            (OpenAiChat, "x",      r#"{"n":1"#,                            None),
            (OpenAiChat, "x",      "no JSON",                              None),
        ];
        for (api, provider, body, expected) in cases {
            assert_eq!(lowered(api, provider, body).as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn what_cannot_be_changed_as_a_whole_is_not_changed_in_part() {
        let long = format!(r#"{{"generationConfig":{{"pad":"{}"}}}}"#, "x".repeat(20_000));
        assert_eq!(lowered(Api::GeminiGenerate, "google", &long), None);
        let model = Some("small".to_owned());
        let most = Most::of(Api::GeminiGenerate, "google", 50);
        let change = Change { model, most, usage: false };
        assert_eq!(edited(br#"{"model":"m","generationConfig":"#, change), None);
    }

    #[test]
    fn calls_without_such_a_place_are_not_changed() {
        assert_eq!(Most::of(Api::OpenAiEmbeddings, "openai", 1), None);
        assert_eq!(Most::of(Api::OpenAiImages, "openai", 1), None);
    }
}
