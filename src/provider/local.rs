//! Servers that one runs oneself: Ollama, text-generation-inference, llama.cpp; and hosted ones that
//! count as those do, in fields of their own beside the text.

use serde_json::Value;

use super::Reported;
use super::count::{MOST, read};
use super::dialect::{COUNT, Dialect, ERROR, FIELD, FINISH, MODEL, PEAK, Place, SUM, Seen, TEXT};
use crate::json::How::{Measure, Take};
use crate::json::Pick;
use crate::usage::{Unit, Usage};

/// Ollama's own API: one document, or one in each line of which the last has the counts.
pub(super) static OLLAMA: Dialect = Dialect::new(OLLAMA_PLACES, ollama);
/// Text-generation-inference's own API. What a stream has read only newer servers say.
pub(super) static TGI: Dialect =
    Dialect { headers: TGI_HEADERS, ..Dialect::new(TGI_PLACES, generated) };

#[rustfmt::skip]
const OLLAMA_PLACES: &[Place] = &[
    ("/model",                          MODEL,   Take),
    ("/prompt_eval_count",              PROMPT,  Take),
    ("/prompt_eval_cached_count",       CACHED,  Take),
    ("/eval_count",                     WRITTEN, Take),
    ("/done",                           FINISH,  Take),
    ("/error",                          ERROR,   Take),
    ("/response",                       TEXT,    Measure),
    ("/thinking",                       TEXT,    Measure),
    ("/message/content",                TEXT,    Measure),
    ("/message/thinking",               TEXT,    Measure),
    ("/message/tool_calls/*/function",  TEXT,    Measure),
];

#[rustfmt::skip]
const TGI_PLACES: &[Place] = &[
    ("/details/prompt_tokens",                          PROMPT,  Take),
    ("/details/input_length",                           PROMPT,  Take),
    ("/details/prefill/*/id",                           PREFILL, Take),
    ("/details/generated_tokens",                       WRITTEN, Take),
    ("/details/best_of_sequences/*/generated_tokens",   OTHERS,  Take),
    ("/details/generated_tokens",                       FINISH,  Take),
    ("/details/finish_reason",                          FINISH,  Take),
    // SGLang's own, at the same path; in a stream the totals run.
    ("/meta_info/prompt_tokens",                        PROMPT,  Take),
    ("/meta_info/cached_tokens",                        CACHED,  Take),
    ("/meta_info/completion_tokens",                    WRITTEN, Take),
    ("/meta_info/finish_reason",                        FINISH,  Take),
    ("/text",                                           TEXT,    Measure),
    ("/error",                                          ERROR,   Take),
    // llama.cpp's own; in a stream the totals run.
    ("/model",                                          MODEL,   Take),
    ("/tokens_evaluated",                               PROMPT,  Take),
    ("/tokens_predicted",                               WRITTEN, Take),
    ("/stop",                                           FINISH,  Take),
    ("/content",                                        TEXT,    Measure),
    // watsonx; in a stream only the first event has the length of the prompt.
    ("/model_id",                                       MODEL,   Take),
    ("/results/*/input_token_count",                    FIRST,   Take),
    ("/results/*/generated_token_count",                WRITTEN, Take),
    ("/results/*/stop_reason",                          FINISH,  Take),
    ("/results/*/generated_text",                       TEXT,    Measure),
    // DeepInfra's own.
    ("/num_input_tokens",                               PROMPT,  Take),
    ("/num_output_tokens",                              WRITTEN, Take),
    ("/inference_status/tokens_input",                  PROMPT,  Take),
    ("/inference_status/tokens_generated",              WRITTEN, Take),
    // Aleph Alpha.
    ("/num_tokens_prompt_total",                        PROMPT,  Take),
    ("/num_tokens_generated",                           WRITTEN, Take),
    ("/completions/*/completion",                       TEXT,    Measure),
    ("/generated_text",                                 TEXT,    Measure),
    ("/token/text",                                     TEXT,    Measure),
    ("/*/details/prefill/*/id",                         PREFILL, Take),
    ("/*/details/generated_tokens",                     WRITTEN, Take),
    ("/*/details/best_of_sequences/*/generated_tokens", OTHERS,  Take),
    ("/*/generated_text",                               TEXT,    Measure),
];

const TGI_HEADERS: &[(&str, Pick)] =
    &[("x-prompt-tokens", PROMPT), ("x-generated-tokens", WRITTEN)];

const PROMPT: Pick = FIELD;
const CACHED: Pick = FIELD + 1;
const WRITTEN: Pick = FIELD + 2;
/// The length of a prompt of which later events say that it is zero.
const FIRST: Pick = PEAK;
/// The tokens of the prompt, each as an entry.
const PREFILL: Pick = COUNT;
/// Answers that were generated too and not chosen.
const OTHERS: Pick = SUM;

fn ollama(seen: &Seen<'_>) -> Option<Reported> {
    reported(field(seen, PROMPT), field(seen, WRITTEN), field(seen, CACHED).unwrap_or(0))
}

fn generated(seen: &Seen<'_>) -> Option<Reported> {
    let prefill = Some(seen.kept.count(PREFILL)).filter(|&tokens| tokens > 0);
    let written = field(seen, WRITTEN)?;
    let others = seen.kept.count(OTHERS);
    let cached = field(seen, CACHED).unwrap_or(0);
    let prompt = field(seen, PROMPT).or(field(seen, FIRST)).or(prefill);
    reported(prompt, Some(written.saturating_add(others)), cached)
}

/// A prompt of which nothing is said is unknown, not empty: Ollama left it out where all of it
/// came from its cache.
fn reported(prompt: Option<u64>, written: Option<u64>, cached: u64) -> Option<Reported> {
    prompt.or(written)?;
    let mut usage = Usage::default();
    let read = prompt.unwrap_or(0);
    let inconsistent = usage.divide(read, Unit::Input, &[(Unit::CacheRead, cached)]);
    usage.add(Unit::Output, written.unwrap_or(0));
    let absurd = usage.leaves().any(|(_, count)| count > MOST);
    let prompt_unknown = prompt.is_none();
    Some(Reported { usage, inconsistent, absurd, prompt_unknown, ..Reported::default() })
}

/// A count; one below zero is made absurd.
fn field(seen: &Seen<'_>, pick: Pick) -> Option<u64> {
    let count: &Value = seen.kept.field(pick)?;
    Some(u64::try_from(read(count)?).unwrap_or(u64::MAX))
}
