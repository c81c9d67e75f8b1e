//! OpenAI chat completions, and everything that speaks them.
//!
//! A stream carries usage in its last events, if at all; some send it twice, some in every event:
//! the last one counts. Cached tokens are part of the prompt and reasoning is part of the
//! completion, with the exceptions named below.

mod parts;

use super::Reported;
use super::count::Counts;
use super::dialect::{
    AGAIN, COUNT, Dialect, ERROR, FIELD, FINISH, ID, KIND, MODEL, Place, SPARE, STATUS, Seen, TEXT,
    TIER, USAGE,
};
use crate::json::How::{Measure, Take};
use crate::json::Pick;
use crate::usage::{Part, Unit, Usage};
use parts::Parts;
use serde_json::Value;

/// Chat, completions, embeddings, and the runs of assistants.
pub(super) static CHAT: Dialect = Dialect::new(PLACES, reported);
/// Images: tokens where the model counts them, else so many pictures.
pub(super) static IMAGES: Dialect = Dialect::new(IMAGE_PLACES, images);
/// Speech turned into text: tokens or seconds.
pub(super) static AUDIO: Dialect = Dialect::new(AUDIO_PLACES, audio);
/// Text turned into speech: the sound itself, which is not read, or events that end with usage.
pub(super) static SPEECH: Dialect = Dialect::new(&[], |_| None);
/// Documents turned into text, by the page.
pub(super) static OCR: Dialect = Dialect::new(OCR_PLACES, ocr);
/// A chat that xAI was asked to defer, when it is asked for.
pub(super) static DEFERRED: Dialect = Dialect::new(DEFERRED_PLACES, tokens);
/// A chat that Perplexity has at work, with the chat itself in it once it is done.
pub(super) static ASYNC: Dialect = Dialect::new(ASYNC_PLACES, tokens);

const PLACES: &[Place] = &[
    ("/model", MODEL, Take),
    ("/usage", USAGE, Take),
    // Groq's own place for the same; Moonshot's older one.
    ("/x_groq/usage", SPARE, Take),
    ("/choices/*/usage", SPARE, Take),
    // Cloudflare's models at their own path.
    ("/result/usage", USAGE, Take),
    ("/result/response", TEXT, Measure),
    ("/response", TEXT, Measure),
    // DashScope's own call.
    ("/output/text", TEXT, Measure),
    ("/output/finish_reason", FINISH, Take),
    ("/output/choices/*/finish_reason", FINISH, Take),
    ("/output/choices/*/message/content", TEXT, Measure),
    // Mistral's conversations.
    ("/outputs/*/model", MODEL, Take),
    ("/outputs/*/content", TEXT, Measure),
    ("/content", TEXT, Measure),
    // Embeddings of watsonx.
    ("/model_id", MODEL, Take),
    ("/input_token_count", EMBEDDED, Take),
    ("/service_tier", TIER, Take),
    // All that xAI says of a chat that it defers; others have it beside the chat.
    ("/request_id", ID, Take),
    ("/error", ERROR, Take),
    ("/x_groq/error", ERROR, Take),
    ("/choices/*/finish_reason", FINISH, Take),
    // What each model used of those that one call of Groq's compound models has employed.
    ("/usage_breakdown/models", BREAKDOWN, Take),
    ("/choices/*/text", TEXT, Measure),
    ("/choices/*/delta/content", TEXT, Measure),
    ("/choices/*/delta/reasoning", TEXT, Measure),
    ("/choices/*/delta/reasoning_content", TEXT, Measure),
    ("/choices/*/delta/refusal", TEXT, Measure),
    ("/choices/*/delta/tool_calls/*/function/name", TEXT, Measure),
    ("/choices/*/delta/tool_calls/*/function/arguments", TEXT, Measure),
    ("/choices/*/delta/tool_calls/*/custom/input", TEXT, Measure),
    ("/choices/*/delta/audio/transcript", TEXT, Measure),
    ("/choices/*/delta/function_call", TEXT, Measure),
    ("/choices/*/message/function_call", TEXT, Measure),
    ("/choices/*/message/content", TEXT, Measure),
    ("/choices/*/message/reasoning", TEXT, Measure),
    ("/choices/*/message/reasoning_content", TEXT, Measure),
    ("/choices/*/message/refusal", TEXT, Measure),
    ("/choices/*/message/tool_calls/*/function/arguments", TEXT, Measure),
    ("/choices/*/message/tool_calls/*/custom/input", TEXT, Measure),
    ("/choices/*/message/audio/transcript", TEXT, Measure),
];

