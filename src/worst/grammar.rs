//! What is known of requests: keys that neither refer to content elsewhere nor change what is done.

use crate::provider::Api;

/// How a value is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// It is not: whatever it says counts by its length alone.
    Any,
    /// The tokens that an answer may have.
    Most,
    /// How many answers are wanted.
    Choices,
    /// Something that is kept at the provider: whatever it says, it is content.
    Elsewhere,
    /// One of these words.
    Text(&'static [&'static str], Unknown),
    /// An object, or a list of such. A text, or nothing, is harmless.
    In(&'static Table),
}

/// What stands in an object.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) keys: &'static [(&'static str, Kind)],
    /// What any other key means.
    pub(super) unknown: Unknown,
}

/// What something means that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// Content that may not be in the request: it is in the model's context, and so bounded by it.
    Content,
    /// A parameter that may change what is done or charged.
    Parameter,
    /// A tool that the provider runs.
    Tool,
}

/// What the requests of a call have in them, if they are known in full.
pub(super) const fn of(api: Api) -> Option<&'static Table> {
    match api {
        Api::OpenAiChat => Some(&CHAT),
        Api::OpenAiResponses => Some(&RESPONSES),
        Api::OpenAiEmbeddings => Some(&EMBEDDINGS),
        Api::AnthropicMessages | Api::VertexAnthropic => Some(&ANTHROPIC),
        Api::GeminiGenerate | Api::GeminiStream => Some(&GEMINI),
        _ => None,
    }
}

use Kind::{Any, Choices, Elsewhere, In, Most, Text};
use Unknown::{Content, Parameter, Tool};

#[rustfmt::skip]
static CHAT: Table = Table { unknown: Parameter, keys: &[
    ("model", Any), ("messages", In(&CHAT_MESSAGE)), ("stream", Any), ("stream_options", Any),
    ("max_tokens", Most), ("max_completion_tokens", Most), ("n", Choices),
    ("temperature", Any), ("top_p", Any), ("top_k", Any), ("min_p", Any), ("seed", Any), ("stop", Any),
    ("presence_penalty", Any), ("frequency_penalty", Any), ("repetition_penalty", Any),
    ("logit_bias", Any), ("logprobs", Any), ("top_logprobs", Any), ("user", Any), ("metadata", Any),
    ("store", Any), ("response_format", Any), ("tools", In(&CHAT_TOOL)), ("tool_choice", Any),
    ("parallel_tool_calls", Any), ("functions", Any), ("function_call", Any),
    ("reasoning_effort", Any), ("verbosity", Any), ("service_tier", Any), ("safety_identifier", Any),
    ("prompt_cache_key", Any), ("prompt_cache_retention", Any), ("random_seed", Any), ("safe_prompt", Any), ("reasoning", Any), ("thinking", Any),
] };
#[rustfmt::skip]
static CHAT_MESSAGE: Table = Table { unknown: Content, keys: &[
    ("role", Any), ("name", Any), ("content", In(&PART)), ("tool_calls", Any), ("tool_call_id", Any),
    ("function_call", Any), ("refusal", Any), ("reasoning_content", Any), ("prefix", Any),
] };
static CHAT_TOOL: Table = Table {
    unknown: Tool,
    keys: &[("type", Text(&["function", "custom"], Tool)), ("function", Any), ("custom", Any)],
};
/// A part of a message that is text.
#[rustfmt::skip]
static PART: Table = Table { unknown: Content, keys: &[
    ("type", Text(&["text", "refusal", "input_text", "output_text", "summary_text"], Content)),
    ("text", Any), ("refusal", Any), ("cache_control", Any), ("annotations", Any), ("logprobs", Any),
] };
#[rustfmt::skip]
static RESPONSES: Table = Table { unknown: Parameter, keys: &[
    ("model", Any), ("input", In(&ITEM)), ("instructions", Any), ("stream", Any), ("stream_options", Any),
    ("max_output_tokens", Most), ("temperature", Any), ("top_p", Any), ("top_logprobs", Any),
    ("user", Any), ("metadata", Any), ("store", Any), ("text", Any), ("tools", In(&RESPONSES_TOOL)),
    ("tool_choice", Any), ("parallel_tool_calls", Any), ("reasoning", Any), ("include", Any),
    ("service_tier", Any), ("safety_identifier", Any), ("prompt_cache_key", Any),
    ("prompt_cache_retention", Any), ("truncation", Any), ("previous_response_id", Elsewhere),
    ("conversation", Elsewhere),
] };
#[rustfmt::skip]
static ITEM: Table = Table { unknown: Content, keys: &[
    ("type", Text(&["message", "function_call", "function_call_output"], Content)),
    ("role", Any), ("content", In(&PART)), ("call_id", Any), ("name", Any), ("arguments", Any),
    ("output", In(&PART)), ("status", Any),
] };
#[rustfmt::skip]
static RESPONSES_TOOL: Table = Table { unknown: Tool, keys: &[
    ("type", Text(&["function", "custom"], Tool)), ("name", Any), ("description", Any),
    ("parameters", Any), ("strict", Any), ("format", Any),
] };
static EMBEDDINGS: Table = Table {
    unknown: Parameter,
    keys: &[
        ("model", Any),
        ("input", Any),
        ("dimensions", Any),
        ("encoding_format", Any),
        ("user", Any),
    ],
};
#[rustfmt::skip]
static ANTHROPIC: Table = Table { unknown: Parameter, keys: &[
    ("model", Any), ("messages", In(&ANTHROPIC_MESSAGE)), ("system", In(&ANTHROPIC_PART)),
    ("max_tokens", Most), ("stream", Any), ("temperature", Any), ("top_p", Any), ("top_k", Any),
    ("stop_sequences", Any), ("metadata", Any), ("tools", In(&ANTHROPIC_TOOL)), ("tool_choice", Any),
    ("thinking", Any), ("service_tier", Any), ("cache_control", Any), ("output_config", Any),
    ("output_format", Any), ("anthropic_version", Any), ("inference_geo", Any), ("speed", Any),
] };
static ANTHROPIC_MESSAGE: Table =
    Table { unknown: Content, keys: &[("role", Any), ("content", In(&ANTHROPIC_PART))] };
