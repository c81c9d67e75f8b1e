//! The dialects as a table: for each, one answer as JSON and as a stream of events.
//!
//! All answers tell of the same tokens, so that a test can be one text for all: 100 of input, 40
//! of them from a cache, and 25 of output, 5 of them reasoning.

use std::io::Write;

use brotli::CompressorWriter;
use miniz_oxide::deflate::{compress_to_vec, compress_to_vec_zlib};
use ruzstd::encoding::CompressionLevel;
use serde_json::{Value, json};

/// Stands in every prompt, answer and key.
pub(crate) const CANARY: &str = "canary-5e1f";

/// The fields of the access log that all answers come to.
pub(crate) const USED: [(&str, &str); 6] = [
    ("usage", "reported"),
    ("input_tokens", "100"),
    ("cache_read_tokens", "40"),
    ("cache_write_tokens", "0"),
    ("output_tokens", "25"),
    ("reasoning_tokens", "5"),
];

/// One provider's way to ask and to answer.
pub(crate) struct Dialect {
    pub(crate) provider: &'static str,
    /// The model asked for.
    pub(crate) model: &'static str,
    /// The model that answers.
    pub(crate) answered: &'static str,
    pub(crate) api: &'static str,
    pub(crate) stream_api: &'static str,
    pub(crate) path: &'static str,
    pub(crate) stream_path: &'static str,
    pub(crate) answer: fn() -> Value,
    /// The payloads of a stream's events. The first ones have text, the last two the usage.
    pub(crate) events: fn() -> Vec<String>,
}

pub(crate) const OPENAI: Dialect = Dialect {
    provider: "openai",
    model: "gpt-4o-mini",
    answered: "gpt-4o-mini-2024-07-18",
    api: "openai.chat",
    stream_api: "openai.chat",
    path: "/v1/chat/completions",
    stream_path: "/v1/chat/completions",
    answer: openai_answer,
    events: openai_events,
};

pub(crate) const ANTHROPIC: Dialect = Dialect {
    provider: "anthropic",
    model: "claude-haiku-4-5",
    answered: "claude-haiku-4-5-20251001",
    api: "anthropic.messages",
    stream_api: "anthropic.messages",
    path: "/v1/messages",
    stream_path: "/v1/messages",
    answer: anthropic_answer,
    events: anthropic_events,
};

pub(crate) const GEMINI: Dialect = Dialect {
    provider: "google",
    model: "gemini-2.5-flash",
    answered: "gemini-2.5-flash",
    api: "gemini.generateContent",
    stream_api: "gemini.streamGenerateContent",
    path: "/v1beta/models/gemini-2.5-flash:generateContent",
    stream_path: "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
    answer: gemini_answer,
    events: gemini_events,
};

pub(crate) const ALL: [Dialect; 3] = [OPENAI, ANTHROPIC, GEMINI];

impl Dialect {
    /// The body of a request.
    pub(crate) fn request(&self, stream: bool) -> Value {
        let text = format!("{CANARY} \"model\": \"no\"");
        if self.provider == "google" {
            return json!({"contents": [{"parts": [{"text": text}]}]});
        }
        let messages = json!([{"role": "user", "content": text}]);
        let mut body = json!({"model": self.model, "messages": messages, "max_tokens": 99});
        if stream {
            body["stream"] = true.into();
        }
        body
    }

    /// The answer as JSON.
    pub(crate) fn json(&self) -> Vec<u8> {
        (self.answer)().to_string().into()
    }

    /// The answer as a stream, an event a chunk.
    pub(crate) fn sse(&self) -> Vec<Vec<u8>> {
        let events = (self.events)().into_iter();
        events.map(|event| format!("data: {event}\n\n").into()).collect()
    }
}

/// A body in each coding, by the name that `content-encoding` has for it.
pub(crate) fn coded(data: &[u8]) -> [(&'static str, Vec<u8>); 4] {
    let gzip = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &compress_to_vec(data, 6), &[0; 8]];
    let mut br = Vec::new();
    CompressorWriter::new(&mut br, 4096, 5, 22).write_all(data).unwrap();
    let zstd = ruzstd::encoding::compress_to_vec(data, CompressionLevel::Fastest);
    [
        ("gzip", gzip.concat()),
        ("deflate", compress_to_vec_zlib(data, 6)),
        ("br", br),
        ("zstd", zstd),
    ]
}

fn text() -> String {
    format!("{CANARY} né \"usage\": {{\"prompt_tokens\": 9}}")
}

fn openai_usage() -> Value {
    json!({
        "prompt_tokens": 100, "completion_tokens": 25, "total_tokens": 125,
        "prompt_tokens_details": {"cached_tokens": 40},
        "completion_tokens_details": {"reasoning_tokens": 5},
    })
}

fn openai_answer() -> Value {
    let message = json!({"role": "assistant", "content": text()});
    json!({"id": "1", "model": OPENAI.answered, "usage": openai_usage(),
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
}

fn openai_events() -> Vec<String> {
    let event = |choices: Value, usage: Value| {
        json!({"id": "1", "model": OPENAI.answered, "choices": choices, "usage": usage}).to_string()
    };
    let choice = |delta: Value, why: Value| {
        event(json!([{"index": 0, "delta": delta, "finish_reason": why}]), Value::Null)
    };
    vec![
        choice(json!({"role": "assistant", "content": ""}), Value::Null),
        choice(json!({"content": text()}), Value::Null),
        choice(json!({}), "stop".into()),
        event(json!([]), openai_usage()),
        "[DONE]".to_owned(),
    ]
}

fn anthropic_answer() -> Value {
    json!({"type": "message", "model": ANTHROPIC.answered, "stop_reason": "end_turn",
        "content": [{"type": "text", "text": text()}],
        "usage": {"input_tokens": 60, "cache_read_input_tokens": 40, "output_tokens": 25,
            "cache_creation_input_tokens": 0, "output_tokens_details": {"thinking_tokens": 5}}})
}

fn anthropic_events() -> Vec<String> {
    let start = json!({"input_tokens": 60, "cache_read_input_tokens": 40, "output_tokens": 1,
        "cache_creation_input_tokens": 0});
    let end = json!({"output_tokens": 25, "output_tokens_details": {"thinking_tokens": 5}});
    let events = [
        json!({"type": "message_start", "message": {"model": ANTHROPIC.answered, "usage": start}}),
        json!({"type": "content_block_delta", "delta": {"type": "text_delta", "text": text()}}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": end}),
        json!({"type": "message_stop"}),
    ];
    events.iter().map(Value::to_string).collect()
}

fn gemini_answer() -> Value {
    json!({"modelVersion": GEMINI.answered,
        "candidates": [{"content": {"parts": [{"text": text()}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 100, "candidatesTokenCount": 20,
            "thoughtsTokenCount": 5, "totalTokenCount": 125, "cachedContentTokenCount": 40}})
}

fn gemini_events() -> Vec<String> {
    let mut first = gemini_answer();
    first["candidates"][0]["finishReason"].take();
    first["usageMetadata"] = json!({"promptTokenCount": 100, "totalTokenCount": 100});
    vec![first.to_string(), gemini_answer().to_string()]
}
