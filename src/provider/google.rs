//! What Google's own models answer, at Gemini's address and at Vertex.
//!
//! Cached tokens are part of the prompt; thoughts and tool prompts stand beside it and beside the
//! candidates. Every event of a stream may have running totals: the last one that has counts is
//! taken, not the largest, because a prompt count may shrink.

use serde_json::Value;

use super::Reported;
use super::count::{Counts, MOST, read};
use super::dialect::{
    AGAIN, COUNT, Dialect, ERROR, FINISH, ID, Keeps, MODEL, Place, START, STATUS, SUM, Seen, TEXT,
    TIER, USAGE,
};
use crate::json::How::{Measure, Take};
use crate::json::Pick;
use crate::usage::{Unit, Usage};

/// generateContent, and its stream.
pub(super) static GENERATE: Dialect =
    Dialect { keeps: Keeps::LastWithCounts(has_counts), ..Dialect::new(PLACES, generated) };
/// Embeddings of Gemini's API. Many say no usage.
pub(super) static EMBED: Dialect =
    Dialect::new(&[("/usageMetadata", USAGE, Take), ("/error", ERROR, Take)], generated);
/// Interactions, and polls of them.
pub(super) static INTERACTIONS: Dialect = Dialect::new(INTERACTION_PLACES, interacted);
/// Vertex's older call for embeddings and pictures.
pub(super) static PREDICT: Dialect = Dialect::new(PREDICT_PLACES, predicted);

/// Where a body or an event has what is read. A stream without `alt=sse` is an array of events.
#[rustfmt::skip]
const PLACES: &[Place] = &[
    ("/modelVersion",                                             MODEL,   Take),
    ("/usageMetadata",                                            USAGE,   Take),
    ("/error",                                                    ERROR,   Take),
    ("/candidates/*/finishReason",                                FINISH,  Take),
    ("/promptFeedback/blockReason",                               FINISH,  Take),
    ("/candidates/*/groundingMetadata/webSearchQueries/*",        QUERIES, Take),
    ("/candidates/*/groundingMetadata/groundingChunks/*/maps/uri", MAPS,   Take),
    ("/candidates/*/content/parts/*/text",                        TEXT,    Measure),
    ("/candidates/*/content/parts/*/functionCall",                TEXT,    Measure),
    ("/candidates/*/content/parts/*/executableCode/code",         TEXT,    Measure),
    // Google's code assistant wraps the same.
    ("/response/modelVersion",                                    MODEL,   Take),
    ("/response/usageMetadata",                                   USAGE,   Take),
    ("/response/candidates/*/finishReason",                       FINISH,  Take),
    ("/response/candidates/*/content/parts/*/text",               TEXT,    Measure),
    ("/response/candidates/*/content/parts/*/functionCall",       TEXT,    Measure),
    ("/*/modelVersion",                                           MODEL,   Take),
    ("/*/usageMetadata",                                          USAGE,   Take),
    ("/*/error",                                                  ERROR,   Take),
    ("/*/candidates/*/finishReason",                              FINISH,  Take),
    ("/*/promptFeedback/blockReason",                             FINISH,  Take),
    ("/*/candidates/*/groundingMetadata/webSearchQueries/*",      QUERIES, Take),
    ("/*/candidates/*/groundingMetadata/groundingChunks/*/maps/uri", MAPS, Take),
    ("/*/candidates/*/content/parts/*/text",                      TEXT,    Measure),
    ("/*/candidates/*/content/parts/*/functionCall",              TEXT,    Measure),
    ("/*/candidates/*/content/parts/*/executableCode/code",       TEXT,    Measure),
];

#[rustfmt::skip]
const INTERACTION_PLACES: &[Place] = &[
    ("/model",                    MODEL,  Take),
    ("/agent",                    MODEL,  Take),
    ("/usage",                    USAGE,  Take),
    ("/service_tier",             TIER,   Take),
    // What is stored can be asked for again, with its usage.
    ("/id",                       ID,     Take),
    ("/id",                       AGAIN,  Take),
    ("/status",                   STATUS, Take),
    ("/error",                    ERROR,  Take),
    ("/steps/*/content/*/text",   TEXT,   Measure),
    ("/steps/*/arguments",        TEXT,   Measure),
    ("/delta/text",               TEXT,   Measure),
    ("/delta/arguments",          TEXT,   Measure),
    ("/delta/content/text",       TEXT,   Measure),
    // What the first event knows so far.
    ("/metadata/usage",           START,  Take),
    ("/interaction/model",        MODEL,  Take),
    ("/interaction/agent",        MODEL,  Take),
    ("/interaction/usage",        USAGE,  Take),
    ("/interaction/usage",        FINISH, Take),
    ("/interaction/usage",        AGAIN,  Take),
    ("/interaction/service_tier", TIER,   Take),
    ("/interaction/id",           ID,     Take),
    ("/interaction/status",       STATUS, Take),
];

