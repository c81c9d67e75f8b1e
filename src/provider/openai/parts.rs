//! The counts of a usage object of OpenAI's kind, under all the names that they have, and what
//! single providers mean by them.

use crate::provider::count::Counts;
use crate::usage::{Unit, Usage};

/// The counts by their meaning, before they are made disjoint.
pub(super) struct Parts {
    pub(super) prompt: u64,
    cached: u64,
    written: u64,
    audio: u64,
    image: u64,
    video: u64,
    pub(super) completion: u64,
    reasoning: u64,
    audio_out: u64,
    image_out: u64,
}

impl Parts {
    pub(super) fn read(counts: &mut Counts<'_>, prompt: u64, completion: u64) -> Self {
        let cached = counts.first(&[
            "/prompt_tokens_details/cached_tokens",
            "/prompt_token_details/cached_tokens",
            "/input_tokens_details/cached_tokens",
            "/input_tokens_details/cache_read_input_tokens",
            "/input_token_details/cached_tokens",
            "/prompt_cache_hit_tokens",
            "/cached_tokens",
            "/num_cached_tokens",
            "/cached_prompt_text_tokens",
        ]);
        // Databricks' name is Anthropic's, whose tokens stand beside an `input_tokens`.
        let cached = cached.or_else(|| counts.beside("prompt_tokens", "/cache_read_input_tokens"));
        let written = counts.first(&[
            "/prompt_tokens_details/cache_write_tokens",
            "/input_tokens_details/cache_write_tokens",
            "/prompt_tokens_details/cache_creation_input_tokens",
            "/prompt_tokens_details/cache_creation_tokens",
            "/cache_creation_input_tokens",
        ]);
        let reasoning = counts.first(&[
            "/completion_tokens_details/reasoning_tokens",
            "/completion_token_details/reasoning_tokens",
            "/output_tokens_details/reasoning_tokens",
            "/reasoning_tokens",
        ]);
        let image = counts
            .first(&["/prompt_tokens_details/image_tokens", "/input_tokens_details/image_tokens"]);
        let image_out = counts.first(&[
            "/completion_tokens_details/image_tokens",
            "/output_tokens_details/image_tokens",
        ]);
        Self {
            prompt,
            cached: cached.unwrap_or(0),
            written: written.unwrap_or(0),
            audio: counts.or_zero("/prompt_tokens_details/audio_tokens"),
            image: image.unwrap_or(0),
            video: counts.or_zero("/prompt_tokens_details/video_tokens"),
            completion,
            reasoning: reasoning.unwrap_or(0),
            audio_out: counts.or_zero("/completion_tokens_details/audio_tokens"),
            image_out: image_out.unwrap_or(0),
        }
    }

    /// Adds to the wholes what this provider keeps out of them.
    pub(super) fn settle_conventions(&mut self, provider: &str, total: Option<u64>) {
        let sum = self.prompt.saturating_add(self.completion);
        let adds_up = |part: u64| part > 0 && total == Some(sum.saturating_add(part));
        let more = provider == "deepinfra" && self.reasoning > self.completion;
        if adds_up(self.reasoning) || more || ["vercel", "xai", "perplexity"].contains(&provider) {
            // xAI's and Vercel's own costs prove it where their totals do not; Perplexity's deep
            // research reasons more than it writes, and charges for both; at DeepInfra it depends
            // on the model.
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
    pub(super) fn overlap(&self) -> u64 {
        let both = self.cached.min(self.written);
        let sum = self.cached.saturating_add(self.written);
        if sum > self.prompt && self.cached.max(self.written) <= self.prompt { both } else { 0 }
    }

    pub(super) fn leaves(self, overlap: u64) -> (Usage, bool) {
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
