//! OpenAI chat completions, and everything that speaks them.
//!
//! A stream carries usage in its last events, if at all; some send it twice, some in every event:
//! the last one counts. Cached tokens are part of the prompt and reasoning is part of the
//! completion, with the exceptions named below.

use serde_json::Value;

use super::Reported;
use super::answer::{ERROR, FINISH, MODEL, Place, SPARE, TEXT, TIER, USAGE};
use super::count::Counts;
use crate::json::How::{Measure, Take};
use crate::usage::{Unit, Usage};

/// Where a body or an event has what is read.
pub(super) const PLACES: &[Place] = &[
    ("/model", MODEL, Take),
    ("/usage", USAGE, Take),
    // Groq's own place for the same; Moonshot's older one.
    ("/x_groq/usage", SPARE, Take),
    ("/choices/*/usage", SPARE, Take),
    ("/service_tier", TIER, Take),
    ("/error", ERROR, Take),
    ("/choices/*/finish_reason", FINISH, Take),
    ("/choices/*/text", TEXT, Measure),
    ("/choices/*/delta/content", TEXT, Measure),
    ("/choices/*/delta/reasoning", TEXT, Measure),
    ("/choices/*/delta/reasoning_content", TEXT, Measure),
    ("/choices/*/delta/refusal", TEXT, Measure),
    ("/choices/*/delta/tool_calls/*/function/name", TEXT, Measure),
    ("/choices/*/delta/tool_calls/*/function/arguments", TEXT, Measure),
    ("/choices/*/delta/function_call", TEXT, Measure),
    ("/choices/*/message/function_call", TEXT, Measure),
    ("/choices/*/message/content", TEXT, Measure),
    ("/choices/*/message/reasoning", TEXT, Measure),
    ("/choices/*/message/reasoning_content", TEXT, Measure),
    ("/choices/*/message/refusal", TEXT, Measure),
    ("/choices/*/message/tool_calls/*/function/arguments", TEXT, Measure),
];

/// Reads a usage object, or `None` where it has no counts.
pub(super) fn reported(object: &Value, provider: &str) -> Option<Reported> {
    let mut counts = Counts::new(object);
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
    parts.settle_conventions(provider, total);
    let overlap = if provider == "openrouter" { parts.overlap() } else { 0 };
    let (usage, inconsistent) = parts.leaves(overlap);
    Some(Reported { usage, overlap, inconsistent, absurd: counts.absurd, partial: false })
}

/// The counts by their meaning, before they are made disjoint.
struct Parts {
    prompt: u64,
    cached: u64,
    written: u64,
    audio: u64,
    image: u64,
    video: u64,
    completion: u64,
    reasoning: u64,
    audio_out: u64,
    image_out: u64,
}

impl Parts {
    fn read(counts: &mut Counts<'_>, prompt: u64, completion: u64) -> Self {
        let cached = counts.first(&[
            "/prompt_tokens_details/cached_tokens",
            "/input_tokens_details/cached_tokens",
            "/prompt_cache_hit_tokens",
            "/cached_tokens",
            "/num_cached_tokens",
        ]);
        let written = counts.first(&[
            "/prompt_tokens_details/cache_write_tokens",
            "/input_tokens_details/cache_write_tokens",
            "/cache_creation_input_tokens",
        ]);
        let reasoning = counts.first(&[
            "/completion_tokens_details/reasoning_tokens",
            "/output_tokens_details/reasoning_tokens",
            "/reasoning_tokens",
        ]);
        Self {
            prompt,
            cached: cached.unwrap_or(0),
            written: written.unwrap_or(0),
            audio: counts.or_zero("/prompt_tokens_details/audio_tokens"),
            image: counts.or_zero("/prompt_tokens_details/image_tokens"),
            video: counts.or_zero("/prompt_tokens_details/video_tokens"),
            completion,
            reasoning: reasoning.unwrap_or(0),
            audio_out: counts.or_zero("/completion_tokens_details/audio_tokens"),
            image_out: counts.or_zero("/completion_tokens_details/image_tokens"),
        }
    }

    /// Adds to the wholes what this provider keeps out of them.
    fn settle_conventions(&mut self, provider: &str, total: Option<u64>) {
        let sum = self.prompt.saturating_add(self.completion);
        let adds_up = |part: u64| part > 0 && total == Some(sum.saturating_add(part));
        if adds_up(self.reasoning) || provider == "vercel" || provider == "xai" {
            // xAI's and Vercel's own costs prove it where their totals do not.
            self.completion = self.completion.saturating_add(self.reasoning);
        } else if adds_up(self.audio) && provider == "mistral" {
            self.prompt = self.prompt.saturating_add(self.audio);
        } else if let (Some(total), "google" | "vertex") = (total, provider) {
            // Thinking is billed as output, and shows in the total alone.
            self.completion = self.completion.max(total.saturating_sub(self.prompt));
        }
    }

    /// Tokens both read from a cache and written to it again. OpenRouter's own costs prove that
    /// they are charged for both.
    fn overlap(&self) -> u64 {
        let both = self.cached.min(self.written);
        let sum = self.cached.saturating_add(self.written);
        if sum > self.prompt && self.cached.max(self.written) <= self.prompt { both } else { 0 }
    }

    fn leaves(self, overlap: u64) -> (Usage, bool) {
        let mut usage = Usage::default();
        let input = [
            (Unit::CacheRead, self.cached),
            (Unit::CacheWrite, self.written),
            (Unit::InputAudio, self.audio),
            (Unit::InputImage, self.image),
            (Unit::InputVideo, self.video),
        ];
        let output = [
            (Unit::Reasoning, self.reasoning),
            (Unit::OutputAudio, self.audio_out),
            (Unit::OutputImage, self.image_out),
        ];
        let a = usage.divide(self.prompt.saturating_add(overlap), Unit::Input, &input);
        let b = usage.divide(self.completion, Unit::Output, &output);
        (usage, a | b)
    }
}