const IMAGE_PLACES: &[Place] = &[
    ("/model", MODEL, Take),
    ("/usage", USAGE, Take),
    ("/svg_usage", DRAWING, Take),
    ("/error", ERROR, Take),
    ("/type", KIND, Take),
    ("/data/*/url", PICTURES, Take),
    ("/data/*/b64_json", PICTURES, Take),
];

const AUDIO_PLACES: &[Place] = &[
    ("/model", MODEL, Take),
    ("/usage", USAGE, Take),
    ("/usage", FINISH, Take),
    ("/duration", SECONDS, Take),
    ("/error", ERROR, Take),
    ("/text", TEXT, Measure),
    ("/delta", TEXT, Measure),
];

const OCR_PLACES: &[Place] =
    &[("/model", MODEL, Take), ("/usage_info", USAGE, Take), ("/pages/*/markdown", TEXT, Measure)];

#[rustfmt::skip]
const DEFERRED_PLACES: &[Place] = &[
    ("/id",           ID,    Take),
    ("/id",           AGAIN, Take),
    ("/model",        MODEL, Take),
    ("/usage",        USAGE, Take),
    ("/service_tier", TIER,  Take),
    ("/error",        ERROR, Take),
    ("/choices/*/message/content",           TEXT, Measure),
    ("/choices/*/message/reasoning_content", TEXT, Measure),
];

#[rustfmt::skip]
const ASYNC_PLACES: &[Place] = &[
    ("/id",                                  ID,     Take),
    ("/status",                              AGAIN,  Take),
    ("/status",                              STATUS, Take),
    ("/model",                               MODEL,  Take),
    ("/response/model",                      MODEL,  Take),
    ("/response/usage",                      USAGE,  Take),
    ("/response/choices/*/message/content",  TEXT,   Measure),
    ("/error_message",                       ERROR,  Take),
];

const BREAKDOWN: Pick = FIELD;
const EMBEDDED: Pick = FIELD + 1;
const SECONDS: Pick = FIELD;
const PICTURES: Pick = COUNT;
/// What a model used that wrote a drawing, beside the one that made pictures.
const DRAWING: Pick = FIELD;

fn reported(seen: &Seen<'_>) -> Option<Reported> {
    let reported = tokens(seen).or_else(|| embedded(seen))?;
    let models = seen.kept.field(BREAKDOWN).and_then(Value::as_array);
    let parts = models.into_iter().flatten().filter_map(|entry| {
        let model = entry.get("model")?.as_str()?;
        let usage = tokens(&Seen { usage: entry.get("usage")?, ..*seen })?.usage;
        Some(Part { model: Some(model.to_owned()), usage })
    });
    let parts: Vec<_> = parts.collect();
    let billed = parts.iter().fold(Usage::default(), |sum, part| sum.and(&part.usage));
    // Only where the parts are the whole can they stand for it.
    let parts = if billed == reported.usage { parts } else { Vec::new() };
    Some(Reported { parts, ..reported })
}

/// Reads a count that stands for itself.
fn embedded(seen: &Seen<'_>) -> Option<Reported> {
    let mut counts = Counts::new(seen.kept.field(EMBEDDED)?);
    let usage = Usage::default().with(Unit::Input, counts.at("")?);
    Some(Reported { usage, absurd: counts.absurd, ..Reported::default() })
}

