//! Gemini and Vertex `generateContent` and `streamGenerateContent`.
//!
//! Cached tokens are part of the prompt; thoughts and tool prompts stand beside it and beside the
//! candidates. Every event of a stream may have running totals: the last one that has counts is
//! taken, not the largest, because a prompt count may shrink.

use serde_json::Value;

use super::Reported;
use super::count::{Counts, read};
use super::dialect::{COUNT, Dialect, ERROR, FINISH, Keeps, MODEL, Place, Seen, TEXT, USAGE};
use crate::json::How::{Measure, Take};
use crate::json::Pick;
use crate::usage::{Unit, Usage};

/// generateContent, and its stream.
pub(super) static GENERATE: Dialect =
    Dialect { keeps: Keeps::LastWithCounts(has_counts), ..Dialect::new(PLACES, reported) };
pub(super) static EMBED: Dialect = Dialect { ..SILENT_ };
pub(super) static INTERACTIONS: Dialect = Dialect { ..SILENT_ };
pub(super) static PREDICT: Dialect = Dialect { ..SILENT_ };
const SILENT_: Dialect = Dialect::new(&[], |_| None);

/// Where a body or an event has what is read. A stream without `alt=sse` is an array of events.
const PLACES: &[Place] = &[
    ("/modelVersion", MODEL, Take),
    ("/usageMetadata", USAGE, Take),
    ("/error", ERROR, Take),
    ("/candidates/*/finishReason", FINISH, Take),
    ("/candidates/*/groundingMetadata/webSearchQueries/*", QUERIES, Take),
    ("/*/candidates/*/groundingMetadata/webSearchQueries/*", QUERIES, Take),
    ("/candidates/*/content/parts/*/text", TEXT, Measure),
    ("/candidates/*/content/parts/*/functionCall", TEXT, Measure),
    ("/*/modelVersion", MODEL, Take),
    ("/*/usageMetadata", USAGE, Take),
    ("/*/error", ERROR, Take),
    ("/*/candidates/*/finishReason", FINISH, Take),
    ("/*/candidates/*/content/parts/*/text", TEXT, Measure),
    ("/*/candidates/*/content/parts/*/functionCall", TEXT, Measure),
];

const QUERIES: Pick = COUNT;

/// Whether a usage object has counts at all: Vertex sends `{"trafficType":…}` until the last event.
fn has_counts(raw: &[u8]) -> bool {
    memchr::memmem::find(raw, b"TokenCount\"").is_some()
}

/// Reads a usage object, or `None` where it has no counts.
fn reported(seen: &Seen<'_>) -> Option<Reported> {
    let object = seen.usage;
    let mut counts = Counts::new(object);
    let prompt = counts.at("/promptTokenCount");
    let candidates = counts.at("/candidatesTokenCount");
    let total = counts.at("/totalTokenCount");
    if prompt.is_none() && candidates.is_none() && total.is_none() {
        return None;
    }
    let thoughts = counts.or_zero("/thoughtsTokenCount");
    let tool = counts.or_zero("/toolUsePromptTokenCount");
    let cached = counts.or_zero("/cachedContentTokenCount");
    let beside = thoughts.saturating_add(tool);
    let (prompt, candidates) = completed(prompt, candidates, total, beside);

    let mut usage = Usage::default().with(Unit::InputTool, tool).with(Unit::Reasoning, thoughts);
    let cache = Modalities::read(object, "cacheTokensDetails");
    let input = Modalities::read(object, "promptTokensDetails").without(&cache);
    let output = Modalities::read(object, "candidatesTokensDetails");
    let mut prompt_usage = Usage::default();
    let mut inconsistent = prompt_usage.divide(
        cached.min(prompt),
        Unit::CacheRead,
        &[
            (Unit::CacheReadAudio, cache.audio),
            (Unit::CacheReadImage, cache.image),
            (Unit::CacheReadVideo, cache.video),
        ],
    );
    inconsistent |= cached > prompt;
    inconsistent |= prompt_usage.divide(
        prompt.saturating_sub(cached),
        Unit::Input,
        &[
            (Unit::InputAudio, input.audio),
            (Unit::InputImage, input.image),
            (Unit::InputVideo, input.video),
        ],
    );
    inconsistent |= usage.divide(
        candidates,
        Unit::Output,
        &[
            (Unit::OutputAudio, output.audio),
            (Unit::OutputImage, output.image),
            (Unit::OutputVideo, output.video),
        ],
    );
    for (unit, quantity) in prompt_usage.leaves() {
        usage.add(unit, quantity);
    }
    usage.add(Unit::WebSearch, seen.kept.count(QUERIES));
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

/// Tokens of one direction that are not text.
#[derive(Default)]
struct Modalities {
    audio: u64,
    image: u64,
    video: u64,
}

impl Modalities {
    /// Reads a list of `{modality, tokenCount}`; the modality may be the number of its enum.
    fn read(object: &Value, key: &str) -> Self {
        let mut found = Self::default();
        let list = object.get(key).and_then(Value::as_array);
        for entry in list.into_iter().flatten() {
            let count = entry.get("tokenCount").and_then(read).unwrap_or(0);
            let count = u64::try_from(count).unwrap_or(0);
            let slot = match entry.get("modality") {
                Some(Value::String(name)) if name == "AUDIO" => &mut found.audio,
                Some(Value::String(name)) if name == "IMAGE" => &mut found.image,
                Some(Value::String(name)) if name == "VIDEO" => &mut found.video,
                Some(number) if number.as_u64() == Some(2) => &mut found.image,
                Some(number) if number.as_u64() == Some(3) => &mut found.video,
                Some(number) if number.as_u64() == Some(4) => &mut found.audio,
                _ => continue,
            };
            *slot = slot.saturating_add(count);
        }
        found
    }

    const fn without(self, part: &Self) -> Self {
        Self {
            audio: self.audio.saturating_sub(part.audio),
            image: self.image.saturating_sub(part.image),
            video: self.video.saturating_sub(part.video),
        }
    }
}
