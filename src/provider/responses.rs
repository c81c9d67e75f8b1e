//! OpenAI Responses, and everything that speaks them.
//!
//! The usage stands in the response, which the last event of a stream carries whole, whatever its
//! type; earlier events carry it with `usage: null`. Cached tokens are part of the input and
//! reasoning is part of the output, at xAI too. What its tools did is charged beside that: pictures
//! at the prices of the model that made them.

use serde_json::Value;

use super::Reported;
use super::count::Counts;
use super::dialect::{
    AGAIN, Dialect, ERROR, FIELD, FINISH, ID, KIND, MODEL, Place, STATUS, Seen, TEXT, TIER, USAGE,
};
use super::openai::tokens;
use crate::json::How::{Measure, Take};
use crate::json::Pick;
use crate::usage::{Part, Unit, Usage};

/// Responses, polls of them, and compactions.
pub(super) static RESPONSES: Dialect = Dialect::new(PLACES, reported);

/// Runs of assistants. A stream of one has the usage of its steps before that of all.
pub(super) static RUNS: Dialect = Dialect::new(RUN_PLACES, tokens);

const RUN_PLACES: &[Place] = &[
    ("/model", MODEL, Take),
    ("/usage", USAGE, Take),
    ("/service_tier", TIER, Take),
    ("/id", ID, Take),
    ("/status", STATUS, Take),
    ("/assistant_id", AGAIN, Take),
    ("/last_error", ERROR, Take),
    ("/delta/content/*/text/value", TEXT, Measure),
];

#[rustfmt::skip]
const PLACES: &[Place] = &[
    ("/model",                     MODEL,  Take),
    ("/usage",                     USAGE,  Take),
    ("/tool_usage",                TOOLS,  Take),
    ("/tools/*/model",             MAKER,  Take),
    ("/service_tier",              TIER,   Take),
    ("/id",                        ID,     Take),
    ("/background",                AGAIN,  Take),
    ("/status",                    STATUS, Take),
    ("/status",                    FINISH, Take),
    ("/error",                     ERROR,  Take),
    ("/output/*/type",             KIND,   Take),
    ("/output/*/content/*/text",   TEXT,   Measure),
    ("/output/*/arguments",        TEXT,   Measure),
    ("/delta",                     TEXT,   Measure),
    ("/response/model",            MODEL,  Take),
    ("/response/usage",            USAGE,  Take),
    ("/response/tool_usage",       TOOLS,  Take),
    ("/response/tools/*/model",    MAKER,  Take),
    ("/response/service_tier",     TIER,   Take),
    ("/response/id",               ID,     Take),
    ("/response/background",       AGAIN,  Take),
    ("/response/status",           STATUS, Take),
    ("/response/status",           FINISH, Take),
    ("/response/error",            ERROR,  Take),
    ("/response/output/*/type",    KIND,   Take),
];

const TOOLS: Pick = FIELD;
/// The model that makes pictures, where the request's tools name one.
const MAKER: Pick = FIELD + 1;

fn reported(seen: &Seen<'_>) -> Option<Reported> {
    // Who leaves reasoning out of the output of a chat has it in here.
    let adds = matches!(seen.provider, "xai" | "vercel" | "perplexity");
    let provider = if adds { "openai" } else { seen.provider };
    let mut reported = tokens(&Seen { provider, ..*seen })?;
    let usage = &mut reported.usage;
    let tools = seen.kept.field(TOOLS);
    let requests = |at: &str| tools.and_then(|tools| Counts::new(tools).at(at));
    if usage.of(Unit::WebSearch) == 0 {
        let searches = requests("/web_search/num_requests");
        usage.add(Unit::WebSearch, searches.unwrap_or_else(|| seen.kept.kind("web_search_call")));
    }
    usage.add(Unit::FileSearch, seen.kept.kind("file_search_call"));
    usage.add(Unit::CodeSession, seen.kept.kind("code_interpreter_call").min(1));
    if let Some(pictures) = tools.and_then(|tools| tools.get("image_gen")).and_then(pictures) {
        let maker = seen.kept.field(MAKER).and_then(Value::as_str).unwrap_or(PICTURE_MODEL);
        *usage = usage.and(&pictures);
        reported.parts.push(Part { model: Some(maker.to_owned()), usage: pictures });
    } else if tools.is_none() && seen.kept.kind("image_generation_call") > 0 {
        // Recordings before `tool_usage`: pictures were made, and nothing says for how many tokens.
        reported.partial = true;
    }
    Some(reported)
}

fn pictures(object: &Value) -> Option<Usage> {
    let seen = Seen { usage: object, kept: &Default::default(), provider: "openai", model: "" };
    tokens(&seen).map(|reported| reported.usage).filter(|usage| *usage != Usage::default())
}

/// The model that makes pictures where nothing else is said.
const PICTURE_MODEL: &str = "gpt-image-1";
