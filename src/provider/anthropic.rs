//! Anthropic Messages.
//!
//! Cache tokens stand beside `input_tokens`, not in them; thinking is part of the output. A stream
//! has the input in its first event and running totals in its last ones: each key that a later
//! event gives, and is not null, replaces the earlier one. Nothing is ever added up.

use serde_json::{Map, Value};

use super::Reported;
use super::answer::{ERROR, MODEL, Place, START, TEXT, USAGE};
use super::count::Counts;
use crate::json::How::{Measure, Take};
use crate::usage::{Unit, Usage};

/// Where a body or an event has what is read.
pub(super) const PLACES: &[Place] = &[
    ("/model", MODEL, Take),
    ("/usage", USAGE, Take),
    ("/message/model", MODEL, Take),
    ("/message/usage", START, Take),
    ("/error", ERROR, Take),
    ("/content/*/text", TEXT, Measure),
    ("/content/*/thinking", TEXT, Measure),
    ("/content/*/input", TEXT, Measure),
    ("/content_block/text", TEXT, Measure),
    ("/delta/text", TEXT, Measure),
    ("/delta/thinking", TEXT, Measure),
    ("/delta/partial_json", TEXT, Measure),
];

/// Puts the keys that `later` gives over those of `merged`, in nested objects too.
pub(super) fn merge(merged: &mut Map<String, Value>, later: Map<String, Value>) {
    for (key, value) in later {
        match (merged.get_mut(&key), value) {
            (_, Value::Null) => {}
            (Some(Value::Object(old)), Value::Object(new)) => merge(old, new),
            (_, value) => {
                merged.insert(key, value);
            }
        }
    }
}

/// Reads a usage object, or `None` where it has no counts.
pub(super) fn reported(object: &Value) -> Option<Reported> {
    let mut counts = Counts::new(object);
    let input = counts.at("/input_tokens");
    let output = counts.at("/output_tokens");
    if input.is_none() && output.is_none() {
        return None;
    }
    let mut usage = Usage::default()
        .with(Unit::Input, input.unwrap_or(0))
        .with(Unit::CacheRead, counts.or_zero("/cache_read_input_tokens"))
        .with(Unit::WebSearch, counts.or_zero("/server_tool_use/web_search_requests"));
    let five = counts.or_zero("/cache_creation/ephemeral_5m_input_tokens");
    let hour = counts.or_zero("/cache_creation/ephemeral_1h_input_tokens");
    let split = five.saturating_add(hour);
    // The split may be missing, or older than the total that a later event gave.
    let written = counts.at("/cache_creation_input_tokens").unwrap_or(split);
    let writes = [(Unit::CacheWrite1h, hour), (Unit::CacheWrite5m, five)];
    let thinking = counts.or_zero("/output_tokens_details/thinking_tokens");
    let mut inconsistent = usage.divide(written, Unit::CacheWrite, &writes);
    inconsistent |= usage.divide(output.unwrap_or(0), Unit::Output, &[(Unit::Reasoning, thinking)]);
    // Compaction and advice are charged for, each by its own model, and stand here alone.
    let iterations = object.get("iterations").and_then(Value::as_array);
    let is_beside = |entry: &Value| entry.get("type").is_some_and(|kind| kind != "message");
    let partial = iterations.is_some_and(|entries| entries.iter().any(is_beside));
    Some(Reported { usage, overlap: 0, inconsistent, absurd: counts.absurd, partial })
}
