//! Anthropic Messages.
//!
//! Cache tokens stand beside `input_tokens`, not in them; thinking is part of the output. A stream
//! has the input in its first event and running totals in its last ones: each key that a later
//! event gives, and is not null, replaces the earlier one. Nothing is ever added up.

use serde_json::{Map, Value};

use super::Reported;
use super::count::Counts;
use super::dialect::{Dialect, ERROR, FINISH, Keeps, MODEL, Place, START, Seen, TEXT, USAGE};
use crate::json::How::{Measure, Take};
use crate::usage::{Part, Unit, Usage};

/// Messages.
pub(super) static MESSAGES: Dialect =
    Dialect { keeps: Keeps::Merged, ..Dialect::new(PLACES, reported) };
/// Text completions, which say no usage.
pub(super) static COMPLETE: Dialect = Dialect::new(COMPLETE_PLACES, |_| None);

const COMPLETE_PLACES: &[Place] = &[
    ("/model", MODEL, Take),
    ("/stop_reason", FINISH, Take),
    ("/error", ERROR, Take),
    ("/completion", TEXT, Measure),
];

const PLACES: &[Place] = &[
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

/// Reads a usage object, with all that its iterations add.
pub(super) fn reported(seen: &Seen<'_>) -> Option<Reported> {
    let mut reported = tokens(seen.usage)?;
    // The totals are those of the entries of one kind. What was done beside them, such as making
    // the context smaller or asking a better model for advice, stands in its own entry alone.
    let entries = seen.usage.get("iterations").and_then(Value::as_array);
    let entries: Vec<_> = entries.into_iter().flatten().filter_map(entry).collect();
    // Where a first model declined, the totals are those of the one that took over.
    let fell_back = entries.iter().any(|(kind, _)| *kind == "fallback_message");
    let counted = if fell_back { "fallback_message" } else { "message" };
    let sum = entries.iter().fold(Usage::default(), |sum, (_, part)| sum.and(&part.usage));
    if sum.input_tokens() > reported.usage.input_tokens()
        || sum.output_tokens() > reported.usage.output_tokens()
    {
        let beside = entries.into_iter().filter(|(kind, _)| *kind != counted);
        for (_, part) in beside {
            reported.usage = reported.usage.and(&part.usage);
            if part.model.is_some() {
                reported.parts.push(part);
            }
        }
    }
    Some(reported)
}

/// One entry of a call's iterations, and its kind.
fn entry(entry: &Value) -> Option<(&str, Part)> {
    let kind = entry.get("type").and_then(Value::as_str).unwrap_or("message");
    let model = entry.get("model").and_then(Value::as_str).map(str::to_owned);
    let usage = tokens(entry)?.usage;
    Some((kind, Part { model, usage }))
}

/// Reads an object of counts, or `None` where it has none.
fn tokens(object: &Value) -> Option<Reported> {
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
    Some(Reported { usage, inconsistent, absurd: counts.absurd, ..Reported::default() })
}
