//! Cohere's chat, embeddings and reranks, and the reranks of others.
//!
//! What is billed stands beside what the model read and wrote; the billed units count, into which
//! neither Cohere's own preamble nor what came from a cache goes. Answers name no model.

use super::Reported;
use super::count::Counts;
use super::dialect::{Dialect, ERROR, FINISH, Place, Seen, TEXT, USAGE};
use super::openai::tokens;
use crate::json::How::{Measure, Take};
use crate::usage::{Unit, Usage};

/// Everything that Cohere answers, in both versions of its API.
pub(super) static COHERE: Dialect = Dialect::new(PLACES, reported);

#[rustfmt::skip]
const PLACES: &[Place] = &[
    // The second version: a document, or events that say so at their end.
    ("/usage",                                             USAGE,  Take),
    ("/delta/usage",                                       USAGE,  Take),
    ("/finish_reason",                                     FINISH, Take),
    ("/delta/finish_reason",                               FINISH, Take),
    ("/delta/error",                                       ERROR,  Take),
    ("/message/content/*/text",                            TEXT,   Measure),
    ("/message/content/*/thinking",                        TEXT,   Measure),
    ("/message/tool_plan",                                 TEXT,   Measure),
    ("/message/tool_calls/*/function/arguments",           TEXT,   Measure),
    ("/delta/message/content/text",                        TEXT,   Measure),
    ("/delta/message/content/thinking",                    TEXT,   Measure),
    ("/delta/message/tool_plan",                           TEXT,   Measure),
    ("/delta/message/tool_calls/function/arguments",       TEXT,   Measure),
    // The first one: a document, or documents in a row of which the last has it in its response.
    ("/meta",                                              USAGE,  Take),
    ("/response/meta",                                     USAGE,  Take),
    ("/text",                                              TEXT,   Measure),
    ("/generations/*/text",                                TEXT,   Measure),
    ("/tool_calls/*/parameters",                           TEXT,   Measure),
    ("/tool_call_delta/parameters",                        TEXT,   Measure),
];

fn reported(seen: &Seen<'_>) -> Option<Reported> {
    let billed = seen.usage.get("billed_units").filter(|units| units.is_object());
    let own = billed.or_else(|| seen.usage.get("tokens"));
    let Some(own) = own else { return other(seen) };
    let mut counts = Counts::new(own);
    let items = [
        ("/input_tokens", Unit::Input),
        ("/image_tokens", Unit::InputImage),
        ("/images", Unit::Image),
        ("/search_units", Unit::SearchUnit),
        ("/output_tokens", Unit::Output),
    ];
    let mut usage = Usage::default();
    let mut any = false;
    for (place, unit) in items {
        let count = counts.at(place);
        any |= count.is_some();
        usage.add(unit, count.unwrap_or(0));
    }
    let mut whole = Counts::new(seen.usage);
    usage.shift(Unit::Output, Unit::Reasoning, whole.or_zero("/tokens/reasoning_tokens"));
    let absurd = counts.absurd || whole.absurd;
    any.then_some(Reported { usage, absurd, ..Reported::default() })
}

/// A rerank of one who is not Cohere: tokens, or units of search, or both.
fn other(seen: &Seen<'_>) -> Option<Reported> {
    let units = Counts::new(seen.usage).at("/search_units");
    let reported = tokens(seen).or_else(|| units.map(|_| Reported::default()))?;
    let usage = reported.usage.with(Unit::SearchUnit, units.unwrap_or(0));
    Some(Reported { usage, ..reported })
}