/// Vertex tells how many characters it embedded as well; only a few old models are charged by them.
#[rustfmt::skip]
const PREDICT_PLACES: &[Place] = &[
    ("/predictions/*/embeddings/statistics/token_count", TOKENS,   Take),
    // Text of PaLM.
    ("/metadata/tokenMetadata/inputTokenCount/totalTokens", TOKENS, Take),
    ("/metadata/tokenMetadata/outputTokenCount/totalTokens", WRITTEN, Take),
    ("/predictions/*/bytesBase64Encoded",                PICTURES, Take),
    ("/predictions/*/gcsUri",                            PICTURES, Take),
    ("/error",                                           ERROR,    Take),
];

const QUERIES: Pick = COUNT;
const MAPS: Pick = COUNT + 1;
const PICTURES: Pick = COUNT;
const TOKENS: Pick = SUM;
const WRITTEN: Pick = SUM + 1;

/// Whether a usage object has counts at all: Vertex sends `{"trafficType":…}` until the last event.
/// One with escapes in it may have any key.
fn has_counts(raw: &[u8]) -> bool {
    memchr::memmem::find(raw, b"TokenCount\"").is_some() || raw.contains(&b'\\')
}

/// The word for Vertex's class of service where a client asked for numbers instead of names.
pub(super) fn traffic(object: &Value) -> Option<String> {
    let word = match object.get("trafficType")?.as_u64()? {
        1 => "ON_DEMAND",
        2 => "PROVISIONED_THROUGHPUT",
        3 => "ON_DEMAND_PRIORITY",
        4 => "ON_DEMAND_FLEX",
        _ => return None,
    };
    Some(word.to_owned())
}

fn generated(seen: &Seen<'_>) -> Option<Reported> {
    let mut reported = tokens(seen.usage, &GENERATED)?;
    // Queries of a map are not shown, only what they found.
    let [queries, maps] = [seen.kept.count(QUERIES), seen.kept.count(MAPS).min(1)];
    reported.usage.add(Unit::WebSearch, billed(seen.model, queries));
    reported.usage.add(Unit::MapsSearch, maps);
    Some(reported)
}

fn interacted(seen: &Seen<'_>) -> Option<Reported> {
    let mut reported = tokens(seen.usage, &INTERACTED)?;
    let tools = seen.usage.get("grounding_tool_count").and_then(Value::as_array);
    for tool in tools.into_iter().flatten() {
        let unit = match tool.get("type").and_then(Value::as_str) {
            Some("google_search") => Unit::WebSearch,
            Some("google_maps") => Unit::MapsSearch,
            _ => continue,
        };
        reported.usage.add(unit, billed(seen.model, Counts::new(tool).or_zero("/count")));
    }
    Some(reported)
}

/// How many of so many searches are charged for: each since Gemini 3, one for each call before.
fn billed(model: &str, searches: u64) -> u64 {
    let by_call = ["gemini-1", "gemini-2"].iter().any(|old| model.contains(old));
    if by_call { searches.min(1) } else { searches }
}

fn predicted(seen: &Seen<'_>) -> Option<Reported> {
    if let Some(tokens) = seen.kept.sum(TOKENS) {
        let written = seen.kept.sum(WRITTEN).unwrap_or(0);
        let usage = Usage::default().with(Unit::Input, tokens).with(Unit::Output, written);
        return Some(Reported { usage, absurd: tokens.max(written) > MOST, ..Reported::default() });
    }
    let pictures = seen.kept.count(PICTURES);
    let usage = Usage::default().with(Unit::Image, pictures);
    (pictures > 0).then_some(Reported { usage, inferred: true, ..Reported::default() })
}

/// What the counts of a usage object are called.
struct Names {
    prompt: &'static str,
    candidates: &'static str,
    total: &'static str,
    thoughts: &'static str,
    tool: &'static str,
    cached: &'static str,
    /// The lists by modality, of the prompt, of what came from a cache and of the candidates.
    modalities: [&'static [&'static str]; 3],
}

const GENERATED: Names = Names {
    prompt: "/promptTokenCount",
    candidates: "/candidatesTokenCount",
    total: "/totalTokenCount",
    thoughts: "/thoughtsTokenCount",
    tool: "/toolUsePromptTokenCount",
    cached: "/cachedContentTokenCount",
    modalities: [
        // Embeddings spell it their own way.
        &["promptTokensDetails", "promptTokenDetails"],
        &["cacheTokensDetails"],
        &["candidatesTokensDetails"],
    ],
};

