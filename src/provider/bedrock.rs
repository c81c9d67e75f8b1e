//! Amazon Bedrock: Converse, and models called in their vendors' own formats.
//!
//! Cache tokens stand beside the input. The model is in the path alone. Headers of an answer, and
//! the last document of a stream, count tokens in one way for all vendors; the vendor's own body
//! adds what they leave out, such as how long cached tokens are kept.

use serde_json::{Map, Value};

use super::count::{Counts, read};
use super::dialect::{
    ASKED, Binary, COUNT, Dialect, ERROR, FIELD, FINISH, Keeps, Kept, MODEL, Place, START, Seen,
    TEXT, TIER, USAGE,
};
use super::{Reported, anthropic, openai};
use crate::json::How::{Measure, Take};
use crate::json::Pick;
use crate::usage::{Unit, Usage};

/// Converse.
pub(super) static CONVERSE: Dialect = Dialect::new(CONVERSE_PLACES, converse);
/// The stream of it, which ends with usage.
pub(super) static CONVERSE_STREAM: Dialect =
    Dialect { binary: Binary::Frames, ..Dialect::new(CONVERSE_PLACES, converse_stream) };
/// A vendor's own format.
pub(super) static INVOKE: Dialect =
    Dialect { headers: HEADERS, keeps: Keeps::Merged, ..Dialect::new(INVOKE_PLACES, invoke) };
/// The stream of it.
pub(super) static INVOKE_STREAM: Dialect = Dialect {
    binary: Binary::Wrapped,
    headers: HEADERS,
    keeps: Keeps::Merged,
    ..Dialect::new(INVOKE_PLACES, invoke)
};

const CONVERSE_PLACES: &[Place] = &[
    ("/usage", USAGE, Take),
    ("/stopReason", FINISH, Take),
    ("/serviceTier/type", TIER, Take),
    // A router's path names no model; its trace does.
    ("/trace/promptRouter/invokedModelId", MODEL, Take),
    ("/output/message/content/*/text", TEXT, Measure),
    ("/output/message/content/*/reasoningContent/reasoningText/text", TEXT, Measure),
    ("/output/message/content/*/toolUse/input", TEXT, Measure),
    ("/delta/text", TEXT, Measure),
    ("/delta/reasoningContent/text", TEXT, Measure),
    ("/delta/toolUse/input", TEXT, Measure),
];

const HEADERS: &[(&str, Pick)] = &[
    ("x-amzn-bedrock-input-token-count", INPUT),
    ("x-amzn-bedrock-output-token-count", OUTPUT),
    ("x-amzn-bedrock-cache-read-input-token-count", CACHE_READ),
    ("x-amzn-bedrock-cache-write-input-token-count", CACHE_WRITE),
    ("x-amzn-bedrock-service-tier", TIER),
];