#[rustfmt::skip]
static ANTHROPIC_PART: Table = Table { unknown: Content, keys: &[
    ("type", Text(&["text", "thinking", "redacted_thinking", "tool_use", "tool_result"], Content)),
    ("text", Any), ("thinking", Any), ("signature", Any), ("data", Any), ("id", Any), ("name", Any),
    ("input", Any), ("tool_use_id", Any), ("is_error", Any), ("content", In(&ANTHROPIC_PART)),
    ("cache_control", Any), ("citations", Any),
] };
#[rustfmt::skip]
static ANTHROPIC_TOOL: Table = Table { unknown: Tool, keys: &[
    ("type", Text(&["custom"], Tool)), ("name", Any), ("description", Any), ("input_schema", Any),
    ("cache_control", Any), ("strict", Any),
] };
#[rustfmt::skip]
static GEMINI: Table = Table { unknown: Parameter, keys: &[
    ("contents", In(&GEMINI_CONTENT)), ("systemInstruction", In(&GEMINI_CONTENT)),
    ("system_instruction", In(&GEMINI_CONTENT)), ("generationConfig", In(&GEMINI_CONFIG)),
    ("generation_config", In(&GEMINI_CONFIG)), ("safetySettings", Any), ("safety_settings", Any),
    ("tools", In(&GEMINI_TOOL)), ("toolConfig", Any), ("tool_config", Any), ("labels", Any),
    ("model", Any), ("cachedContent", Elsewhere), ("cached_content", Elsewhere),
] };
static GEMINI_CONTENT: Table =
    Table { unknown: Content, keys: &[("role", Any), ("parts", In(&GEMINI_PART))] };
#[rustfmt::skip]
static GEMINI_PART: Table = Table { unknown: Content, keys: &[
    ("text", Any), ("thought", Any), ("thoughtSignature", Any), ("thought_signature", Any),
    ("functionCall", Any), ("function_call", Any), ("functionResponse", In(&GEMINI_RESPONSE)),
    ("function_response", In(&GEMINI_RESPONSE)),
] };
static GEMINI_RESPONSE: Table =
    Table { unknown: Content, keys: &[("id", Any), ("name", Any), ("response", Any)] };
static GEMINI_TOOL: Table =
    Table { unknown: Tool, keys: &[("functionDeclarations", Any), ("function_declarations", Any)] };
#[rustfmt::skip]
static GEMINI_CONFIG: Table = Table { unknown: Parameter, keys: &[
    ("temperature", Any), ("topP", Any), ("top_p", Any), ("topK", Any), ("top_k", Any),
    ("candidateCount", Choices), ("candidate_count", Choices), ("maxOutputTokens", Most),
    ("max_output_tokens", Most), ("stopSequences", Any), ("stop_sequences", Any),
    ("responseMimeType", Any), ("response_mime_type", Any), ("responseSchema", Any),
    ("response_schema", Any), ("responseJsonSchema", Any), ("response_json_schema", Any),
    ("presencePenalty", Any), ("presence_penalty", Any), ("frequencyPenalty", Any),
    ("frequency_penalty", Any), ("seed", Any), ("responseLogprobs", Any), ("response_logprobs", Any),
    ("logprobs", Any), ("thinkingConfig", Any), ("thinking_config", Any), ("mediaResolution", Any),
    ("media_resolution", Any),
] };