/// Reads a usage object, or `None` where it has no counts.
pub(super) fn tokens(seen: &Seen<'_>) -> Option<Reported> {
    let mut counts = Counts::new(seen.usage);
    let prompt = counts.first(&["/prompt_tokens", "/input_tokens"]);
    let completion = counts.first(&["/completion_tokens", "/output_tokens"]);
    let total = counts.at("/total_tokens");
    if prompt.is_none() && completion.is_none() && total.is_none() {
        return None;
    }
    // Some leave out a count that is zero: the total then tells.
    let rest = |known: u64| total.map_or(0, |total| total.saturating_sub(known));
    let prompt = prompt.unwrap_or_else(|| rest(completion.unwrap_or(0)));
    let completion = completion.unwrap_or_else(|| rest(prompt));
    let mut parts = Parts::read(&mut counts, prompt, completion);
    parts.settle_conventions(seen.provider, total);
    let overlap = if seen.provider == "openrouter" { parts.overlap() } else { 0 };
    let read = parts.prompt.saturating_add(parts.completion);
    let (mut usage, inconsistent) = parts.leaves(overlap);
    // What Mistral's tools have read stands beside the prompt, and in the total.
    let tools = counts.or_zero("/connector_tokens");
    if tools > 0 && total == Some(read.saturating_add(tools)) {
        usage.add(Unit::InputTool, tools);
    }
    usage.add(Unit::Citation, counts.or_zero("/citation_tokens"));
    usage.add(Unit::WebSearch, searches(&mut counts));
    // OpenRouter's own tools, such as another model that is asked for advice.
    let tools = counts.or_zero("/server_tool_use_details/tool_calls_executed");
    let partial = tools > usage.of(Unit::WebSearch);
    let absurd = counts.absurd;
    Some(Reported { usage, overlap, inconsistent, absurd, partial, ..Reported::default() })
}

/// Searches of the web, as each provider counts them.
fn searches(counts: &mut Counts<'_>) -> u64 {
    let places = [
        "/num_search_queries",
        "/server_tool_use_details/web_search_requests",
        "/tool_calls_details/search_web/invocation",
        "/num_sources_used",
    ];
    counts.first(&places).unwrap_or(0)
}

fn images(seen: &Seen<'_>) -> Option<Reported> {
    // Each event of a stream that brings a whole picture has the usage of all.
    let pictures = seen.kept.count(PICTURES);
    let made = tokens(seen).or_else(|| {
        let usage = Usage::default().with(Unit::Image, pictures);
        let inferred = seen.usage.is_null();
        (pictures > 0).then_some(Reported { usage, inferred, ..Reported::default() })
    });
    let Some(drawing) = seen.kept.field(DRAWING) else { return made };
    let Some(drawn) = tokens(&Seen { usage: drawing, ..*seen }) else { return made };
    let model = drawing.get("model").and_then(Value::as_str).map(str::to_owned);
    let mut reported = made.unwrap_or_default();
    reported.usage = reported.usage.and(&drawn.usage);
    reported.parts.push(Part { model, usage: drawn.usage });
    Some(reported)
}

fn audio(seen: &Seen<'_>) -> Option<Reported> {
    let mut counts = Counts::new(seen.usage);
    let by_length = seen.usage.get("type").is_some_and(|kind| kind == "duration");
    let mut reported = if by_length { None } else { tokens(seen) };
    if reported.is_none() {
        let seconds = seen.usage.get("seconds").or_else(|| seen.kept.field(SECONDS));
        let usage = Usage::default().with(Unit::AudioMilli, millis(seconds?)?);
        reported = Some(Reported { usage, ..Reported::default() });
    } else if let Some(spoken) = counts.at("/input_token_details/audio_tokens")
        && let Some(reported) = &mut reported
    {
        reported.usage.shift(Unit::Input, Unit::InputAudio, spoken);
    }
    reported
}

/// Seconds, whole or with decimals, in thousandths.
fn millis(seconds: &Value) -> Option<u64> {
    let text = match seconds {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return None,
    };
    let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
    let decimals: String = decimals.chars().chain("000".chars()).take(3).collect();
    let whole = whole.parse::<u64>().ok()?.checked_mul(1_000)?;
    whole.checked_add(decimals.parse().ok()?)
}

fn ocr(seen: &Seen<'_>) -> Option<Reported> {
    let pages = Counts::new(seen.usage).at("/pages_processed")?;
    let usage = Usage::default().with(Unit::Page, pages);
    Some(Reported { usage, ..Reported::default() })
}