#[rustfmt::skip]
const INVOKE_PLACES: &[Place] = &[
    ("/amazon-bedrock-invocationMetrics",                            METRICS,     Take),
    ("/amazon-bedrock-invocationMetrics",                            FINISH,      Take),
    // Claude, Nova, and all that speak OpenAI's chat.
    ("/model",                                                       MODEL,       Take),
    ("/usage",                                                       USAGE,       Take),
    ("/message/model",                                               MODEL,       Take),
    ("/message/usage",                                               START,       Take),
    ("/metadata/usage",                                              USAGE,       Take),
    ("/error",                                                       ERROR,       Take),
    // Titan, and Llama.
    ("/inputTextTokenCount",                                         BODY_INPUT,  Take),
    ("/results/*/tokenCount",                                        BODY_OUTPUT, Take),
    ("/totalOutputTextTokenCount",                                   BODY_OUTPUT, Take),
    // Where a guardrail steps in, this is all that a stream of Titan ends with.
    ("/totalOutputTextTokenCount",                                   FINISH,      Take),
    ("/prompt_token_count",                                          BODY_INPUT,  Take),
    ("/generation_token_count",                                      BODY_OUTPUT, Take),
    // Pictures of Titan, Nova and Stability.
    ("/images/*",                                                    PICTURES,    Take),
    ("/artifacts/*/base64",                                          PICTURES,    Take),
    ("/content/*/text",                                              TEXT,        Measure),
    ("/content/*/thinking",                                          TEXT,        Measure),
    ("/content/*/input",                                             TEXT,        Measure),
    ("/content_block/text",                                          TEXT,        Measure),
    ("/delta/text",                                                  TEXT,        Measure),
    ("/delta/thinking",                                              TEXT,        Measure),
    ("/delta/partial_json",                                          TEXT,        Measure),
    ("/completion",                                                  TEXT,        Measure),
    ("/output/message/content/*/text",                               TEXT,        Measure),
    ("/contentBlockDelta/delta/text",                                TEXT,        Measure),
    ("/contentBlockDelta/delta/toolUse/input",                       TEXT,        Measure),
    ("/outputText",                                                  TEXT,        Measure),
    ("/results/*/outputText",                                        TEXT,        Measure),
    ("/generation",                                                  TEXT,        Measure),
    ("/generations/*/text",                                          TEXT,        Measure),
    ("/text",                                                        TEXT,        Measure),
    ("/outputs/*/text",                                              TEXT,        Measure),
    ("/completions/*/data/text",                                     TEXT,        Measure),
    ("/choices/*/text",                                              TEXT,        Measure),
    ("/choices/*/message/content",                                   TEXT,        Measure),
    ("/choices/*/message/tool_calls/*/function/arguments",           TEXT,        Measure),
    ("/choices/*/delta/content",                                     TEXT,        Measure),
    ("/choices/*/delta/tool_calls/*/function/arguments",             TEXT,        Measure),
];

const METRICS: Pick = FIELD;
const INPUT: Pick = FIELD + 1;
const OUTPUT: Pick = FIELD + 2;
const CACHE_READ: Pick = FIELD + 3;
const CACHE_WRITE: Pick = FIELD + 4;
const BODY_INPUT: Pick = FIELD + 5;
const BODY_OUTPUT: Pick = FIELD + 6;
const PICTURES: Pick = COUNT;

fn converse(seen: &Seen<'_>) -> Option<Reported> {
    tokens(seen.usage, false)
}

/// OpenAI's models alone, and in streams alone, count cache tokens as input, too. The total does
/// not tell, because it counts them twice then.
fn converse_stream(seen: &Seen<'_>) -> Option<Reported> {
    let model = seen.kept.field(ASKED).and_then(Value::as_str);
    tokens(seen.usage, model.is_some_and(|model| model.contains("openai.")))
}

/// Reads a usage object of Converse or Nova, or what Bedrock counts itself. The cache tokens are part
/// of the input if it is `gross`, or if the total says so.
fn tokens(object: &Value, gross: bool) -> Option<Reported> {
    let mut counts = Counts::new(object);
    let input = counts.first(&["/inputTokens", "/inputTokenCount"]);
    let output = counts.first(&["/outputTokens", "/outputTokenCount"]);
    if input.is_none() && output.is_none() {
        return None;
    }
    let (input, output) = (input.unwrap_or(0), output.unwrap_or(0));
    // Converse has both names, for the same.
    let mut either = |names: &[&str]| counts.first(names).unwrap_or(0);
    let cached = either(&["/cacheReadInputTokens", "/cacheReadInputTokenCount"]);
    let written = either(&["/cacheWriteInputTokens", "/cacheWriteInputTokenCount"]);
    let gross = gross || counts.at("/totalTokens") == Some(input.saturating_add(output));
    let fresh = input.checked_sub(cached.saturating_add(written)).filter(|_| gross);
    let mut usage = Usage::default()
        .with(Unit::Input, fresh.unwrap_or(input))
        .with(Unit::CacheRead, cached)
        .with(Unit::Output, output);
    let details = object.get("cacheDetails").and_then(Value::as_array);
    let details: Vec<_> = details.into_iter().flatten().filter_map(kept_for).collect();
    let inconsistent = usage.divide(written, Unit::CacheWrite, &details);
    let tools = object.get("serverToolUsage").and_then(Value::as_object);
    // It has been empty so far. What it counts once it is not, has a price of its own.
    let partial = tools.is_some_and(|tools| tools.values().any(|count| read(count) != Some(0)));
    Some(Reported { usage, inconsistent, absurd: counts.absurd, partial, ..Reported::default() })
}