const INTERACTED: Names = Names {
    prompt: "/total_input_tokens",
    candidates: "/total_output_tokens",
    total: "/total_tokens",
    thoughts: "/total_thought_tokens",
    tool: "/total_tool_use_tokens",
    cached: "/total_cached_tokens",
    modalities: [
        &["input_tokens_by_modality"],
        &["cached_tokens_by_modality"],
        &["output_tokens_by_modality"],
    ],
};

/// Reads a usage object, or `None` where it has no counts.
fn tokens(object: &Value, names: &Names) -> Option<Reported> {
    let mut counts = Counts::new(object);
    let prompt = counts.at(names.prompt);
    let candidates = counts.at(names.candidates);
    let total = counts.at(names.total);
    if prompt.is_none() && candidates.is_none() && total.is_none() {
        return None;
    }
    let thoughts = counts.or_zero(names.thoughts);
    let tool = counts.or_zero(names.tool);
    let cached = counts.or_zero(names.cached);
    let beside = thoughts.saturating_add(tool);
    let (prompt, candidates) = completed(prompt, candidates, total, beside);

    let mut usage = Usage::default().with(Unit::InputTool, tool).with(Unit::Reasoning, thoughts);
    let [input, cache, output] = names.modalities.map(|keys| Modalities::read(object, keys));
    let input = input.without(&cache);
    let mut read = Usage::default();
    let cached_parts = [Unit::CacheReadAudio, Unit::CacheReadImage, Unit::CacheReadVideo];
    let input_parts = [Unit::InputAudio, Unit::InputImage, Unit::InputVideo];
    let output_parts = [Unit::OutputAudio, Unit::OutputImage, Unit::OutputVideo];
    let rest = prompt.saturating_sub(cached);
    let inconsistent = (cached > prompt)
        | read.divide(cached.min(prompt), Unit::CacheRead, &cache.parts(cached_parts))
        | read.divide(rest, Unit::Input, &input.parts(input_parts))
        | usage.divide(candidates, Unit::Output, &output.parts(output_parts));
    let usage = usage.and(&read);
    Some(Reported { usage, inconsistent, absurd: counts.absurd, ..Reported::default() })
}

/// The two counts, each taken from the total where it is missing and the total says more.
fn completed(
    prompt: Option<u64>,
    candidates: Option<u64>,
    total: Option<u64>,
    beside: u64,
) -> (u64, u64) {
    let rest =
        |known: u64| total.map_or(0, |total| total.saturating_sub(known).saturating_sub(beside));
    match (prompt, candidates) {
        (Some(prompt), Some(candidates)) => (prompt, candidates),
        (Some(prompt), None) => (prompt, rest(prompt)),
        (None, candidates) => (rest(candidates.unwrap_or(0)), candidates.unwrap_or(0)),
    }
}

/// The names of modalities, by the numbers of their enum.
const MODALITIES: [&str; 6] =
    ["MODALITY_UNSPECIFIED", "TEXT", "IMAGE", "VIDEO", "AUDIO", "DOCUMENT"];

/// Tokens of one direction that are not text.
#[derive(Default)]
struct Modalities {
    audio: u64,
    image: u64,
    video: u64,
}

impl Modalities {
    /// Reads a list of `{modality, tokenCount}`; the modality may be the number of its enum.
    fn read(object: &Value, keys: &[&str]) -> Self {
        let mut found = Self::default();
        let list = keys.iter().find_map(|key| object.get(key)?.as_array());
        for entry in list.into_iter().flatten() {
            let count =
                entry.get("tokenCount").or_else(|| entry.get("tokens")).and_then(read).unwrap_or(0);
            let count = u64::try_from(count).unwrap_or(0);
            let kind = match entry.get("modality") {
                Some(Value::String(name)) => MODALITIES
                    .iter()
                    .position(|own| name.eq_ignore_ascii_case(own))
                    .and_then(|at| u64::try_from(at).ok()),
                number => number.and_then(Value::as_u64),
            };
            let slot = match kind {
                // Pages of a document are read as pictures.
                Some(2 | 5) => &mut found.image,
                Some(3) => &mut found.video,
                Some(4) => &mut found.audio,
                _ => continue,
            };
            *slot = slot.saturating_add(count);
        }
        found
    }

    const fn parts(&self, [audio, image, video]: [Unit; 3]) -> [(Unit, u64); 3] {
        [(audio, self.audio), (image, self.image), (video, self.video)]
    }

    const fn without(self, part: &Self) -> Self {
        Self {
            audio: self.audio.saturating_sub(part.audio),
            image: self.image.saturating_sub(part.image),
            video: self.video.saturating_sub(part.video),
        }
    }
}