/// Tokens written to a cache, by how long they are kept.
fn kept_for(detail: &Value) -> Option<(Unit, u64)> {
    let unit = match detail.get("ttl")?.as_str()? {
        "5m" => Unit::CacheWrite5m,
        "1h" => Unit::CacheWrite1h,
        _ => return None,
    };
    Some((unit, Counts::new(detail).at("/inputTokens")?))
}

fn invoke(seen: &Seen<'_>) -> Option<Reported> {
    let told = match seen.kept.field(METRICS) {
        Some(Value::Object(metrics)) => metrics.clone(),
        _ => fields(seen.kept, &[INPUT, OUTPUT, CACHE_READ, CACHE_WRITE]),
    };
    let body = vendor(seen);
    let reported = match tokens(&Value::Object(told.clone()), false) {
        Some(plain) => Some(body.map_or(plain.clone(), |body| settled(told, &plain, body))),
        None => body,
    };
    let pictures = seen.kept.count(PICTURES);
    let inferred = reported.is_none();
    let mut reported = reported.or_else(|| (pictures > 0).then(Reported::default))?;
    reported.usage.add(Unit::Image, pictures);
    Some(Reported { inferred, ..reported })
}

/// What the vendor's own body says.
fn vendor(seen: &Seen<'_>) -> Option<Reported> {
    if seen.usage.get("prompt_tokens").is_some() {
        return openai::tokens(seen);
    }
    let fields = || tokens(&Value::Object(fields(seen.kept, &[BODY_INPUT, BODY_OUTPUT])), false);
    anthropic::reported(seen).or_else(|| tokens(seen.usage, false)).or_else(fields)
}

/// What Bedrock counts, `plain`, with what the body alone tells. Where they differ, Bedrock is
/// right: a guardrail that puts other words into the body leaves counts out of it.
fn settled(mut told: Map<String, Value>, plain: &Reported, body: Reported) -> Reported {
    let own = &body.usage;
    let is_same = |count: fn(&Usage) -> u64| count(&plain.usage) == count(own);
    if is_same(Usage::input_tokens) && is_same(Usage::output_tokens) {
        return body;
    }
    let (cached, written) = (own.cache_read_tokens(), own.cache_write_tokens());
    let fresh = own.input_tokens().saturating_sub(cached.saturating_add(written));
    let counts = [fresh, own.output_tokens(), cached, written];
    for (name, count) in NAMES.into_iter().zip(counts) {
        told.entry(name).or_insert_with(|| count.into());
    }
    let mut reported = tokens(&Value::Object(told), false).unwrap_or_default();
    let usage = &mut reported.usage;
    for unit in [Unit::CacheWrite1h, Unit::CacheWrite5m] {
        usage.shift(Unit::CacheWrite, unit, own.of(unit));
    }
    usage.shift(Unit::Output, Unit::Reasoning, own.of(Unit::Reasoning));
    usage.add(Unit::WebSearch, own.of(Unit::WebSearch));
    reported
}

/// Fields that say input, output, cache reads and cache writes, under Bedrock's names for those.
fn fields(kept: &Kept, picks: &[Pick]) -> Map<String, Value> {
    let fields = NAMES.into_iter().zip(picks);
    let said =
        fields.filter_map(|(name, &pick)| Some((name.to_owned(), kept.field(pick)?.clone())));
    said.collect()
}

/// What Bedrock calls input, output, cache reads and cache writes where it counts them itself.
const NAMES: [&str; 4] = [
    "inputTokenCount",
    "outputTokenCount",
    "cacheReadInputTokenCount",
    "cacheWriteInputTokenCount",
];

#[cfg(test)]
mod tests;
